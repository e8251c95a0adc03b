"""Class prototypes estimated from the most confident pixels of a batch.

Du et al., "Weakly Supervised Semantic Segmentation by Pixel-to-Prototype Contrast"
(PPC), CVPR 2022, eq. 3.
"""

import chex
import jax
import jax.numpy as jnp

from ppcjax.ops import ranks
from ppcjax.ops.masks import l2_normalize


def most_confident(scores: chex.Array, k: int) -> jax.Array:
    """The k pixels with the highest score of each class.

    Ties go to the lowest index, so the selection is reproducible on every device.

    Args:
        scores: [P, C] confidences over the whole batch.
        k: number of pixels a class.

    Returns:
        [P, C] bool with min(k, P) pixels of each class.
    """
    chex.assert_rank(scores, 2)
    pixels, num_classes = scores.shape
    return ranks.first(-scores.T, jnp.full(num_classes, min(k, pixels))).T


def estimate(features: chex.Array, scores: chex.Array, top: chex.Array) -> jax.Array:
    """One prototype per class: the score-weighted mean of its most confident pixels.

        p_c = l2norm( sum_k S_kc f_k / sum_k S_kc ),  k over the top pixels of c

    Args:
        features: [P, D] features, not normalised.
        scores: [P, C] confidences; may be negative.
        top: [P, C] bool, pixels of each class.

    Returns:
        [C, D] of unit norm (0 where all chosen features are 0); constant for
        gradients.

    Deviations: weights that cancel to a sum below 1e-12 are divided by 1e-12, where
        the release would divide by zero.
    """
    chex.assert_rank([features, scores, top], 2)
    weights = jnp.where(top, scores, 0.0).T  # [C, P]
    total = jnp.sum(weights, axis=1, keepdims=True)
    total = jnp.where(jnp.abs(total) < 1e-12, 1e-12, total)
    # A product over all pixels: fetching those chosen would send them to all devices.
    means = jnp.matmul(weights, features, precision=jax.lax.Precision.HIGHEST) / total
    return jax.lax.stop_gradient(l2_normalize(means))
