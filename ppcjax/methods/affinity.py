"""Affinity between nearby cells, learnt from the sure parts of pseudo masks.

Ahn and Kwak (PSA), "Learning Pixel-level Semantic Affinity with Image-level
Supervision for Weakly Supervised Semantic Segmentation", CVPR 2018. Its random walk is
`ppcjax.refine.random_walk`.
"""

from typing import Any

import chex
import jax
import jax.numpy as jnp

from ppcjax.nn import backbones
from ppcjax.nn.affinity_net import AffinityHeads, AffinityNet, init_rules
from ppcjax.nn.init import initialize
from ppcjax.ops import affinity as pairs
from ppcjax.ops import colour
from ppcjax.types import Method, UserError

_EPSILON = 1e-5
_WEIGHTS = {"background": 0.25, "foreground": 0.25, "different": 0.5}


def affinity(
    num_classes: int,
    *,
    backbone: str = "wide_resnet38",
    backbone_settings: dict[str, Any] | None = None,
    widths: tuple[int, int, int] = (64, 128, 256),
    init_gain: float = 4.0,
    radius: int = 5,
    jitter: tuple[float, float, float, float] = (0.3, 0.3, 0.3, 0.1),
    dtype: str = "float32",
) -> Method:
    """The affinity network of PSA, trained from masks with IGNORE.

        L = 1/4 L_background + 1/4 L_foreground + 1/2 L_different

    Args:
        num_classes: C >= 2, the background (0) included.
        backbone: a name of `ppcjax.nn.backbones.BACKBONES`.
        backbone_settings: fields of its module.
        widths: channels, see `AffinityHeads`.
        init_gain: of the initial mixture, see `init_rules`; 4 as published.
        radius: of the pairs, cells >= 2, see `pair_offsets`.
        jitter: strength of brightness, contrast, saturation and hue.
        dtype: "float32" or "bfloat16", of the backbone's convolutions; the rest is
            float32 always.

    Returns:
        A Method on DenseBatch with "mask". `predict` gives {"affinity": [B, O, h, w]}
        in [0, 1], h = ceil(H / stride): entry (o, y, x) is that of the cells (y, x)
        and (y + dy, x + dx), 0 where they are no pair of the true image.

    Raises:
        ValueError: for a setting outside its range.

    Source: released training program of PSA as PPC uses it; docs/deviations.md.
    """
    if num_classes < 2:
        raise ValueError("affinity needs a background and at least one more class")
    if len(widths) != 3 or min(widths) < 1:
        raise ValueError(f"widths={widths}: give three numbers of channels")
    if not init_gain > 0:
        raise ValueError(f"init_gain={init_gain}: give a number above 0")
    if radius < 2:
        raise ValueError(f"radius={radius}: give at least 2 cells")
    if len(jitter) != 4:
        raise ValueError(f"jitter={jitter}: give four strengths")
    module, entry = backbones.make(
        backbone, dtype=jnp.dtype(dtype), **(backbone_settings or {})
    )
    net = AffinityNet(module, AffinityHeads(tuple(widths)))
    normalization = {"mean": entry.mean, "std": entry.std}

    def init(key, batch):
        del batch  # parameter shapes do not depend on it
        image = jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32)
        variables = initialize(net, key, image, rules=init_rules(init_gain))
        return variables.pop("params"), variables

    def loss(params, model_state, batch, key, step):
        del step
        if "mask" not in batch:
            raise UserError(
                "method 'affinity' learns from masks: set config.data.with_masks=True"
            )
        colour_key, dropout_key = jax.random.split(key)
        image = batch["image"].astype(jnp.float32) / 255.0
        if any(jitter):
            image = colour.jitter(image, batch["valid"], colour_key, strengths=jitter)
        # The release normalises after the crop, so that padding is black.
        image = colour.normalize(image, batch["valid"], padding=0.0, **normalization)
        features, model_state = net.apply(
            {"params": params, **model_state},
            image,
            train=True,
            rngs={"dropout": dropout_key},
            mutable=list(model_state),
        )
        cells = pairs.cell_labels(batch["mask"], module.stride, num_classes)
        labels = pairs.pair_labels(cells, radius)
        terms = affinity_terms(pairs.pair_affinity(features, radius), labels)
        total = sum(_WEIGHTS[name] * term for name, term in terms.items())
        scalars = {f"loss/{name}": term for name, term in terms.items()}
        scalars["loss/total"] = total
        for name, mask in labels._asdict().items():
            scalars[f"stat/{name}_pairs"] = jnp.sum(mask, dtype=jnp.float32)
        return total, (model_state, scalars)

    def predict(params, model_state, batch):
        image = batch["image"].astype(jnp.float32) / 255.0
        image = colour.normalize(image, batch["valid"], **normalization)
        # As released, photos end in mean colour up to a whole number of cells.
        stride = module.stride
        beyond = [(0, -side % stride) for side in image.shape[1:3]]
        image = jnp.pad(image, ((0, 0), *beyond, (0, 0)))
        low = -(-batch["valid"][:, 2:] // stride)
        features = net.apply({"params": params, **model_state}, image, low * stride)
        found = pairs.pair_affinity(features, radius)
        return {
            "affinity": pairs.pairs_on_grid(found, features.shape[1:3], low, radius)
        }

    return Method(init, loss, predict, gives="affinity")


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
