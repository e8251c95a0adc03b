"""What methods that train on masks share: checks, colours, cross-entropy."""

from collections.abc import Sequence
from functools import partial
from typing import Annotated

import chex
import jax
import jax.numpy as jnp

from ppcjax.fields import Range, kinds
from ppcjax.losses import cross_entropy, hard_cross_entropy
from ppcjax.methods import common
from ppcjax.ops import colour
from ppcjax.ops.resize import resize
from ppcjax.types import DenseBatch

# Largest random shifts, in the units of `ppcjax.ops.colour`.
Shift = Annotated[int, Range(0, 255), "8-bit levels"]
ClassWeights = tuple[kinds.Weight, ...]


def check(name: str, num_classes: int, class_weights: Sequence[float]) -> None:
    """Raises ValueError for too few classes, or for weights that cannot be theirs."""
    common.need_classes(name, num_classes)
    if len(class_weights) not in (0, num_classes):
        raise ValueError(
            f"class_weights has {len(class_weights)} entries; give one for each of the "
            f"{num_classes} classes, the background first, or none"
        )
    if class_weights and not any(class_weights):
        raise ValueError("class_weights are all 0, so that nothing would be learnt")


def prepare(
    batch: DenseBatch,
    key: chex.PRNGKey | None,
    *,
    mean: tuple[float, float, float],
    std: tuple[float, float, float],
    hsv_shift: int = 0,
    brightness_shift: int = 0,
) -> jax.Array:
    """Normalised images [B, H, W, 3]; of random colours where there is a key."""
    if not mean:
        common.need_no_colours(mean, hsv_shift, brightness_shift)
        return batch["image"].astype(jnp.float32)
    image = batch["image"].astype(jnp.float32) / 255.0
    if key is not None and hsv_shift:
        image = colour.shift_hsv(image, key, largest=hsv_shift)
    if key is not None and brightness_shift:
        key = jax.random.fold_in(key, 1)  # apart from the numbers above
        image = colour.shift_brightness(image, key, largest=brightness_shift)
    return colour.normalize(image, batch.get("valid"), mean=mean, std=std)


def classification(
    logits: chex.Array,
    mask: chex.Array,
    *,
    class_weights: Sequence[float] = (),
    hard: tuple[float, int] | tuple[()] = (),
    aligned: bool = True,
) -> tuple[jax.Array, jax.Array]:
    """Cross-entropy at the size of the mask, and the share of pixels that are right.

    Args:
        logits: [B, h, w, C].
        mask: [B, H, W] int32 in 0..C-1 or IGNORE.
        class_weights: C weights; empty where all are 1.
        hard: `threshold` and `least` of `hard_cross_entropy`; empty where all pixels
            count.
        aligned: whether the corners of both grids meet, see `ppcjax.nn.frozen`.

    Returns:
        [] nats and [] in [0, 1].
    """
    logits = resize(logits, mask.shape[1:3], align_corners=aligned)  # [B, H, W, C]
    entropy = cross_entropy
    if hard:
        entropy = partial(hard_cross_entropy, threshold=hard[0], least=hard[1])
    total = entropy(logits, mask, class_weights=class_weights)
    return total, common.accuracy(logits, mask)
