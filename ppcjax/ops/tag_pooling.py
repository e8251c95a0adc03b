"""One number per class for a photo's tags from a map of numbers per class.

Which one decides how much of a thing the maps find: a mean asks for all of it at once,
a maximum is content with one cell, and the others lie between. Cells that do not belong
to the photo count nowhere, and a photo without cells gives 0.
"""

import chex
import jax
import jax.numpy as jnp

from ppcjax.ops import ranks

_NOWHERE = -1e30  # finite, so that gradients are


def cells_of(
    valid: chex.Array, canvas: tuple[int, int], grid: tuple[int, int]
) -> jax.Array:
    """Which cells of a grid over a canvas touch the photo that lies on it.

    Of a photo in the top left corner of a canvas of whole cells these are the
    ceil(extent / stride) ones of `ppcjax.nn.layers.shrink`.

    Args:
        valid: [B, 4] int32 rectangle (y0, x0, y1, x1) of the photo, pixels.
        canvas: rows and columns of the canvas, pixels.
        grid: rows and columns of the grid.

    Returns:
        [B, *grid, 1] bool.
    """
    chex.assert_rank(valid, 2)

    def along(axis):
        first, last = valid[:, axis, None], valid[:, axis + 2, None]
        pixels, cells = canvas[axis], grid[axis]
        i = jnp.arange(cells)[None, :]  # holds pixels i P / C up to (i + 1) P / C
        touched = (i * pixels < last * cells) & ((i + 1) * pixels > first * cells)
        return touched & (last > first)

    rows, columns = along(0), along(1)
    return (rows[:, :, None] & columns[:, None, :])[..., None]


def largest_share(
    maps: chex.Array, share: float, *, inside: chex.Array | None = None
) -> jax.Array:
    """Mean of the largest values of each class.

        mean of the max(1, round(share n)) largest s_c(t) of n cells

    Of equal values those of the first cells count.

    Args:
        maps: [B, h, w, C] values s.
        share: share of the cells that counts, in (0, 1].
        inside: [B, h, w, 1] bool, cells of the photo; None: all.

    Returns:
        [B, C] float32.
    """
    values, inside, cells = _by_class(maps, inside)
    count = jnp.maximum(jnp.round(share * cells), 1).astype(jnp.int32)
    batch, classes, size = values.shape
    chosen = ranks.first(
        jnp.where(inside, -values, jnp.inf).reshape(batch * classes, size),
        jnp.repeat(count[:, 0], classes),
    )
    chosen = chosen.reshape(values.shape) & inside
    return jnp.sum(jnp.where(chosen, values, 0.0), axis=-1) / count


def log_mean_exp(
    maps: chex.Array, sharpness: float, *, inside: chex.Array | None = None
) -> jax.Array:
    """A smooth maximum of each class: (1 / r) log mean exp(r s_c).

    Args:
        maps: [B, h, w, C] values s.
        sharpness: r > 0; towards 0 it is the mean, and the maximum of large ones.
        inside: [B, h, w, 1] bool, cells of the photo; None: all.

    Returns:
        [B, C] float32, between the mean and the maximum.
    """
    values, inside, cells = _by_class(maps, inside)
    total = jax.nn.logsumexp(jnp.where(inside, sharpness * values, _NOWHERE), axis=-1)
    found = (total - jnp.log(jnp.maximum(cells, 1.0))) / sharpness
    return jnp.where(cells > 0, found, 0.0)


def attention_mean(
    maps: chex.Array, temperature: float, *, inside: chex.Array | None = None
) -> jax.Array:
    """Mean of each class, weighted by the values themselves.

        sum_t softmax_t(s_c / T)_t s_c(t)

    Args:
        maps: [B, h, w, C] values s.
        temperature: T > 0; of large ones it is the mean.
        inside: [B, h, w, 1] bool, cells of the photo; None: all.

    Returns:
        [B, C] float32, between the mean and the maximum.
    """
    values, inside, _ = _by_class(maps, inside)
    weights = jax.nn.softmax(jnp.where(inside, values / temperature, _NOWHERE), axis=-1)
    return jnp.sum(jnp.where(inside, weights * values, 0.0), axis=-1)


def _by_class(maps, inside):
    """Values [B, C, P] float32, cells that count [B, 1, P], their number [B, 1]."""
    chex.assert_rank(maps, 4)
    batch, height, width, classes = maps.shape
    values = maps.reshape(batch, height * width, classes).swapaxes(1, 2)
    if inside is None:
        inside = jnp.ones((batch, height, width, 1), bool)
    inside = inside.reshape(batch, 1, height * width)
    # Whatever lies outside, even what is not finite, reaches no gradient.
    values = jnp.where(inside, values.astype(jnp.float32), 0.0)
    return values, inside, jnp.sum(inside, axis=-1, dtype=jnp.float32)
