"""Which cells of two crops show the same place, and losses over such pairs.

Xie et al. (PixPro), CVPR 2021: section 3.1 (pairs, PixContrast) and 3.2 (consistency),
in the form of the released program where there is one. Similarities are float32 dot
products of unit vectors. Cells are compared in blocks: memory is linear in their
number.
"""

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

from ppcjax.ops.blocks import over_blocks
from ppcjax.ops.masks import masked_mean


class Pairs(NamedTuple):
    """A loss of one direction, and what it was taken over.

    loss: [] float32.
    count: [B] float32, positive pairs of each image.
    """

    loss: jax.Array
    count: jax.Array


def cell_centres(
    box: chex.Array, *, height: int, width: int
) -> tuple[jax.Array, jax.Array]:
    """Centres of the cells of crops, in coordinates of their photos.

    Args:
        box: [B, 4] (x0, y0, x1, y1) of each crop; x0 > x1 where it is mirrored.
        height: rows h of the grid that covers the crop.
        width: columns w.

    Returns:
        [B, h w, 2] centres (x, y) in row-major order, and [B] diagonals of a cell, both
        in units of `box`; constant for gradients.
    """
    chex.assert_shape(box, (None, 4))
    box = jax.lax.stop_gradient(box.astype(jnp.float32))
    start, end = box[:, :2], box[:, 2:]
    cell = (end - start) / jnp.array([[width, height]], jnp.float32)  # signed
    row, column = jnp.divmod(jnp.arange(height * width), width)
    place = jnp.stack([column, row], axis=-1) + 0.5  # [P, 2]
    centres = place[None] * cell[:, None] + start[:, None]
    return centres, jnp.sqrt(jnp.sum(cell**2, axis=-1))


def distances(
    box: chex.Array, other_box: chex.Array, *, grid: tuple[int, int]
) -> jax.Array:
    """Distances between cells of two crops, in units of the larger cell's diagonal.

    Args:
        box: [B, 4] box of one crop.
        other_box: [B, 4] box of the other crop.
        grid: rows and columns of both grids.

    Returns:
        [B, P, P] float32 >= 0; rows belong to `box`.
    """
    height, width = grid
    centres, diagonal = cell_centres(box, height=height, width=width)
    others, other_diagonal = cell_centres(other_box, height=height, width=width)
    return _distances(centres, others, jnp.maximum(diagonal, other_diagonal))


def consistency(
    queries: chex.Array,
    keys: chex.Array,
    query_box: chex.Array,
    key_box: chex.Array,
    *,
    threshold: float = 0.7,
    block: int = 1024,
) -> Pairs:
    """Negative cosine of the cells that show the same place.

        R = -2 mean_n ( sum_ij M_ij q_i . k_j / (sum_ij M_ij + 1e-6) )

    where M_ij holds if the distance of cells i and j is below the threshold. An image
    without such a pair adds 0 to the mean.

    Args:
        queries: [B, h, w, D] q of unit norm (or 0).
        keys: [B, h, w, D] k of unit norm (or 0).
        query_box: [B, 4] box of the queries' crop, see `cell_centres`.
        key_box: [B, 4] box of the keys' crop.
        threshold: in diagonals of the larger cell, above 0.
        block: query cells compared at once.

    Returns:
        The loss, in [-2, 2], and counts of pairs.
    """

    def terms(similarity, is_pair):
        return jnp.sum(jnp.where(is_pair, similarity, 0.0), axis=-1)

    cosines, counts = _compare(
        terms, queries, keys, (query_box, key_box), threshold, block
    )
    count = jnp.sum(counts, axis=-1)  # [B]
    return Pairs(-2.0 * jnp.mean(jnp.sum(cosines, axis=-1) / (count + 1e-6)), count)


def pixel_contrast(
    queries: chex.Array,
    keys: chex.Array,
    query_box: chex.Array,
    key_box: chex.Array,
    *,
    threshold: float = 0.7,
    temperature: float = 0.3,
    block: int = 1024,
) -> Pairs:
    """PixContrast: cells that show the same place against all cells of the other crop.

        L_i = -log( sum_{j: M_ij} e^{q_i . k_j / t} / sum_j e^{q_i . k_j / t} )

    averaged over the cells i of the batch that have a pair.

    Args:
        queries: [B, h, w, D] q of unit norm (or 0).
        keys: [B, h, w, D] k of unit norm (or 0).
        query_box: [B, 4] box of the queries' crop, see `cell_centres`.
        key_box: [B, 4] box of the keys' crop.
        threshold: largest distance of a pair, see `consistency`.
        temperature: t > 0.
        block: query cells compared at once.

    Returns:
        Nats per cell with a pair, 0 if there is none; and counts of pairs.

    Deviations: written after the paper, since its program was not released.
    """

    def terms(similarity, is_pair):
        logits = similarity / temperature
        # Far below any logit and finite: a cell without pairs has zero gradient.
        own = jax.nn.logsumexp(jnp.where(is_pair, logits, -1e9), axis=-1)
        nats = jax.nn.logsumexp(logits, axis=-1) - own
        return jnp.where(jnp.any(is_pair, axis=-1), nats, 0.0)

    nats, counts = _compare(
        terms, queries, keys, (query_box, key_box), threshold, block
    )
    return Pairs(masked_mean(nats, counts > 0), jnp.sum(counts, axis=-1))


def _compare(terms, queries, keys, boxes, threshold, block):
    """`terms` (similarity [B, b, P], is_pair [B, b, P] -> [B, b]) of all query cells.

    Returns them, [B, P], and the number of pairs of each query cell, [B, P] float32.
    """
    chex.assert_equal_shape([queries, keys])
    batch, height, width, _ = queries.shape
    chex.assert_shape(boxes, (batch, 4))
    cells = (batch, height * width, -1)
    queries = queries.reshape(cells).astype(jnp.float32)
    keys = keys.reshape(cells).astype(jnp.float32)
    centres, diagonal = cell_centres(boxes[0], height=height, width=width)
    others, other_diagonal = cell_centres(boxes[1], height=height, width=width)
    unit = jnp.maximum(diagonal, other_diagonal)

    def compare(chunk):
        features, places = chunk  # [B, b, D], [B, b, 2]
        is_pair = _distances(places, others, unit) < threshold
        similarity = jnp.einsum(
            "bid,bjd->bij", features, keys, precision=jax.lax.Precision.HIGHEST
        )
        count = jnp.sum(is_pair, axis=-1, dtype=jnp.float32)
        return terms(similarity, is_pair), count

    return over_blocks(compare, (queries, centres), block=block)


def _distances(centres, others, unit):
    """[B, i, 2], [B, j, 2] and units [B] -> [B, i, j]."""
    apart = centres[:, :, None] - others[:, None]  # [B, i, j, 2]
    # A crop of one pixel has a cell without extent: any distance counts as far.
    unit = jnp.maximum(unit, 1e-12)[:, None, None]
    return jnp.sqrt(jnp.sum(apart**2, axis=-1)) / unit
