"""Affinity between nearby cells, learnt from the sure parts of pseudo masks.

Ahn and Kwak (PSA), "Learning Pixel-level Semantic Affinity with Image-level
Supervision for Weakly Supervised Semantic Segmentation", CVPR 2018. Its random walk is
`ppcjax.refine.random_walk`.
"""

import functools
from dataclasses import dataclass
from typing import Annotated, NamedTuple

import chex
import jax
import jax.numpy as jnp

from ppcjax.fields import Range
from ppcjax.methods import common
from ppcjax.methods.common import Jitter
from ppcjax.nn.affinity_net import AffinityHeads, AffinityNet, init_rules
from ppcjax.nn.backbones import Backbone, need_endpoints
from ppcjax.nn.modules import Channels
from ppcjax.ops import affinity as pairs
from ppcjax.types import Method, UserError

_EPSILON = 1e-5
_WEIGHTS = {"background": 0.25, "foreground": 0.25, "different": 0.5}


@dataclass(frozen=True, kw_only=True)
class Network(common.Network):
    """The network of PSA.

    backbone: name of the backbone.
    backbone_settings: fields of its module.
    dtype: type of the backbone's convolutions; the rest is float32 always.
    widths: channels of the reduced stage3, stage4 and embedding.
    init_gain: gain of the initial mixture; 4 as published, see `init_rules`.
    """

    backbone: common.BackboneName = "wide_resnet38"
    widths: tuple[Channels, Channels, Channels] = (64, 128, 256)
    init_gain: common.Positive = 4.0


class _Setup(NamedTuple):
    """What the functions of the method know."""

    net: AffinityNet
    entry: Backbone
    num_classes: int
    radius: int
    jitter: tuple[float, ...]


def affinity(
    num_classes: int,
    *,
    network: Network,
    radius: Annotated[int, Range(2, 64), "cells"] = 5,
    jitter: Jitter = (0.3, 0.3, 0.3, 0.1),
) -> Method:
    """The affinity network of PSA, trained from masks with IGNORE.

        L = 1/4 L_background + 1/4 L_foreground + 1/2 L_different

    Args:
        num_classes: C >= 2, the background (0) included.
        network: the network.
        radius: largest distance of a pair, see `pair_offsets`.
        jitter: strength of brightness, contrast, saturation and hue.

    Returns:
        A Method on DenseBatch with "mask". `predict` gives {"affinity": [B, O, h, w]}
        in [0, 1], h = ceil(H / stride): entry (o, y, x) is that of the cells (y, x)
        and (y + dy, x + dx), 0 where they are no pair of the true image.

    Raises:
        ValueError: there are fewer than two classes.

    Source: released training program of PSA as PPC uses it; docs/deviations.md.
    """
    common.need_classes("affinity", num_classes)
    module, entry = network.make_backbone()
    outputs = ("stage3", "stage4", "embedding")
    need_endpoints(module, outputs, "backbone", one_grid=True)
    net = AffinityNet(module, AffinityHeads(network.widths))
    setup = _Setup(net, entry, num_classes, radius, jitter)
    return Method(
        common.initializer(net, init_rules(network.init_gain)),
        functools.partial(_loss, setup),
        functools.partial(_predict, setup),
        gives="affinity",
    )


def _loss(setup, params, model_state, batch, key, step):
    if "mask" not in batch:
        raise UserError(
            "method 'affinity' learns from masks: set config.data.with_masks=True"
        )
    colour_key, dropout_key = jax.random.split(key)
    # The release normalises after the crop, so that padding is black.
    image = common.normalized(batch, setup.entry, colour_key, setup.jitter, padding=0.0)
    features, model_state = common.train_pass(
        setup.net, params, model_state, dropout_key, image
    )
    stride = setup.net.backbone.stride
    cells = pairs.cell_labels(batch["mask"], stride, setup.num_classes)
    labels = pairs.pair_labels(cells, setup.radius)
    terms = affinity_terms(pairs.pair_affinity(features, setup.radius), labels)
    total, scalars = common.weighted_sum(terms, _WEIGHTS)
    for name, mask in labels._asdict().items():
        scalars[f"stat/{name}_pairs"] = jnp.sum(mask, dtype=jnp.float32)
    return total, (model_state, scalars)


def _predict(setup, params, model_state, batch):
    image = common.normalized(batch, setup.entry)
    # As released, photos end in mean colour up to a whole number of cells.
    stride = setup.net.backbone.stride
    beyond = [(0, -side % stride) for side in image.shape[1:3]]
    image = jnp.pad(image, ((0, 0), *beyond, (0, 0)))
    low = -(-batch["valid"][:, 2:] // stride)
    features = setup.net.apply({"params": params, **model_state}, image, low * stride)
    found = pairs.pair_affinity(features, setup.radius)
    grid = features.shape[1:3]
    return {"affinity": pairs.pairs_on_grid(found, grid, low, setup.radius)}


def affinity_terms(
    affinity: chex.Array, labels: pairs.PairLabels
) -> dict[str, jax.Array]:
    """Cross-entropy of the affinity, for each kind of pair.

        L = sum over pairs of - log(a + e), or - log(1 + e - a) where different,
            / (number of pairs + e),  e = 1e-5

    Args:
        affinity: [B, O, rows, columns] in [0, 1].
        labels: which pairs are what; sums are over the global batch.

    Returns:
        "background", "foreground" and "different", nats per pair; 0 without pairs.
    """
    chex.assert_equal_shape([affinity, *labels])
    alike = -jnp.log(affinity + _EPSILON)
    unlike = -jnp.log(1.0 + _EPSILON - affinity)

    def mean(nats, mask):
        return jnp.sum(jnp.where(mask, nats, 0.0)) / (jnp.sum(mask) + _EPSILON)

    return {
        "background": mean(alike, labels.background),
        "foreground": mean(alike, labels.foreground),
        "different": mean(unlike, labels.different),
    }
