"""Losses that several methods share."""

import chex
import jax
import jax.numpy as jnp
import optax


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
