"""Reductions over part of an array, where an empty part gives zero, never NaN."""

import chex
import jax
import jax.numpy as jnp


def masked_mean(x: chex.Array, mask: chex.Array) -> jax.Array:
    """Mean of `x` where `mask` holds; 0 with zero gradient where nothing does.

    Args:
        x: values of any shape.
        mask: bool or non-negative weights of the shape of `x`.

    Returns:
        [] float32.
    """
    chex.assert_equal_shape([x, mask])
    weights = jnp.asarray(mask, jnp.float32)
    total = jnp.sum(jnp.where(weights > 0, x, 0.0) * weights)
    return total / jnp.maximum(jnp.sum(weights), 1e-12)


def l2_normalize(x: chex.Array, *, axis: int = -1, epsilon: float = 1e-12) -> jax.Array:
    """Divides x by max(||x||, epsilon); a zero vector stays zero.

    Args:
        x: vectors along `axis`.
        axis: which axis holds the components.
        epsilon: smallest divisor.

    Returns:
        Array of the shape of `x`, float32, of norm 1 or 0.
    """
    return x / jnp.maximum(norm(x, axis=axis), epsilon)


def norm(x: chex.Array, *, axis: int = -1) -> jax.Array:
    """Euclidean norm, kept as an axis of size 1; its gradient at zero is zero.

    The gradient of `jnp.linalg.norm` at a zero vector is NaN; pixels that a ReLU
    silenced are such vectors.

    Args:
        x: vectors along `axis`.
        axis: which axis holds the components.

    Returns:
        Array of the shape of `x` with 1 at `axis`.
    """
    squares = jnp.sum(jnp.square(x), axis=axis, keepdims=True)
    positive = squares > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, squares, 1.0)), 0.0)
