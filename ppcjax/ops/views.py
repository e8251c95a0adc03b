"""Random colours of the two views of a self-supervised method, on the device.

Grill et al. (BYOL), NeurIPS 2020, appendix B: the operations, their order and their
probabilities; each view has its own.
"""

from collections.abc import Sequence

import chex
import jax
import jax.numpy as jnp

from ppcjax.ops import colour


def recolour(
    image: chex.Array,
    key: chex.PRNGKey,
    *,
    jitter: Sequence[float] = (0.4, 0.4, 0.2, 0.1),
    jitter_share: float = 0.8,
    greyscale_share: float = 0.2,
    blur_share: float = 1.0,
    blur_sigma: tuple[float, float] = (0.1, 2.0),
    solarize_share: float = 0.0,
) -> jax.Array:
    """Jitters, greys, blurs and solarizes, in this order, each a share of the images.

    Args:
        image: [B, H, W, 3] float32 in [0, 1].
        key: a PRNG key; row b uses fold_in(., b), whatever the device.
        jitter: strength of brightness, contrast, saturation and hue, which come in
            random order, see `ppcjax.ops.colour.jitter`.
        jitter_share: share of images jittered, in [0, 1].
        greyscale_share: share whose three channels become the luma.
        blur_share: share blurred.
        blur_sigma: least and largest deviation of the blur, pixels.
        solarize_share: share whose brighter half is inverted.

    Returns:
        [B, H, W, 3] float32 in [0, 1].

    Deviations: the released program rounds to 8 bits after each operation, and its
        blur is PIL's, which approximates a Gaussian by three boxes.
    """
    chex.assert_shape(image, (None, None, None, 3))
    batch, height, width, _ = image.shape
    keys = jax.random.split(key, 6)
    whole = jnp.tile(jnp.array([[0, 0, height, width]], jnp.int32), (batch, 1))

    def choose(key, share, changed, image):
        return jnp.where(_draws(key, batch) < share, changed, image)

    if jitter_share and any(jitter):
        jittered = colour.jitter(image, whole, keys[0], strengths=tuple(jitter))
        image = choose(keys[1], jitter_share, jittered, image)
    if greyscale_share:
        image = choose(keys[2], greyscale_share, greyscale(image), image)
    if blur_share:
        low, high = blur_sigma
        sigma = low + (high - low) * _draws(keys[3], batch)[:, 0, 0, 0]
        image = choose(keys[4], blur_share, gaussian_blur(image, sigma), image)
    if solarize_share:
        image = choose(keys[5], solarize_share, solarize(image), image)
    return image


def greyscale(image: chex.Array) -> jax.Array:
    """The luma (ITU-R 601) in all three channels; [..., 3] in [0, 1]."""
    return jnp.broadcast_to(colour.grey(image), image.shape)


def solarize(image: chex.Array, *, threshold: float = 128 / 255) -> jax.Array:
    """1 - v for values v in [0, 1] from the threshold on."""
    return jnp.where(image < threshold, image, 1.0 - image)


def gaussian_blur(
    image: chex.Array, sigma: chex.Array, *, radius: int = 11
) -> jax.Array:
    """Blurs each image by a Gaussian; borders repeat the last pixel.

    Args:
        image: [B, H, W, 3].
        sigma: [B] deviation in pixels, above 0.
        radius: taps on either side of the centre.

    Returns:
        [B, H, W, 3] float32.
    """
    for axis, spec in ((1, "bij,bjwc->biwc"), (2, "bij,bhjc->bhic")):
        size = image.shape[axis]
        border = [(0, 0)] * 4
        border[axis] = (radius, radius)
        padded = jnp.pad(image, border, mode="edge")
        # As a product with a banded matrix: one fast operation on every device.
        to, fro = jnp.arange(size)[:, None], jnp.arange(size + 2 * radius)[None]
        apart = (fro - to - radius)[None]  # [1, size, size + 2 radius]
        weights = jnp.exp(-(apart**2) / (2.0 * sigma**2)[:, None, None])
        weights = jnp.where(jnp.abs(apart) <= radius, weights, 0.0)
        weights = weights / jnp.sum(weights, axis=-1, keepdims=True)
        image = jnp.einsum(spec, weights, padded, precision=jax.lax.Precision.HIGHEST)
    return image


def _draws(key: chex.PRNGKey, batch: int) -> jax.Array:
    """[B, 1, 1, 1] uniform in [0, 1); row b depends on the key and b only."""
    rows = jnp.arange(batch)
    draws = jax.vmap(lambda b: jax.random.uniform(jax.random.fold_in(key, b)))(rows)
    return draws[:, None, None, None]
