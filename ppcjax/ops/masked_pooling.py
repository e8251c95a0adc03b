"""Prototypes by masked average pooling, and how similar pixels are to them.

Wang et al., "PANet: Few-Shot Image Semantic Segmentation with Prototype Alignment",
ICCV 2019, eq. 1-3.
"""

import chex
import jax
import jax.numpy as jnp

from ppcjax.ops.masks import l2_normalize
from ppcjax.ops.resize import bilinear_matrix, resize

EPSILON = 1e-5  # added to the mass of a mask

_HIGHEST = jax.lax.Precision.HIGHEST


def resize_adjoint(
    weights: chex.Array,
    size: tuple[int, int],
    *,
    align_corners: bool,
    grid_extent: chex.Array | None = None,
    extent: chex.Array | None = None,
) -> jax.Array:
    """The adjoint of a bilinear resize from a grid to an image.

        sum_x resize(F)(x) w(x) = sum_q F(q) resize_adjoint(w)(q)   for every F

    so that a weighted sum over an upsampled map needs no upsampled map.

    Args:
        weights: [B, H, W, J] real weights w at the size of the image.
        size: (h, w) of the grid.
        align_corners: convention of the resize.
        grid_extent: [B, 2] true rows and columns of the grids; None: all.
        extent: [B, 2] true rows and columns of the images, given with `grid_extent`.

    Returns:
        [B, h, w, J] float32.
    """
    chex.assert_rank(weights, 4)
    x = jnp.asarray(weights, jnp.float32)
    for axis, cells in zip((1, 2), size, strict=True):

        def matrix_of(o=None, i=None, pixels=x.shape[axis], cells=cells):
            return bilinear_matrix(
                pixels, cells, align_corners=align_corners, out_extent=o, in_extent=i
            )

        if extent is None:
            matrix, batch = matrix_of(), ""
        else:
            pairs = extent[:, axis - 1], grid_extent[:, axis - 1]
            matrix, batch = jax.vmap(matrix_of)(*pairs), "b"
        x = jnp.einsum(f"{batch}{_EQUATIONS[axis]}", matrix, x, precision=_HIGHEST)
    return x


_EQUATIONS = {1: "ih,biwj->bhwj", 2: "iv,bhij->bhvj"}


def masked_sums(
    features: chex.Array,
    masks: chex.Array,
    *,
    align_corners: bool,
    at: str = "image",
    grid_extent: chex.Array | None = None,
    extent: chex.Array | None = None,
) -> tuple[jax.Array, jax.Array]:
    """Sums of features over masks, and the masks' areas.

    Args:
        features: [B, h, w, D].
        masks: [B, H, W, J] weights >= 0 at the size of the image.
        align_corners: convention of the resize between grid and image.
        at: where they meet. "image": features are resized to the masks (by the
            adjoint, hence never formed); "grid": masks are resized to the features.
        grid_extent: [B, 2] true rows and columns of the grids; None: all.
        extent: [B, 2] true rows and columns of the images, given with `grid_extent`.

    Returns:
        sums [B, J, D] and areas [B, J], of pixels or of cells; float32.
    """
    chex.assert_rank([features, masks], 4)
    size = features.shape[1:3]
    if at == "image":
        weights = resize_adjoint(
            masks,
            size,
            align_corners=align_corners,
            grid_extent=grid_extent,
            extent=extent,
        )
        area = jnp.sum(masks.astype(jnp.float32), axis=(1, 2))
    else:
        weights = resize(
            masks,
            size,
            align_corners=align_corners,
            in_extent=extent,
            out_extent=grid_extent,
        )
        area = jnp.sum(weights, axis=(1, 2))
    features = features.astype(jnp.float32)
    sums = jnp.einsum("bhwj,bhwd->bjd", weights, features, precision=_HIGHEST)
    return sums, area


def masked_average(sums: chex.Array, area: chex.Array) -> jax.Array:
    """Prototypes sums / (area + 1e-5); an empty mask gives the zero vector.

    Args:
        sums: [..., D] of `masked_sums`.
        area: [...].

    Returns:
        [..., D].
    """
    chex.assert_equal_shape_prefix([sums, area], area.ndim)
    return sums / (area + EPSILON)[..., None]


def cosine_map(features: chex.Array, prototypes: chex.Array) -> jax.Array:
    """Cosines of the angles between pixels and prototypes.

        cos(a, b) = <a, b> / (max(|a|, 1e-8) max(|b|, 1e-8))

    Args:
        features: [B, ..., D].
        prototypes: [B, J, D]; a zero vector is at 0 to everything.

    Returns:
        [B, ..., J] float32 in [-1, 1].
    """
    chex.assert_equal_shape_prefix([features, prototypes], 1)
    pixels = l2_normalize(features.astype(jnp.float32), epsilon=1e-8)
    centres = l2_normalize(prototypes.astype(jnp.float32), epsilon=1e-8)
    return jnp.einsum("b...d,bjd->b...j", pixels, centres, precision=_HIGHEST)
