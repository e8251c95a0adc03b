"""Colour on the device: jitter and normalisation of uint8 batches."""

import chex
import jax
import jax.numpy as jnp

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
_GREY = (0.299, 0.587, 0.114)  # ITU-R 601 luma


def valid_mask(valid: chex.Array, height: int, width: int) -> jax.Array:
    """Pixels within rectangles (y0, x0, y1, x1).

    Args:
        valid: [B, 4] int32.
        height: rows of the mask.
        width: columns of the mask.

    Returns:
        [B, height, width, 1] bool.
    """
    y, x = jnp.arange(height)[None], jnp.arange(width)[None]
    rows = (y >= valid[:, 0:1]) & (y < valid[:, 2:3])
    columns = (x >= valid[:, 1:2]) & (x < valid[:, 3:4])
    return (rows[:, :, None] & columns[:, None, :])[..., None]


def normalize(
    image: chex.Array,
    valid: chex.Array | None,
    *,
    mean: tuple[float, float, float],
    std: tuple[float, float, float],
    padding: float | None = None,
) -> jax.Array:
    """(image - mean) / std inside the valid rectangle.

    Args:
        image: [B, H, W, 3] float32 in [0, 1].
        valid: [B, 4] int32 rectangle (y0, x0, y1, x1); None: all of the image.
        mean: per channel.
        std: per channel.
        padding: grey in [0, 1] that fills the rest, normalised too; None: the rest
            is 0, which is the mean colour.

    Returns:
        [B, H, W, 3] float32.
    """
    if valid is None:
        return standardize(image, mean=mean, std=std)
    chex.assert_shape(image, (valid.shape[0], None, None, 3))
    rest = 0.0
    if padding is not None:
        rest = standardize(jnp.full((1, 1, 1, 3), padding), mean=mean, std=std)
    inside = valid_mask(valid, *image.shape[1:3])
    return jnp.where(inside, standardize(image, mean=mean, std=std), rest)


def standardize(
    image: chex.Array,
    *,
    mean: tuple[float, float, float],
    std: tuple[float, float, float],
) -> jax.Array:
    """(image - mean) / std per channel of [..., 3] RGB in [0, 1]."""
    return (image - _like(image, mean)) / _like(image, std)


def jitter(
    image: chex.Array,
    valid: chex.Array,
    key: chex.PRNGKey,
    *,
    strengths: tuple[float, float, float, float],
) -> jax.Array:
    """Random brightness, contrast, saturation and hue, in random order per image.

    Factors are uniform in [1 - s, 1 + s] for the first three, and the hue turns by
    a share of the circle uniform in [-s, s]. Results are clipped to [0, 1]
    after every step.

    Args:
        image: [B, H, W, 3] float32 in [0, 1].
        valid: [B, 4] int32 rectangle over which the mean grey of contrast is taken.
        key: a PRNG key; row b uses fold_in(key, b), whatever the device.
        strengths: strength of brightness, contrast and saturation, each in [0, 1],
            and of hue, in [0, 0.5].

    Returns:
        [B, H, W, 3] float32 in [0, 1].

    Deviations: PIL rounds to 8 bits after every step and takes the mean grey over
        the photo before cropping; here nothing is rounded and the crop is used.
    """
    inside = valid_mask(valid, *image.shape[1:3])
    keys = jax.vmap(lambda row: jax.random.fold_in(key, row))(
        jnp.arange(image.shape[0])
    )

    def one(x, mask, image_key):  # [H, W, 3], [H, W, 1]
        order_key, amount_key = jax.random.split(image_key)
        order = jax.random.permutation(order_key, 4)
        amounts = jax.random.uniform(amount_key, (4,), minval=-1.0, maxval=1.0)
        amounts = amounts * jnp.asarray(strengths)
        steps = (
            lambda x: _blend(x, jnp.zeros((1, 1, 1)), 1.0 + amounts[0]),
            lambda x: _blend(x, _mean_grey(x, mask), 1.0 + amounts[1]),
            lambda x: _blend(x, grey(x), 1.0 + amounts[2]),
            lambda x: turn_hue(x, amounts[3]),
        )
        for i in range(4):
            x = jax.lax.switch(order[i], steps, x)
        return x

    return jax.vmap(one)(image, inside, keys)


def shift_hsv(image: chex.Array, key: chex.PRNGKey, *, largest: int) -> jax.Array:
    """Adds random whole numbers to hue, saturation and value of each image.

    The numbers are uniform in -largest..largest, in the units of 8-bit HSV: 2 degrees
    of hue, 1/255 of saturation and value. The hue goes round, the others are clipped.

    Args:
        image: [B, H, W, 3] float32 in [0, 1].
        key: a PRNG key; row b uses fold_in(key, b), whatever the device.
        largest: >= 0.

    Returns:
        [B, H, W, 3] float32 in [0, 1].

    Deviations: OpenCV rounds hue, saturation and value to 8 bits; here nothing is.
    """
    keys = jax.vmap(lambda row: jax.random.fold_in(key, row))(
        jnp.arange(image.shape[0])
    )

    def one(x, image_key):  # [H, W, 3]
        shifts = jax.random.randint(image_key, (3,), -largest, largest + 1)
        turn, more_saturation, more_value = shifts / jnp.array([180.0, 255.0, 255.0])
        hue, chroma, value = _hue_chroma_value(x)
        saturation = chroma / jnp.where(value > 0, value, 1.0) + more_saturation
        value = jnp.clip(value + more_value, 0.0, 1.0)
        return _from_hue(hue + turn, value * jnp.clip(saturation, 0.0, 1.0), value)

    return jax.vmap(one)(image, keys)


def shift_brightness(
    image: chex.Array, key: chex.PRNGKey, *, largest: int
) -> jax.Array:
    """Adds one random whole number of 8-bit grey levels to all channels of each image.

    Args:
        image: [B, H, W, 3] float32 in [0, 1].
        key: a PRNG key; row b uses fold_in(key, b), whatever the device.
        largest: >= 0; numbers are uniform in -largest..largest.

    Returns:
        [B, H, W, 3] float32 in [0, 1].
    """
    keys = jax.vmap(lambda row: jax.random.fold_in(key, row))(
        jnp.arange(image.shape[0])
    )
    shifts = jax.vmap(lambda k: jax.random.randint(k, (), -largest, largest + 1))(keys)
    return jnp.clip(image + shifts[:, None, None, None] / 255.0, 0.0, 1.0)


def grey(image: chex.Array) -> jax.Array:
    """Luma of ITU-R 601: [..., 3] RGB -> [..., 1], in the range of the image."""
    return jnp.sum(image * _like(image, _GREY), axis=-1, keepdims=True)


def turn_hue(image: chex.Array, turn: chex.Numeric) -> jax.Array:
    """Turns the hue of the HSV colour model, keeping saturation and value.

    Args:
        image: [..., 3] RGB in [0, 1].
        turn: share of the full circle.

    Returns:
        [..., 3] RGB in [0, 1].
    """
    hue, chroma, value = _hue_chroma_value(image)
    return _from_hue(hue + turn, chroma, value)


def _hue_chroma_value(image):
    """Hue as a share of the circle (0 where grey), chroma and value, each [...]."""
    high, low = jnp.max(image, axis=-1), jnp.min(image, axis=-1)
    chroma = high - low
    safe = jnp.where(chroma > 0, chroma, 1.0)
    red, green, blue = image[..., 0], image[..., 1], image[..., 2]
    sector = jnp.where(
        high == red,
        (green - blue) / safe,
        jnp.where(high == green, 2.0 + (blue - red) / safe, 4.0 + (red - green) / safe),
    )
    return sector / 6.0, chroma, high


def _from_hue(hue, chroma, value):
    """RGB [..., 3] of a hue (any real number), a chroma and a value."""
    # Each channel is a trapezoid in the hue: f(n) = v - c max(0, min(k, 4 - k, 1)).
    hue, chroma, value = (part[..., None] for part in (hue, chroma, value))
    k = (_like(hue, (5.0, 3.0, 1.0)) + hue * 6.0) % 6.0
    return value - chroma * jnp.clip(jnp.minimum(k, 4.0 - k), 0.0, 1.0)


def _like(image: jax.Array, values: tuple[float, ...]) -> jax.Array:
    """Values per channel, shaped to meet `image` [..., 3]."""
    return jnp.asarray(values, jnp.float32).reshape((1,) * (image.ndim - 1) + (3,))


def _mean_grey(image: jax.Array, mask: jax.Array) -> jax.Array:
    return jnp.sum(grey(image) * mask, keepdims=True) / jnp.maximum(jnp.sum(mask), 1)


def _blend(image: jax.Array, other: jax.Array, factor: jax.Array) -> jax.Array:
    return jnp.clip(other + factor * (image - other), 0.0, 1.0)
