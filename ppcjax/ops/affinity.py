"""Pairs of nearby cells of a grid: which there are, how alike, and how labelled.

Ahn and Kwak (PSA), "Learning Pixel-level Semantic Affinity with Image-level
Supervision for Weakly Supervised Semantic Segmentation", CVPR 2018, section 3.

An anchor (y, x) is paired with (y + dy, x + dx) for the 34 offsets below (at radius
5); anchors are those cells all of whose partners lie on the grid, whichever of them
the offset needs. Each pair of cells thus occurs once.
"""

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np

from ppcjax.types import IGNORE


class PairLabels(NamedTuple):
    """Which pairs are known to be what, each [B, O, rows, columns] bool.

    background: both cells are background.
    foreground: both are of the same other class.
    different: the cells are of two classes.
    """

    background: jax.Array
    foreground: jax.Array
    different: jax.Array


def pair_offsets(radius: int = 5) -> np.ndarray:
    """Offsets (dy, dx) of the partners of an anchor: half a disc.

    Args:
        radius: partners are nearer than this, in cells.

    Returns:
        [O, 2] int32: (0, 1) to (0, radius - 1), then rows 1 to radius - 1 from left
        to right. O = 34 at radius 5.
    """
    reach = radius - 1
    below = [
        (dy, dx)
        for dy in range(1, radius)
        for dx in range(-reach, radius)
        if dy * dy + dx * dx < radius * radius
    ]
    return np.array([(0, dx) for dx in range(1, radius)] + below, np.int32)


def radius_of(count: int) -> int:
    """The radius whose `pair_offsets` are so many.

    Args:
        count: number of offsets, O.

    Raises:
        ValueError: no radius has as many.
    """
    radius = next(r for r in range(2, count + 2) if len(pair_offsets(r)) >= count)
    if len(pair_offsets(radius)) != count:
        raise ValueError(f"no radius has {count} offsets")
    return radius


def anchor_counts(height: int, width: int, radius: int = 5) -> tuple[int, int]:
    """Rows and columns of anchors on a grid: 52 and 48 on 56 x 56 at radius 5."""
    reach = radius - 1
    return max(height - reach, 0), max(width - 2 * reach, 0)


def pair_affinity(features: chex.Array, radius: int = 5) -> jax.Array:
    """How alike the cells of each pair are.

        a_ij = exp(- mean_d |x_i - x_j|)

    Differences are formed one offset at a time, and again for the gradient: memory is
    O h w, never O h w D.

    Args:
        features: [B, h, w, D], any real values.
        radius: largest distance of a pair, see `pair_offsets`.

    Returns:
        [B, O, rows, columns] float32 in [0, 1]; row 0 and column 0 are the anchor
        (0, radius - 1). Empty where the grid is too small for an anchor.

    Source: PSA, section 3.2, with the mean of the release for the norm of the paper.
    """
    chex.assert_rank(features, 4)
    features = jnp.asarray(features, jnp.float32)
    batch, height, width, depth = features.shape
    rows, columns = anchor_counts(height, width, radius)
    offsets, reach = pair_offsets(radius), radius - 1
    if rows == 0 or columns == 0:
        return jnp.zeros((batch, len(offsets), rows, columns), jnp.float32)

    @jax.checkpoint
    def along(offset):  # [2] -> [B, rows, columns]
        anchors = features[:, :rows, reach : reach + columns]
        start = (0, offset[0], reach + offset[1], 0)
        partners = jax.lax.dynamic_slice(features, start, (batch, rows, columns, depth))
        return jnp.exp(-jnp.mean(jnp.abs(anchors - partners), axis=-1))

    return jnp.moveaxis(jax.lax.map(along, jnp.asarray(offsets)), 0, 1)


def pair_labels(cells: chex.Array, radius: int = 5) -> PairLabels:
    """What the labels of two cells say of their pair.

    Args:
        cells: [B, h, w] int32 labels, 0 background, or IGNORE; a pair with an IGNORE
            at either end is no pair.
        radius: largest distance of a pair, see `pair_offsets`.

    Returns:
        Three masks [B, O, rows, columns], where no two hold at once.
    """
    chex.assert_rank(cells, 3)
    rows, columns = anchor_counts(*cells.shape[1:], radius)
    reach = radius - 1
    anchors = cells[:, None, :rows, reach : reach + columns]
    partners = jnp.stack(
        [
            cells[:, dy : dy + rows, reach + dx : reach + dx + columns]
            for dy, dx in pair_offsets(radius)
        ],
        axis=1,
    )  # [B, O, rows, columns]
    known = (anchors != IGNORE) & (partners != IGNORE)
    same = known & (anchors == partners)
    return PairLabels(
        background=same & (anchors == 0),
        foreground=same & (anchors != 0),
        different=known & (anchors != partners),
    )


def pairs_on_grid(
    pairs: chex.Array,
    size: tuple[int, int],
    extent: chex.Array | None = None,
    radius: int = 5,
) -> jax.Array:
    """Values of pairs laid on the grid of their anchors.

    Args:
        pairs: [B, O, rows, columns], as from `pair_affinity`.
        size: (h, w) of the grid.
        extent: [B, 2] true rows and columns of the grid; None: all of it. Anchors are
            counted on the true grid.
        radius: largest distance of a pair, see `pair_offsets`.

    Returns:
        [B, O, h, w]: entry (o, y, x) belongs to (y, x) and (y + dy, x + dx) of offset
        o; 0 where that is no pair of the true grid.
    """
    reach = radius - 1
    chex.assert_shape(pairs, (None, None, *anchor_counts(*size, radius)))
    padded = jnp.pad(pairs, ((0, 0), (0, 0), (0, reach), (reach, reach)))
    padded = padded[:, :, : size[0], : size[1]]
    if extent is None:
        return padded
    y, x = jnp.arange(size[0])[None], jnp.arange(size[1])[None]
    rows = y < extent[:, :1] - reach  # [B, h]
    columns = (x >= reach) & (x < extent[:, 1:] - reach)  # [B, w]
    return padded * (rows[:, None, :, None] & columns[:, None, None, :])


def cell_labels(mask: chex.Array, stride: int, num_classes: int) -> jax.Array:
    """Labels of grid cells from labels of pixels.

    A cell has the class of more than half of its stride x stride pixels, or is
    background if half of them are; all others are IGNORE.

    Args:
        mask: [B, H, W] int32 in 0..C-1 or IGNORE; beyond its last row and column
            pixels are IGNORE.
        stride: side of a cell, pixels.
        num_classes: C, the background included.

    Returns:
        [B, h, w] int32 in 0..C-1 or IGNORE; h = ceil(H / stride).

    Deviations: the release averages the one-hot maps for low and for high alpha over
        cells and combines after. With one foreground class in a cell both rules agree,
        given masks of `combine_alphas`. Cells with more classes, and those cut by
        the border of the photo, get a label less often here.
    """
    chex.assert_rank(mask, 3)
    batch, height, width = mask.shape
    h, w = -(-height // stride), -(-width // stride)
    beyond = ((0, 0), (0, h * stride - height), (0, w * stride - width))
    pixels = jnp.pad(mask, beyond, constant_values=IGNORE)
    pixels = pixels.reshape(batch, h, stride, w, stride, 1)
    classes = jnp.arange(num_classes).reshape(1, 1, 1, 1, 1, -1)
    counts = jnp.sum(pixels == classes, axis=(2, 4))  # [B, h, w, C]
    label = jnp.argmax(counts, axis=-1)  # a tie goes to the background
    twice = 2 * jnp.max(counts, axis=-1)
    found = (twice > stride**2) | ((label == 0) & (twice == stride**2))
    return jnp.where(found, label, IGNORE).astype(jnp.int32)


def combine_alphas(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Labels for the affinity from two label maps of unlike background.

    A pixel is background where the high-alpha map says so, else of the class that the
    low-alpha map shows, else IGNORE: between the two nobody knows.

    Args:
        low: [H, W] integers, 0 background: labels at the low alpha, which have more
            background.
        high: [H, W] of the same type: labels at the high alpha, with less.

    Returns:
        [H, W] of that type, IGNORE where either map is IGNORE.

    Source: labels of the released PSA, per pixel (see `cell_labels`).
    """
    chex.assert_equal_shape([low, high])
    combined = np.where(high == 0, 0, np.where(low == 0, IGNORE, low))
    unknown = (low == IGNORE) | (high == IGNORE)
    return np.where(unknown, IGNORE, combined).astype(low.dtype)
