"""What a transformer's own attention says of a photo: what belongs together, and where.

Xu et al., "MCTformer", CVPR 2022, multiplies activation maps by the attention of class
tokens, and carries them along that of patches; Zhang et al., "Frozen CLIP" (WeCLIP),
CVPR 2024, makes an affinity of the latter as here.
"""

import chex
import jax
import jax.numpy as jnp

EPSILON = 1e-12
_TURNS = 3  # of norming columns and rows


def attention_affinity(
    queries: chex.Array, keys: chex.Array, there: chex.Array, *, heads: int
) -> jax.Array:
    """Affinity of the patches of one photo from the attention of one block.

        A = mean over heads of softmax(q k / sqrt(d))
        W = 3 times: columns of A to sums of 1, then rows;  (W + W') / 2, rows to 1

    Args:
        queries: [P, D] with the heads side by side.
        keys: [P, D] likewise.
        there: [P] bool, patches that the photo touches; others weigh nothing.
        heads: number of heads, a divisor of D.

    Returns:
        [P, P] float32; a row of a patch of the photo sums to 1.
    """
    chex.assert_equal_shape([queries, keys])
    query, key = (
        x.astype(jnp.float32).reshape(len(there), heads, -1) for x in (queries, keys)
    )
    scores = jnp.einsum("ihd,jhd->hij", query, key) * query.shape[-1] ** -0.5
    weights = jax.nn.softmax(jnp.where(there[None, None], scores, -1e9), axis=-1)
    both = there[:, None] & there[None]
    weights = jnp.where(both, jnp.mean(weights, axis=0), 0.0)
    for _ in range(_TURNS):
        weights = _to_one(_to_one(weights, axis=0), axis=1)
    return _to_one((weights + weights.T) / 2.0, axis=1)


def _to_one(x: jax.Array, axis: int) -> jax.Array:
    return x / jnp.maximum(jnp.sum(x, axis=axis, keepdims=True), EPSILON)


def attention_correlation(
    maps: chex.Array,
    queries: chex.Array,
    keys: chex.Array,
    there: chex.Array | None,
    *,
    heads: int,
) -> jax.Array:
    """Each cell becomes a mean over the cells that attention puts together with it.

        R = W Q,  W of `attention_affinity`

    Photos are taken one after the other: one holds `heads` P x P weights.

    Args:
        maps: [B, h, w, C] maps Q.
        queries: [B, h, w, D] of a block, heads side by side.
        keys: [B, h, w, D] of the same block.
        there: [B, h, w] bool, cells that the photos touch; None: all.
        heads: number of heads, a divisor of D.

    Returns:
        [B, h, w, C] float32, 0 beyond the photos.
    """
    there = jnp.ones(maps.shape[:3], bool) if there is None else there
    chex.assert_equal_shape_prefix([maps, queries, keys, there], 3)

    def of_photo(parts):
        values, query, key, touched = (
            x.reshape(x.shape[0] * x.shape[1], *x.shape[2:]) for x in parts
        )
        affinity = attention_affinity(query, key, touched, heads=heads)
        return (affinity @ values.astype(jnp.float32)).reshape(parts[0].shape)

    return jax.lax.map(of_photo, (maps, queries, keys, there))


def attended(maps: chex.Array, attention: chex.Array, power: float) -> jax.Array:
    """Maps where the class token looks.

        Q'_i = Q_i (a_i / max a)^p

    Args:
        maps: [B, h, w, C] maps Q >= 0.
        attention: [B, h, w, 1] weights a >= 0 of the class token, 0 beyond the photos.
        power: p > 0.

    Returns:
        [B, h, w, C] float32.
    """
    attention = attention.astype(jnp.float32)
    most = jnp.max(attention, axis=(1, 2), keepdims=True)
    return maps * (attention / jnp.maximum(most, EPSILON)) ** power
