"""Adaptive average pooling as a product with one small matrix per axis."""

import chex
import jax
import jax.numpy as jnp
import numpy as np


def adaptive_mean_matrix(
    out_size: int,
    in_size: int,
    *,
    out_extent: chex.Numeric | None = None,
    in_extent: chex.Numeric | None = None,
) -> chex.Array:
    """Weights of an adaptive average pooling along one axis, as in PyTorch.

    Cell i is the mean of cells floor(i in / out) to ceil((i + 1) in / out) - 1, so that
    windows may overlap, and repeat where the output is the larger one.

    Args:
        out_size: rows of the matrix.
        in_size: columns of the matrix.
        out_extent: [] true output size <= out_size, which may be traced; rows beyond
            are zero. None: out_size.
        in_extent: [] true input size <= in_size; columns beyond are zero.

    Returns:
        [out_size, in_size] float32; NumPy where no extent is given.
    """
    xp = np if out_extent is None and in_extent is None else jnp
    true_out = out_size if out_extent is None else xp.maximum(out_extent, 1)
    true_in = in_size if in_extent is None else in_extent
    i = xp.arange(out_size)[:, None]
    first, end = i * true_in // true_out, -(-(i + 1) * true_in // true_out)
    j = xp.arange(in_size)[None, :]
    inside = (j >= first) & (j < end) & (i < true_out)
    return (inside / xp.maximum(end - first, 1)).astype(xp.float32)


def adaptive_mean(
    x: chex.Array,
    size: tuple[int, int],
    *,
    in_extent: chex.Array | None = None,
    out_extent: chex.Array | None = None,
) -> jax.Array:
    """Pools maps to a fixed size by averaging, as PyTorch's adaptive_avg_pool2d.

    Args:
        x: [B, h, w, D], any real values.
        size: (height, width) of the result.
        in_extent: [B, 2] true rows and columns of each map; None: all.
        out_extent: [B, 2] true rows and columns of each result, given together with
            `in_extent`; the rest is zero.

    Returns:
        [B, height, width, D] float32.
    """
    chex.assert_rank(x, 4)
    x = jnp.asarray(x, jnp.float32)
    for axis, out_size in zip((1, 2), size, strict=True):
        in_size = x.shape[axis]
        if in_extent is None and in_size == out_size:
            continue
        if in_extent is None:
            matrix = adaptive_mean_matrix(out_size, in_size)
            equation = _EQUATIONS[axis]
        else:

            def matrix_of(o, i, out_size=out_size, in_size=in_size):
                return adaptive_mean_matrix(
                    out_size, in_size, out_extent=o, in_extent=i
                )

            matrix = jax.vmap(matrix_of)(
                out_extent[:, axis - 1], in_extent[:, axis - 1]
            )
            equation = "b" + _EQUATIONS[axis]
        x = jnp.einsum(equation, matrix, x, precision=jax.lax.Precision.HIGHEST)
    return x


_EQUATIONS = {1: "ih,bhwd->biwd", 2: "jw,bhwd->bhjd"}
