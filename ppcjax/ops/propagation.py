"""The pixel propagation module: every cell becomes a sum over similar cells.

Xie et al. (PixPro), CVPR 2021, section 3.3, in the form of the released program.
"""

import chex
import jax
import jax.numpy as jnp

from ppcjax.ops.blocks import over_blocks
from ppcjax.ops.masks import l2_normalize


def propagate(
    features: chex.Array,
    values: chex.Array,
    *,
    power: float = 2.0,
    clamp: float = 0.0,
    block: int = 1024,
) -> jax.Array:
    """Sums values of all cells of an image, weighted by similarity.

        y_i = sum_j max(f_i . f_j, clamp)^power v_j

    with f and v of unit norm. Neither a softmax nor a division by the sum of weights;
    cell i itself counts with weight 1. Gradients pass through weights and values.

    Args:
        features: [B, h, w, D] features x, not normalised; a zero vector is similar to
            nothing.
        values: [B, h, w, E] transformed features g(x), not normalised.
        power: exponent > 0; below 1, 1e-6 is added to what it is applied to.
        clamp: least similarity, in [-1, 1]; below 0 the power must be a whole number.
        block: cells i whose similarities are formed at once; memory is linear in the
            number of cells.

    Returns:
        [B, h, w, E] float32, not normalised.

    Deviations: the paper does not normalise g(x); its program does.
    """
    chex.assert_rank([features, values], 4)
    chex.assert_equal_shape_prefix([features, values], 3)
    batch, height, width, _ = features.shape
    cells = (batch, height * width, -1)
    features = l2_normalize(features.reshape(cells).astype(jnp.float32))  # [B, P, D]
    values = l2_normalize(values.reshape(cells).astype(jnp.float32))  # [B, P, E]

    def summed(queries):  # [B, b, D] -> [B, b, E]
        similarity = jnp.einsum(
            "bid,bjd->bij", queries, features, precision=jax.lax.Precision.HIGHEST
        )
        weights = _raise(similarity, power, clamp)
        return jnp.einsum(
            "bij,bje->bie", weights, values, precision=jax.lax.Precision.HIGHEST
        )

    result = over_blocks(summed, features, block=block)
    return result.reshape(batch, height, width, -1)


def _raise(similarity: jax.Array, power: float, clamp: float) -> jax.Array:
    """max(similarity, clamp)^power with a finite gradient at 0."""
    # A selection, and not a maximum, whose gradient is halved where both are equal.
    similarity = jnp.where(similarity >= clamp, similarity, clamp)
    if power < 1:
        similarity = similarity + 1e-6
    if power == int(power):
        return jax.lax.integer_pow(similarity, int(power))
    return similarity**power
