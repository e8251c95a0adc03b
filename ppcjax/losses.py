"""Losses that several methods share."""

from collections.abc import Sequence

import chex
import jax
import jax.numpy as jnp
import optax

from ppcjax.ops.masks import masked_mean
from ppcjax.ops.ranks import kth_smallest
from ppcjax.types import IGNORE


def multilabel_soft_margin(logits: chex.Array, tags: chex.Array) -> jax.Array:
    """Binary cross-entropy of independent classes.

        loss = - mean_{n,c} [ y log sigma(s) + (1 - y) log(1 - sigma(s)) ]

    Args:
        logits: [B, C] scores s.
        tags: [B, C] in {0, 1}.

    Returns:
        [] nats per image and class.
    """
    chex.assert_equal_shape([logits, tags])
    return jnp.mean(optax.sigmoid_binary_cross_entropy(logits, tags))


def cross_entropy(
    logits: chex.Array, mask: chex.Array, *, class_weights: Sequence[float] = ()
) -> jax.Array:
    """Cross-entropy of the pixels whose class is known.

        loss = sum_i w[y_i] (-log softmax(s_i)[y_i]) / sum_i w[y_i]

    Args:
        logits: [..., C] scores s.
        mask: [...] int32, y in 0..C-1 or IGNORE, which counts nowhere.
        class_weights: C weights w >= 0; empty: 1 for all.

    Returns:
        [] nats per pixel, float32; 0 with zero gradient where no pixel counts.
    """
    chex.assert_equal_shape_prefix([logits, mask], mask.ndim)
    return masked_mean(*_nats_and_weights(logits, mask, class_weights))


def hard_cross_entropy(
    logits: chex.Array,
    mask: chex.Array,
    *,
    threshold: float,
    least: int,
    class_weights: Sequence[float] = (),
) -> jax.Array:
    """Cross-entropy of the pixels that the network is least sure of.

    With p_i = softmax(s_i)[y_i] sorted from the lowest to the highest, pixels count
    where

        p_i < max(threshold, p_(min(least, n - 1)))

    and loss = mean over these of w[y_i] (-log p_i): online hard example mining as in
    openseg and ContrastiveSeg.

    Args:
        logits: [..., C] scores s.
        mask: [...] int32, y in 0..C-1 or IGNORE, which counts nowhere.
        threshold: bound of p, in (0, 1].
        least: about how many pixels count at least.
        class_weights: C weights w >= 0; empty: 1 for all.

    Returns:
        [] nats per pixel, float32; 0 with zero gradient where no pixel counts.
    """
    chex.assert_equal_shape_prefix([logits, mask], mask.ndim)
    nats, weights = _nats_and_weights(logits, mask, class_weights)
    known = mask != IGNORE
    sure = jnp.where(known, jnp.exp(-jax.lax.stop_gradient(nats)), jnp.inf)
    cut = kth_smallest(sure, jnp.minimum(least, jnp.maximum(jnp.sum(known) - 1, 0)))
    counted = known & (sure < jnp.maximum(threshold, cut))
    return masked_mean(nats * weights, counted)


def _nats_and_weights(logits, mask, class_weights):
    """-log softmax(s)[y] of each pixel, and its weight; meaningless where IGNORE."""
    logits = logits.astype(jnp.float32)
    known = mask != IGNORE
    # Compared with every class and not gathered: the gradient of a gather is a scatter.
    classes = jax.lax.broadcasted_iota(jnp.int32, logits.shape, logits.ndim - 1)
    is_true = classes == mask[..., None]
    score = jnp.sum(jnp.where(is_true, logits, 0.0), axis=-1)
    nats = jax.nn.logsumexp(logits, axis=-1) - score
    weights = known.astype(jnp.float32)
    if len(class_weights):
        every = jnp.asarray(class_weights, jnp.float32)
        weights = jnp.einsum("...c,c->...", is_true, every) * known
    return nats, weights
