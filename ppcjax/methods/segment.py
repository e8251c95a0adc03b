"""A segmenter trained on masks: the second stage, where masks are exported ones.

DeepLab (Chen et al.) in the form and with the recipe of the released SEAM and PPC; the
heads are in `ppcjax.nn.deeplab`.
"""

import functools
from dataclasses import dataclass
from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp

from ppcjax.fields import OneOf
from ppcjax.methods import common, segmentation
from ppcjax.methods.segmentation import ClassWeights, Shift
from ppcjax.nn import modules
from ppcjax.nn.backbones import Backbone
from ppcjax.nn.deeplab import HEADS, INIT_RULES, DeepLab
from ppcjax.nn.frozen import is_aligned
from ppcjax.nn.layers import features_extent
from ppcjax.types import Method


@dataclass(frozen=True, kw_only=True)
class Network(common.Network):
    """A backbone and a head of DeepLab.

    backbone: name of the backbone.
    backbone_settings: fields of its module.
    dtype: type of the convolutions; the classifier, the statistics and the loss are
        float32 always.
    head: "v1", "v2", "v3", "fcn" or "linear", see `ppcjax.nn.deeplab`.
    head_settings: fields of its module.
    frozen_backbone: whether the head alone learns, on the backbone's stored
        statistics; "linear" then is a linear probe. Weight decay is kept off the
        backbone by optim.frozen.
    """

    backbone: common.BackboneName = "resnet101"
    head: Annotated[str, OneOf(HEADS)] = "v3"
    head_settings: common.Fields = None
    frozen_backbone: bool = False


class _Setup(NamedTuple):
    """What the functions of the method know."""

    net: DeepLab
    entry: Backbone
    hsv_shift: int
    class_weights: tuple[float, ...]


def segment(
    num_classes: int,
    *,
    network: Network,
    hsv_shift: Shift = 10,
    class_weights: ClassWeights = (),
) -> Method:
    """Per-pixel classification by cross-entropy.

        L = mean over pixels with a class of -log softmax(resize(logits, [H, W]))[y]

    Args:
        num_classes: C, the background included.
        network: the network.
        hsv_shift: largest random shift of hue, saturation and value, in the units of
            `ppcjax.ops.colour.shift_hsv`; 0 for none.
        class_weights: C weights of the classes in the loss; empty where all are 1.

    Returns:
        A Method on DenseBatch with "mask". `predict` gives {"logits": [B, h, w, C]},
        zero beyond the image, to be resized with aligned corners, and "extent" [B, 2],
        its true rows and columns.

    Raises:
        ValueError: there are fewer than two classes, or another number of weights.

    Source: released training program of PPC, as described in docs/deviations.md.
    """
    segmentation.check("segment", num_classes, class_weights)
    module, entry = network.make_backbone()
    head = modules.build(
        HEADS[network.head],
        network.head_settings,
        where="head_settings",
        num_classes=num_classes,
        dtype=jnp.dtype(network.dtype),
    )
    net = DeepLab(module, head, network.frozen_backbone)
    setup = _Setup(net, entry, hsv_shift, class_weights)
    return Method(
        common.initializer(net, INIT_RULES),
        functools.partial(_loss, setup),
        functools.partial(_predict, setup),
        aligned=is_aligned(module),
    )


def _loss(setup, params, model_state, batch, key, step):
    colour_key, dropout_key = jax.random.split(key)
    image = segmentation.prepare(
        batch,
        colour_key,
        mean=setup.entry.mean,
        std=setup.entry.std,
        hsv_shift=setup.hsv_shift,
    )
    logits, model_state = common.train_pass(
        setup.net, params, model_state, dropout_key, image
    )
    total, accuracy = segmentation.classification(
        logits,
        batch["mask"],
        class_weights=setup.class_weights,
        aligned=is_aligned(setup.net.backbone),
    )
    return total, (model_state, {"stat/accuracy": accuracy})


def _predict(setup, params, model_state, batch):
    extent = common.extent_of(batch)
    image = common.normalized(batch, setup.entry)
    logits = setup.net.apply({"params": params, **model_state}, image, extent)
    found = {"logits": logits}
    if extent is not None:
        found["extent"] = features_extent(setup.net.backbone, extent)
    return found
