"""Resizing: bilinear, as a product with one small matrix per axis, and nearest.

Matrices make the published conventions exact (with and without aligned corners,
never antialiased), run as matrix products on every device, and compose: resizing
twice is one product of matrices, and the map in between is never formed.
"""

import chex
import jax
import jax.numpy as jnp
import numpy as np


def bilinear_matrix(
    out_size: int,
    in_size: int,
    *,
    align_corners: bool,
    out_extent: chex.Numeric | None = None,
    in_extent: chex.Numeric | None = None,
) -> chex.Array:
    """Weights of a bilinear resize along one axis, without antialiasing.

        out[i] = sum_j matrix[i, j] in[j]

    Source positions are i (in - 1) / (out - 1) with aligned corners, else
    (i + 1/2) in / out - 1/2, clamped to the input. They are computed in integers,
    so the weights are right to the last bit of float32 at any size.

    Args:
        out_size: rows of the matrix.
        in_size: columns of the matrix.
        align_corners: whether the end cells of input and output coincide.
        out_extent: [] true output size <= out_size, which may be traced; rows
            beyond are zero. None: out_size.
        in_extent: [] true input size <= in_size; columns beyond are zero.

    Returns:
        [out_size, in_size] float32; NumPy where no extent is given.
    """
    xp = np if out_extent is None and in_extent is None else jnp
    true_out = out_size if out_extent is None else out_extent
    true_in = in_size if in_extent is None else in_extent
    i = xp.arange(out_size)
    if align_corners:
        numerator = i * (true_in - 1)
        denominator = xp.maximum(true_out - 1, 1)
    else:
        numerator = xp.maximum((2 * i + 1) * true_in - true_out, 0)
        denominator = 2 * true_out
    lower = xp.minimum(numerator // denominator, true_in - 1)  # [out]
    upper = xp.minimum(lower + 1, true_in - 1)
    fraction = (numerator % denominator) / xp.asarray(denominator, xp.float32)
    fraction = fraction.astype(xp.float32)[:, None]
    j = xp.arange(in_size)[None, :]
    matrix = (j == lower[:, None]) * (1 - fraction) + (j == upper[:, None]) * fraction
    inside = (i < true_out)[:, None]
    return (matrix * inside).astype(xp.float32)


@jax.named_scope("resize")
def resize(
    x: chex.Array,
    size: tuple[int, int],
    *,
    align_corners: bool,
    in_extent: chex.Array | None = None,
    out_extent: chex.Array | None = None,
) -> jax.Array:
    """Resizes images bilinearly, without antialiasing.

    Args:
        x: [B, H, W, D], any real values.
        size: (height, width) of the result.
        align_corners: whether corner pixels keep their values (the convention of
            PPC and SEAM inside the network) or pixel areas are aligned.
        in_extent: [B, 2] true rows and columns of each image; None: all.
        out_extent: [B, 2] true rows and columns of each result, given together
            with `in_extent`; the rest is zero.

    Returns:
        [B, height, width, D] float32.
    """
    chex.assert_rank(x, 4)
    x = jnp.asarray(x, jnp.float32)
    for axis, out_size in zip((1, 2), size, strict=True):
        in_size = x.shape[axis]
        if in_extent is not None:

            def matrix_of(o, i, out_size=out_size, in_size=in_size):
                return bilinear_matrix(
                    out_size,
                    in_size,
                    align_corners=align_corners,
                    out_extent=o,
                    in_extent=i,
                )

            matrix = jax.vmap(matrix_of)(
                out_extent[:, axis - 1], in_extent[:, axis - 1]
            )
            x = _apply("b" + _EQUATIONS[axis], matrix, x)
        elif in_size != out_size:
            matrix = bilinear_matrix(out_size, in_size, align_corners=align_corners)
            x = _apply(_EQUATIONS[axis], matrix, x)
    return x


_EQUATIONS = {1: "ih,bhwd->biwd", 2: "jw,bhwd->bhjd"}


def _apply(equation: str, matrix: chex.Array, x: jax.Array) -> jax.Array:
    return jnp.einsum(equation, matrix, x, precision=jax.lax.Precision.HIGHEST)


def resized_mean(x: chex.Array, size: tuple[int, int]) -> jax.Array:
    """Spatial mean of `resize(x, size, align_corners=True)`, never formed.

    Aligned corners give border cells about half the weight of the others.

    Args:
        x: [B, h, w, D].
        size: (height, width) of the map whose mean is taken.

    Returns:
        [B, D] float32.
    """
    rows, columns = (
        bilinear_matrix(out_size, in_size, align_corners=True).mean(axis=0)
        for out_size, in_size in zip(size, x.shape[1:3], strict=True)
    )
    return jnp.einsum(
        "h,w,bhwd->bd", rows, columns, x, precision=jax.lax.Precision.HIGHEST
    )


def shrink_nearest(
    mask: chex.Array,
    size: tuple[int, int],
    *,
    in_extent: chex.Array | None = None,
    out_extent: chex.Array | None = None,
) -> jax.Array:
    """Takes row floor(i H / h) and column floor(j W / w), as OpenCV's INTER_NEAREST.

    Args:
        mask: [B, H, W], any type.
        size: (h, w) of the result.
        in_extent: [B, 2] true rows and columns of each mask; None: all.
        out_extent: [B, 2] true rows and columns of each result, given together with
            `in_extent`; the rest is zero.

    Returns:
        [B, h, w] of the type of `mask`.
    """
    chex.assert_rank(mask, 3)
    for axis, cells in zip((1, 2), size, strict=True):
        i = jnp.arange(cells)[None, :]
        if in_extent is None:
            source, inside = i * mask.shape[axis] // cells, None
        else:
            true_out = jnp.maximum(out_extent[:, axis - 1 : axis], 1)
            source = i * in_extent[:, axis - 1 : axis] // true_out
            inside = i < out_extent[:, axis - 1 : axis]
            source = jnp.where(inside, source, 0)
        others = tuple(a for a in (1, 2) if a != axis)
        mask = jnp.take_along_axis(mask, jnp.expand_dims(source, others), axis=axis)
        if inside is not None:
            mask = jnp.where(jnp.expand_dims(inside, others), mask, 0)
    return mask
