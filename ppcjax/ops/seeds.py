"""Where the superpixels of an object start: seeds far from its border and each other.

Li et al., "Adaptive Prototype Learning and Allocation for Few-Shot Segmentation"
(ASGNet), CVPR 2021, section 3.2, in the form of the released program. Whole numbers
throughout, hence exact on every device.
"""

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp


def superpixel_count(area: chex.Array, *, cells: int, largest: int) -> jax.Array:
    """How many superpixels an object has: area / cells, rounded, at most `largest`.

    Halves go to the even number, as in Python; one superpixel is as good as none.

    Args:
        area: [...] int cells of the object.
        cells: area of one superpixel, > 0.
        largest: number of slots.

    Returns:
        [...] int32 in 0..largest.
    """
    whole, rest = area // cells, area % cells
    up = (2 * rest > cells) | ((2 * rest == cells) & (whole % 2 == 1))
    return jnp.minimum(whole + up, largest).astype(jnp.int32)


class Seeds(NamedTuple):
    """cells: [..., S, 2] int32 (row, column), (0, 0) in empty slots; count: [...]."""

    cells: jax.Array
    count: jax.Array


def place_seeds(mask: chex.Array, *, cells: int = 100, largest: int = 5) -> Seeds:
    """Seeds far from the border of an object and from each other.

    Again and again the cell with the largest distance to the nearest cell outside, the
    first in row-major order, becomes a seed and from then on counts as outside. Only
    the bounding box is looked at, and its border is no outside.

    Args:
        mask: [..., h, w] bool or 0 and 1.
        cells: area of one superpixel, see `superpixel_count`.
        largest: S.

    Returns:
        The seeds; their number is 0, or 2 to S.

    Source: place_seed_points of the released program, to the cell; also where an object
        fills its box, which SciPy's distance transform takes for a distance to the cell
        left above the box's corner, (-1, 0).
    """
    mask = jnp.asarray(mask)
    flat = mask.reshape(-1, *mask.shape[-2:]) > 0
    count = superpixel_count(jnp.sum(flat, axis=(1, 2)), cells=cells, largest=largest)
    count = jnp.where(count > 1, count, 0)
    seeds = jax.vmap(lambda m: _farthest_cells(m, largest))(flat)
    seeds = jnp.where((jnp.arange(largest)[None] < count[:, None])[..., None], seeds, 0)
    lead = mask.shape[:-2]
    return Seeds(seeds.reshape(*lead, largest, 2), count.reshape(lead))


def _farthest_cells(mask: jax.Array, number: int) -> jax.Array:
    """The first `number` seeds of a mask [h, w]: [number, 2]."""
    height, width = mask.shape
    rows, columns = jnp.any(mask, axis=1), jnp.any(mask, axis=0)
    top, left = jnp.argmax(rows), jnp.argmax(columns)
    row, column = jnp.arange(height)[:, None], jnp.arange(width)[None, :]
    bottom = height - jnp.argmax(rows[::-1])
    right = width - jnp.argmax(columns[::-1])
    box = (row >= top) & (row < bottom) & (column >= left) & (column < right)
    from_corner = (row - top + 1) ** 2 + (column - left) ** 2

    def place(remaining, _):
        outside = box & ~remaining
        distance = jnp.where(jnp.any(outside), squared_distance(outside), from_corner)
        distance = jnp.where(remaining, distance, -1)
        seed = jnp.argmax(distance)
        remaining = remaining.reshape(-1).at[seed].set(False).reshape(mask.shape)
        return remaining, jnp.stack([seed // width, seed % width])

    return jax.lax.scan(place, mask, None, length=number)[1].astype(jnp.int32)


def squared_distance(target: chex.Array) -> jax.Array:
    """Squared Euclidean distance of each cell to the nearest target, exact.

    Args:
        target: [h, w] bool.

    Returns:
        [h, w] int32; at least (h + w)^2 where there is no target.
    """
    height, width = target.shape
    far = height + width
    row = jnp.arange(height)[:, None]
    above = jax.lax.cummax(jnp.where(target, row, -far), axis=0)
    below = jax.lax.cummin(jnp.where(target, row, height + far), axis=0, reverse=True)
    vertical = jnp.minimum(jnp.minimum(row - above, below - row), far)  # [h, w]
    column = jnp.arange(width)
    horizontal = (column[:, None] - column[None, :]) ** 2  # [w, w]
    return jnp.min(vertical[:, None, :] ** 2 + horizontal[None], axis=-1)


def released_count(seeds: chex.Array) -> jax.Array:
    """Number of seeds as the released model counts them.

    The larger of the numbers of non-zero rows and of non-zero columns, so that an
    object with one seed in row 0 and another in column 0 loses its last one.

    Args:
        seeds: [..., S, 2] int.

    Returns:
        [...] int32.
    """
    return jnp.max(jnp.sum(seeds != 0, axis=-2), axis=-1).astype(jnp.int32)
