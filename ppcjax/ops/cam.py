"""Class activation maps: cleaning, normalising, and the pixel correlation module.

Wang et al., "Self-supervised Equivariant Attention Mechanism for Weakly Supervised
Semantic Segmentation" (SEAM), CVPR 2020, as used by PPC. Maps are [B, h, w, C] with
one background channel, whose index is an argument.
"""

import chex
import jax
import jax.numpy as jnp

from ppcjax.ops.blocks import over_blocks
from ppcjax.ops.masks import norm

EPSILON = 1e-5  # of every division and comparison of SEAM and PPC


def replace_channel(x: chex.Array, channel: int, value: chex.Numeric) -> jax.Array:
    """`x` with one channel replaced.

    Args:
        x: [..., C].
        channel: index in 0..C-1.
        value: [...] or a scalar.

    Returns:
        [..., C].
    """
    value = jnp.broadcast_to(value, x.shape[:-1])[..., None]
    return jnp.where(_is_channel(x, channel), value, x)


def foreground_max(x: chex.Array, background: int) -> jax.Array:
    """Largest foreground channel of each pixel, for maps that are >= 0.

    Args:
        x: [..., C] values >= 0.
        background: index of the background channel.

    Returns:
        [...].
    """
    return jnp.max(replace_channel(x, background, 0.0), axis=-1)


def keep_foreground_max(x: chex.Array, background: int) -> jax.Array:
    """Zeroes the foreground channels that are below the pixel's foreground maximum.

    Ties all survive; the background channel passes unchanged.

    Args:
        x: [..., C] values >= 0.
        background: index of the background channel.

    Returns:
        [..., C].
    """
    strongest = foreground_max(x, background)[..., None]
    return jnp.where(_is_channel(x, background) | (x == strongest), x, 0.0)


def clean(
    cam: chex.Array, *, background: int = 0, inside: chex.Array | None = None
) -> jax.Array:
    """Turns raw maps into a two-sparse distribution over classes per pixel.

        D = relu(cam);  Q = relu(D - e) / (max_hw D + e);  Q[bg] = 1 - max_fg Q

    after which only the strongest foreground class of each pixel is kept. Image
    labels play no part. Constant for gradients.

    Args:
        cam: [B, h, w, C] raw maps.
        background: index of the background channel.
        inside: [B, h, w, 1] bool, the cells that belong to the image; cells outside
            take no part in the maximum and come out as 0.

    Returns:
        [B, h, w, C] in [0, 1].
    """
    chex.assert_rank(cam, 4)
    positive = jax.nn.relu(jax.lax.stop_gradient(cam))
    if inside is not None:
        positive = positive * inside
    top = jnp.max(positive, axis=(1, 2), keepdims=True) + EPSILON
    cleaned = jax.nn.relu(positive - EPSILON) / top
    rest = 1.0 - foreground_max(cleaned, background)
    cleaned = replace_channel(cleaned, background, rest)
    cleaned = keep_foreground_max(cleaned, background)
    return cleaned if inside is None else cleaned * inside


def max_norm(cam: chex.Array) -> jax.Array:
    """Scales each map to [0, 1] by its spatial extrema.

        T = relu(cam);  relu(T - min T - e) / (max T - min T + e)

    Gradients flow through the extrema too.

    Args:
        cam: [B, h, w, C].

    Returns:
        [B, h, w, C] in [0, 1].
    """
    positive = jax.nn.relu(cam)
    high = jnp.max(positive, axis=(1, 2), keepdims=True)
    low = jnp.min(positive, axis=(1, 2), keepdims=True)
    return jax.nn.relu(positive - low - EPSILON) / (high - low + EPSILON)


def confidence(
    cam: chex.Array, *, background: int = 0, threshold: float = 0.2
) -> jax.Array:
    """Scores from which PPC draws pseudo labels and prototypes.

        S = (R' - min - e) / (max - min + e),  R' = R where R >= min + e else 0
        S[bg] = threshold

    S is not clipped: the smallest cell lies a little below 0, and a map that is zero
    everywhere becomes exactly -1. Constant for gradients.

    Args:
        cam: [B, h, w, C] maps; negative values count as 0.
        background: index of the background channel.
        threshold: constant background score, in (0, 1).

    Returns:
        [B, h, w, C] float32 <= 1.
    """
    positive = jax.nn.relu(jax.lax.stop_gradient(cam))
    high = jnp.max(positive, axis=(1, 2), keepdims=True)
    low = jnp.min(positive, axis=(1, 2), keepdims=True)
    positive = jnp.where(positive < low + EPSILON, 0.0, positive)
    scores = (positive - low - EPSILON) / (high - low + EPSILON)
    return replace_channel(scores, background, threshold)


def pixel_correlation(
    maps: chex.Array, features: chex.Array, *, power: float = 1.0, block: int = 1024
) -> jax.Array:
    """The pixel correlation module: each pixel becomes a mean over similar pixels.

        a_ij = relu(<z_i, z_j>)^q,  R_j = sum_i Q_i a_ij / (sum_i a_ij + e)

    with z_i = Z_i / (||Z_i|| + e). The weights of one R_j sum to 1: these are the
    columns of a where maps stand to its left, and the rows where they stand to its
    right, as a is symmetric. Columns are formed `block` at a time and recomputed for
    the gradient, so memory is linear in the number of pixels; results and gradients
    are those of the dense form.

    Args:
        maps: [B, h, w, C] maps Q.
        features: [B, h, w, D] features Z; a zero vector is similar to nothing.
        power: q > 0; above 1 what is less alike counts less.
        block: columns formed at once.

    Returns:
        [B, h, w, C] float32.

    Source: SEAM eq. 3-4 (their rectified cosine affinity).
    """
    chex.assert_rank([maps, features], 4)
    chex.assert_equal_shape_prefix([maps, features], 3)
    batch, height, width, classes = maps.shape
    pixels = height * width
    maps = maps.reshape(batch, pixels, classes).astype(jnp.float32)
    features = features.reshape(batch, pixels, -1).astype(jnp.float32)
    features = features / (norm(features) + EPSILON)  # [B, P, D]

    def columns(chunk):  # [B, b, D] -> [B, b, C]
        affinity = jax.nn.relu(jnp.einsum("bid,bjd->bij", features, chunk))
        affinity = _power(affinity, power)
        mass = jnp.sum(affinity, axis=1)[..., None] + EPSILON  # [B, b, 1]
        return jnp.einsum("bij,bic->bjc", affinity, maps) / mass

    result = over_blocks(columns, features, block=block)
    return result.reshape(batch, height, width, classes)


def _power(x: jax.Array, power: float) -> jax.Array:
    """A power of x >= 0; where x is 0 the gradient is 0, not infinite or NaN."""
    if power in (1, 2):
        return x if power == 1 else jnp.square(x)
    there = x > 0
    return jnp.where(there, jnp.where(there, x, 1.0) ** power, 0.0)


def _is_channel(x: chex.Array, channel: int) -> jax.Array:
    return jax.lax.broadcasted_iota(jnp.int32, x.shape, x.ndim - 1) == channel
