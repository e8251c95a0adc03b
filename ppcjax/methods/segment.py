"""A segmenter trained on masks: the second stage, where masks are exported ones.

DeepLab (Chen et al.) in the form and with the recipe of the released SEAM and PPC; the
heads are in `ppcjax.nn.deeplab`.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from ppcjax.methods import segmentation
from ppcjax.nn import backbones
from ppcjax.nn.deeplab import HEADS, INIT_RULES, DeepLab
from ppcjax.nn.init import initialize
from ppcjax.nn.layers import features_extent
from ppcjax.types import Method


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
        zero beyond the image, to be resized with aligned corners, and "extent" [B, 2],
        its true rows and columns.

    Raises:
        ValueError: for a setting outside its range.

    Source: released training program of PPC, as described in docs/deviations.md.
    """
    segmentation.check("segment", num_classes, class_weights, hsv_shift=hsv_shift)
    if head not in HEADS:
        raise ValueError(f"head={head!r}: choose one of {', '.join(HEADS)}")
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

    prepare = partial(
        segmentation.prepare, mean=entry.mean, std=entry.std, hsv_shift=hsv_shift
    )

    def loss(params, model_state, batch, key, step):
        del step
        colour_key, dropout_key = jax.random.split(key)
        logits, model_state = net.apply(
            {"params": params, **model_state},
            prepare(batch, colour_key),
            train=True,
            rngs={"dropout": dropout_key},
            mutable=list(model_state),
        )
        total, accuracy = segmentation.classification(
            logits, batch["mask"], class_weights=class_weights
        )
        return total, (model_state, {"loss/total": total, "stat/accuracy": accuracy})

    def predict(params, model_state, batch):
        extent = batch["valid"][:, 2:]
        image = prepare(batch, key=None)
        logits = net.apply({"params": params, **model_state}, image, extent)
        return {"logits": logits, "extent": features_extent(module, extent)}

    return Method(init, loss, predict)
