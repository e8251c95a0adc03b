"""A segmenter trained on masks: the second stage, where masks are exported ones.

DeepLab (Chen et al.) in the form and with the recipe of the released SEAM and PPC; the
heads are in `ppcjax.nn.deeplab`.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from ppcjax.losses import cross_entropy
from ppcjax.nn import backbones
from ppcjax.nn.deeplab import HEADS, INIT_RULES, DeepLab
from ppcjax.nn.init import initialize
from ppcjax.ops import colour
from ppcjax.ops.masks import masked_mean
from ppcjax.ops.resize import resize
from ppcjax.types import IGNORE, Method


def segment(
    num_classes: int,
    *,
    backbone: str = "resnet101",
    backbone_settings: dict[str, Any] | None = None,
    head: str = "v3",
    head_settings: dict[str, Any] | None = None,
    frozen_backbone: bool = False,
    dtype: str = "float32",
    hsv_shift: int = 10,
    class_weights: Sequence[float] = (),
) -> Method:
    """Per-pixel classification by cross-entropy.

        L = mean over pixels with a class of -log softmax(resize(logits, [H, W]))[y]

    Args:
        num_classes: C, the background included.
        backbone: a name of `ppcjax.nn.backbones.BACKBONES`.
        backbone_settings: fields of its module.
        head: "v1", "v2", "v3", "fcn" or "linear", see `ppcjax.nn.deeplab`.
        head_settings: fields of its module.
        frozen_backbone: whether the head alone learns, on the backbone's stored
            statistics; "linear" then is a linear probe. Weight decay is kept off the
            backbone by optim.frozen.
        dtype: "float32" or "bfloat16", of the convolutions; the classifier, the
            statistics and the loss are float32 always.
        hsv_shift: largest random shift of hue, saturation and value, in the units of
            `ppcjax.ops.colour.shift_hsv`; 0: none.
        class_weights: C weights of the classes in the loss; empty: all 1.

    Returns:
        A Method on DenseBatch with "mask". `predict` gives {"logits": [B, h, w, C]},
        zero beyond the image, to be resized with aligned corners.

    Raises:
        ValueError: for a setting outside its range.

    Source: released training program of PPC, as described in docs/deviations.md.
    """
    if num_classes < 2:
        raise ValueError("segment needs a background and at least one more class")
    if head not in HEADS:
        raise ValueError(f"head={head!r}: choose one of {', '.join(HEADS)}")
    if hsv_shift < 0:
        raise ValueError(f"hsv_shift={hsv_shift}: give a whole number of at least 0")
    if len(class_weights) not in (0, num_classes):
        raise ValueError(
            f"class_weights has {len(class_weights)} entries; give one for each of the "
            f"{num_classes} classes, the background first, or none"
        )
    dtype = jnp.dtype(dtype)
    module, entry = backbones.make(backbone, dtype=dtype, **(backbone_settings or {}))
    net = DeepLab(
        module,
        HEADS[head](num_classes, dtype=dtype, **(head_settings or {})),
        frozen_backbone,
    )

    def init(key, batch):
        del batch  # parameter shapes do not depend on it
        image = jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32)
        variables = initialize(net, key, image, rules=INIT_RULES)
        return variables.pop("params"), variables

    def prepare(batch, key):
        image = batch["image"].astype(jnp.float32) / 255.0
        if key is not None and hsv_shift:
            image = colour.shift_hsv(image, key, largest=hsv_shift)
        return colour.normalize(image, batch["valid"], mean=entry.mean, std=entry.std)

    def loss(params, model_state, batch, key, step):
        del step
        colour_key, dropout_key = jax.random.split(key)
        mask = batch["mask"]
        logits, model_state = net.apply(
            {"params": params, **model_state},
            prepare(batch, colour_key),
            train=True,
            rngs={"dropout": dropout_key},
            mutable=list(model_state),
        )
        logits = resize(logits, mask.shape[1:3], align_corners=True)  # [B, H, W, C]
        total = cross_entropy(logits, mask, class_weights=class_weights)
        right = jnp.argmax(logits, axis=-1) == mask
        accuracy = masked_mean(right.astype(jnp.float32), mask != IGNORE)
        return total, (model_state, {"loss/total": total, "stat/accuracy": accuracy})

    def predict(params, model_state, batch):
        extent = batch["valid"][:, 2:]
        image = prepare(batch, key=None)
        return {"logits": net.apply({"params": params, **model_state}, image, extent)}

    return Method(init, loss, predict)
