"""Selecting the largest or smallest values of a long vector without sorting it.

Counting is all that is done to the vector as a whole, so that where it lies on many
devices a few counts travel between them and not its values.
"""

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


def first(x: chex.Array, count: chex.Array) -> jax.Array:
    """The smallest entries of each row; of equal ones those that come first.

    As a stable sort would choose. The last one chosen is found by its bit pattern, and
    among its equals by its place.

    Args:
        x: [R, P] values, none of them NaN.
        count: [R] int32 entries of each row, 0 to P; may be traced.

    Returns:
        [R, P] bool with `count` entries of each row.
    """
    chex.assert_rank([x, count], [2, 1])
    x = jnp.asarray(jax.lax.stop_gradient(x), jnp.float32)
    bits = jax.lax.bitcast_convert_type(jnp.where(x == 0, 0.0, x), jnp.uint32)
    # Patterns of negative numbers grow as the numbers fall, those of others with them.
    keys = bits ^ jnp.where(bits >> 31, jnp.uint32(2**32 - 1), jnp.uint32(2**31))
    rank = count - 1
    last = _at_rank(keys, rank, bits=32)
    sooner, equal = keys < last, keys == last
    rank -= jnp.sum(sooner, axis=1, dtype=jnp.int32)
    pixels = x.shape[1]
    places = jnp.where(equal, jnp.arange(pixels, dtype=jnp.uint32)[None], pixels)
    last = _at_rank(places, rank, bits=pixels.bit_length())
    chosen = sooner | (equal & (places <= last))
    return chosen & (count > 0)[:, None]


def _at_rank(keys: jax.Array, rank: jax.Array, *, bits: int) -> jax.Array:
    """The key [R, 1] that `rank` others of its row [R, P] precede, all below 2^bits.

    Two bits at a time: fewer rounds, each a sum over devices, would compare more.
    """
    rounds = -(-bits // 2)
    fours = jnp.arange(4, dtype=jnp.uint32)[None, None]

    def settle(i, key):  # the largest one that at most `rank` others precede
        place = jnp.uint32(2) * jnp.uint32(rounds - 1 - i)
        candidates = key[..., None] + (fours << place)
        before = jnp.sum(keys[..., None] < candidates, axis=1, dtype=jnp.int32)
        fitting = jnp.sum(before <= rank[:, None], axis=1, dtype=jnp.uint32)
        return key + ((jnp.maximum(fitting, 1) - 1) << place)[:, None]

    return jax.lax.fori_loop(0, rounds, settle, jnp.zeros_like(keys[:, :1]))


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
