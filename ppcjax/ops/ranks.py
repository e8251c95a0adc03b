"""Selecting the largest or smallest values of a long vector without sorting it."""

import chex
import jax
import jax.numpy as jnp


def largest_weights(x: chex.Array, k: int) -> jax.Array:
    """Weights that pick the k largest entries of each row.

    Entries above the k-th largest value get 1; entries equal to it share what is
    left, so every row sums to k whatever the ties. The k-th value is found by
    bisection over bit patterns: 31 counting passes, no sort, any k.

    Args:
        x: [B, P] values >= 0, finite.
        k: 1 <= k <= P.

    Returns:
        [B, P] float32 in [0, 1], a constant for gradients.
    """
    chex.assert_rank(x, 2)
    x = jax.lax.stop_gradient(jnp.asarray(x, jnp.float32))
    # Non-negative floats are ordered as their bit patterns are.
    bits = jax.lax.bitcast_convert_type(jnp.maximum(x, 0.0), jnp.int32)

    def set_bit(i, kth):
        candidate = kth | (1 << (30 - i))
        enough = jnp.sum(bits >= candidate, axis=1, keepdims=True) >= k
        return jnp.where(enough, candidate, kth)

    kth = jax.lax.fori_loop(0, 31, set_bit, jnp.zeros((x.shape[0], 1), jnp.int32))
    above = bits > kth
    ties = bits == kth
    missing = k - jnp.sum(above, axis=1, keepdims=True)  # >= 1
    share = missing / jnp.sum(ties, axis=1, keepdims=True)
    return above + ties * share.astype(jnp.float32)


def kth_smallest(x: chex.Array, k: chex.Numeric) -> jax.Array:
    """The value that k others precede when all are sorted from the smallest on.

    Args:
        x: any shape, values >= 0, infinities allowed.
        k: 0 <= k < number of values; may be traced.

    Returns:
        [] float32, a constant for gradients.
    """
    x = jax.lax.stop_gradient(jnp.asarray(x, jnp.float32))
    bits = jax.lax.bitcast_convert_type(x, jnp.int32)

    def set_bit(i, kth):  # the largest pattern with at most k smaller ones
        candidate = kth | (1 << (30 - i))
        return jnp.where(jnp.sum(bits < candidate) <= k, candidate, kth)

    kth = jax.lax.fori_loop(0, 31, set_bit, jnp.int32(0))
    return jax.lax.bitcast_convert_type(kth, jnp.float32)


def largest_mean(x: chex.Array, k: int) -> jax.Array:
    """Mean of the k largest entries of each row.

    Args:
        x: [B, P] values >= 0.
        k: 1 <= k <= P.

    Returns:
        [B] float32.
    """
    return jnp.sum(largest_weights(x, k) * x, axis=1) / k


def smallest_mean(x: chex.Array, k: int) -> jax.Array:
    """Mean of the k smallest entries of each row.

    Args:
        x: [B, P] values >= 0.
        k: 1 <= k < P.

    Returns:
        [B] float32.
    """
    rest = largest_weights(x, x.shape[1] - k)
    return jnp.sum((1.0 - rest) * x, axis=1) / k
