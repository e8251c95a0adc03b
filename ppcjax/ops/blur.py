"""Blurring of some photos of a batch."""

import chex
import jax
import jax.numpy as jnp

# OpenCV's 5x5 Gaussian kernel without a given deviation, along one axis.
_TAPS = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)


def random_blur(image: chex.Array, key: chex.PRNGKey, *, share: float) -> jax.Array:
    """Blurs a random share of the images by [1 4 6 4 1] / 16 along both axes.

    Args:
        image: [B, H, W, 3]; H and W > 2. Borders are mirrored about the last pixel.
        key: a PRNG key; row b uses fold_in(key, b), whatever the device.
        share: share of the images that is blurred, in [0, 1].

    Returns:
        [B, H, W, 3].
    """
    rows = jnp.arange(image.shape[0])
    draws = jax.vmap(lambda b: jax.random.uniform(jax.random.fold_in(key, b)))(rows)
    blurred = image
    for axis in (1, 2):
        size = image.shape[axis]
        border = [(0, 0)] * 4
        border[axis] = (2, 2)
        padded = jnp.pad(blurred, border, mode="reflect")
        blurred = sum(
            tap * jax.lax.slice_in_dim(padded, i, i + size, axis=axis)
            for i, tap in enumerate(_TAPS)
        )
    return jnp.where((draws < share)[:, None, None, None], blurred, image)
