"""Choosing pixels per class with static shapes.

Du et al. (PPC), CVPR 2022, section 3.5, hard pixel sampling. A selection is a
[P] mask; IGNORE pixels belong to no class and are never chosen.
"""

import chex
import jax
import jax.numpy as jnp

from ppcjax.ops import ranks
from ppcjax.types import IGNORE


def class_sizes(labels: chex.Array, num_classes: int) -> jax.Array:
    """Number of pixels of each class.

    Args:
        labels: [P] int in 0..num_classes-1 or IGNORE.
        num_classes: C.

    Returns:
        [C] int32.
    """
    return (
        jnp.zeros(num_classes + 1, jnp.int32)
        .at[_slot(labels, num_classes)]
        .add(1)[:num_classes]
    )


def random_half(labels: chex.Array, key: chex.PRNGKey, num_classes: int) -> jax.Array:
    """Half of each class's pixels, uniformly without replacement.

    Args:
        labels: [P] class of each pixel or IGNORE.
        key: a PRNG key.
        num_classes: C.

    Returns:
        [P] bool with floor(L / 2) pixels of a class of L.
    """
    size = class_sizes(labels, num_classes)
    draws = jax.random.uniform(key, labels.shape)
    (half,) = _first_of_class(labels, draws, [size // 2])
    return half


def hard_half(
    labels: chex.Array, similarity: chex.Array, num_classes: int
) -> jax.Array:
    """Hard, but not the hardest, pixels of each class.

    With the L pixels of a class in order of increasing similarity to their own
    prototype, ranks [m - floor(L / 2), m) with m = floor(0.6 L) are taken: the
    hardest tenth is skipped as likely mislabelled.

    Args:
        labels: [P] class of each pixel or IGNORE.
        similarity: [P] similarity to the own prototype.
        num_classes: C.

    Returns:
        [P] bool with floor(L / 2) pixels of a class of L.
    """
    size = class_sizes(labels, num_classes)
    end = 3 * size // 5  # floor(0.6 L), in integers
    hardest, chosen = _first_of_class(labels, similarity, [end - size // 2, end])
    return chosen & ~hardest


def mean_over_classes(
    nats: chex.Array, labels: chex.Array, weights: chex.Array, num_classes: int
) -> jax.Array:
    """Sum over classes of the weighted class mean, over the number of classes.

    Args:
        nats: [P] loss of each pixel.
        labels: [P] class of each pixel or IGNORE.
        weights: [P] how often each pixel counts.
        num_classes: C.

    Returns:
        [] nats. A present class without chosen pixels adds nothing but counts in
        the divisor, as in the release; 0 if no class is present.
    """
    chex.assert_equal_shape([nats, labels, weights])
    slot = _slot(labels, num_classes)
    weights = weights.astype(jnp.float32)
    empty = jnp.zeros(num_classes + 1, jnp.float32)
    total = empty.at[slot].add(weights * nats)[:num_classes]
    count = empty.at[slot].add(weights)[:num_classes]
    present = jnp.sum(class_sizes(labels, num_classes) > 0)
    return jnp.sum(total / jnp.maximum(count, 1.0)) / jnp.maximum(present, 1)


def _slot(labels: chex.Array, num_classes: int) -> jax.Array:
    """The class of each pixel; `num_classes` for IGNORE."""
    return jnp.where(labels == IGNORE, num_classes, labels)


def _first_of_class(
    labels: chex.Array, order_by: chex.Array, counts: list[jax.Array]
) -> jax.Array:
    """The first pixels of each class by increasing `order_by`.

    Args:
        labels: [P] class of each pixel or IGNORE.
        order_by: [P] numbers; of equal ones the first in the order of the pixels.
        counts: how many of each class, [C] each.

    Returns:
        [N, P] bool, a row for each of the N counts.
    """
    chex.assert_equal_shape([labels, order_by])
    classes = jnp.arange(counts[0].shape[0])
    member = labels[None] == classes[:, None]  # [C, P]
    values = jnp.where(member, order_by[None], jnp.inf)
    rows = jnp.concatenate([values] * len(counts))
    chosen = ranks.first(rows, jnp.concatenate(counts))
    chosen = chosen.reshape(len(counts), *member.shape)
    return jnp.any(chosen & member[None], axis=1)
