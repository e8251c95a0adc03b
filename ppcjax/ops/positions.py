"""Learnt positions of a vision transformer, resized to the grid of an image.

A table of M cells is brought to g cells, each axis apart, by a matrix of weights
k(i, j) of source cell j in target cell i, from the distance of their centres:

    rule         kernel            distance of i and j, in source cells
    offset       cubic, a = -3/4   (i + 1/2) M / (g + 1/10) - (j + 1/2)
    bicubic      cubic, a = -3/4   (i + 1/2) M / g - (j + 1/2)
    antialias    cubic, a = -1/2   the same, over max(1, M / g); rows sum to 1
    bilinear     max(0, 1 - |x|)   (i + 1/2) M / g - (j + 1/2)

What falls beyond the table goes to its border cells, but for "antialias", which does
without. The cubic kernel of a is Keys', "Cubic Convolution Interpolation for Digital
Image Processing", 1981.
"""

from typing import Literal

import chex
import jax
import jax.numpy as jnp
import numpy as np

Rule = Literal["offset", "bicubic", "antialias", "bilinear"]

_BEYOND = 2  # cells that a kernel reaches past the border


def position_matrix(
    out_size: int,
    in_size: int,
    rule: Rule,
    *,
    extent: chex.Numeric | None = None,
    shifted: chex.Numeric = True,
) -> chex.Array:
    """Weights that resize a table of positions along one axis.

        out[i] = sum_j matrix[i, j] in[j]

    Distances are quotients of whole numbers, so the weights are right to the last
    bits of float32 at any size.

    Args:
        out_size: rows of the matrix.
        in_size: columns of the matrix, M.
        rule: row of the table above.
        extent: [] true number of cells g <= out_size, which may be traced; rows
            beyond are zero. None: out_size.
        shifted: whether "offset" adds its 1/10; may be traced. Other rules add none.

    Returns:
        [out_size, in_size] float32; NumPy where no extent is given.
    """
    xp = np if extent is None else jnp
    cells = out_size if extent is None else xp.maximum(extent, 1)
    i = xp.arange(out_size)[:, None]
    beyond = 0 if rule == "antialias" else _BEYOND
    j = xp.arange(-beyond, in_size + beyond)[None, :]
    # Ten times g + 1/10, or g: all else is scaled by ten as well.
    target = 10 * cells + (1 if rule == "offset" else 0) * shifted
    distance = (2 * i + 1) * 10 * in_size - (2 * j + 1) * target
    unit = xp.maximum(target, 10 * in_size) if rule == "antialias" else target
    x = xp.abs(distance) / xp.asarray(2 * unit, xp.float32)
    matrix = _kernel(x.astype(xp.float32), rule, xp)
    if rule == "antialias":
        total = matrix.sum(axis=1, keepdims=True)
        matrix = matrix / xp.where(i < cells, total, 1)
    else:
        low, matrix, high = xp.split(matrix, (beyond, beyond + in_size), axis=1)
        own = xp.arange(in_size)[None, :]
        first, last = own == 0, own == in_size - 1
        matrix += first * low.sum(axis=1, keepdims=True)
        matrix += last * high.sum(axis=1, keepdims=True)
    return (matrix * (i < cells)).astype(xp.float32)


def _kernel(x, rule, xp):
    """Weight of a cell at distance x >= 0."""
    if rule == "bilinear":
        return xp.maximum(1 - x, 0)
    a = -0.5 if rule == "antialias" else -0.75
    # Products, which are exact to the last bits where the weight vanishes.
    near = (1 - x) * (1 + x - (a + 2) * x * x)
    far = a * (x - 1) * (x - 2) * (x - 2)
    return xp.where(x <= 1, near, xp.where(x < 2, far, 0))


def resize_positions(
    table: chex.Array,
    size: tuple[int, int],
    rule: Rule,
    *,
    extent: chex.Array | None = None,
) -> jax.Array:
    """A table of positions brought to the grids of images.

    A grid of the table's own size gets the table as it is, whatever the rule.

    Args:
        table: [M, N, D].
        size: (h, w) of the result.
        rule: row of the table above.
        extent: [B, 2] true rows and columns of each grid; None: all.

    Returns:
        [1, h, w, D] float32, with an extent [B, h, w, D], zero beyond it.
    """
    table = jnp.asarray(table, jnp.float32)
    own = table.shape[:2]
    if extent is None:
        if own == tuple(size):
            return table[None]
        matrices = [
            position_matrix(o, i, rule)[None] for o, i in zip(size, own, strict=True)
        ]
    else:
        shifted = jnp.any(extent != jnp.array([own]), axis=1)  # [B]
        matrices = [
            jax.vmap(
                lambda cells, shift, o=o, i=i: position_matrix(
                    o, i, rule, extent=cells, shifted=shift
                )
            )(extent[:, axis], shifted)
            for axis, (o, i) in enumerate(zip(size, own, strict=True))
        ]
    rows, columns = matrices
    exact = jax.lax.Precision.HIGHEST
    y = jnp.einsum("bim,mnd->bind", rows, table, precision=exact)
    return jnp.einsum("bjn,bind->bijd", columns, y, precision=exact)
