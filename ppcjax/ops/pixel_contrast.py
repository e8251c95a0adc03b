"""Contrast of pixels with pixels: of the batch, of a memory, or of both.

Wang et al., "Exploring Cross-Image Pixel Contrast for Semantic Segmentation", ICCV
2021, eq. 3, with the positives averaged as released:

    l_ij = -log( e^{s_ij} / (e^{s_ij} + sum_{k in N_i} e^{s_ik}) ),   s_ij = x_i.x_j / t
         = softplus( log sum_{k in N_i} e^{s_ik} - s_ij )
    loss = (t / t_base) mean_i (1 / |P_i|) sum_{j in P_i} l_ij

P_i holds what has the class of anchor i and is not i, N_i all of other classes. In the
second form nothing is subtracted and nothing overflows. The memory's side of the two
sums is computed in blocks, see `ppcjax.ops.memory_contrast`.
"""

from collections.abc import Sequence

import chex
import jax
import jax.numpy as jnp

from ppcjax.ops.masks import masked_mean
from ppcjax.ops.memory import Bank
from ppcjax.ops.memory_contrast import (
    NONE,
    Mining,
    negative_logsumexp,
    positive_terms,
)
from ppcjax.types import IGNORE


def contrast(
    anchors: chex.Array,
    labels: chex.Array,
    *,
    banks: Sequence[Bank] = (),
    with_anchors: bool,
    temperature: float,
    base_temperature: float,
    mining: Mining | None = None,
    key: chex.PRNGKey | None = None,
    without: chex.Array | None = None,
    block: int = 4096,
) -> jax.Array:
    """The contrast of anchors with each other, with memories, or with both.

    Args:
        anchors: [S, D] float32 unit vectors.
        labels: [S] int32 class of each; IGNORE in rows that hold no anchor.
        banks: memories that the anchors are contrasted with, constant for gradients.
        with_anchors: whether they are contrasted with each other, too.
        temperature: t > 0.
        base_temperature: t_base > 0.
        mining: which of the memory takes part; None: all.
        key: PRNG key of the mining's draws.
        without: [S] slot of its own class, over all banks side by side, that is no
            positive of the anchor; -1 for none.
        block: slots compared at once.

    Returns:
        [] nats. An anchor without positives counts nowhere, one without negatives as 0;
        0 with zero gradient where there is no anchor left.
    """
    nats, positives = row_nats(
        anchors,
        labels,
        banks=banks,
        with_anchors=with_anchors,
        temperature=temperature,
        mining=mining,
        key=key,
        without=without,
        block=block,
    )
    mean = masked_mean(nats, (labels != IGNORE) & (positives > 0))
    return temperature / base_temperature * mean


def row_nats(
    anchors: chex.Array,
    labels: chex.Array,
    *,
    banks: Sequence[Bank] = (),
    with_anchors: bool,
    temperature: float,
    mining: Mining | None = None,
    key: chex.PRNGKey | None = None,
    without: chex.Array | None = None,
    block: int = 4096,
) -> tuple[jax.Array, jax.Array]:
    """Mean of l_ij over the positives of each anchor, and how many these are.

    Arguments mean what they do in `contrast`.

    Returns:
        [S] nats and [S] float32 |P_i|; rows without an anchor mean nothing.
    """
    chex.assert_rank([anchors, labels], [2, 1])
    chex.assert_equal_shape_prefix([anchors, labels], 1)
    # NumPy arrays cannot be indexed by what a loop traces.
    anchors, labels = jnp.asarray(anchors, jnp.float32), jnp.asarray(labels)
    banks = jax.tree.map(jnp.asarray, list(banks))
    keys = (None, None) if key is None else jax.random.split(key)
    lse = jnp.full(labels.shape, NONE, jnp.float32)
    if banks:
        lse = negative_logsumexp(
            anchors,
            labels,
            banks,
            temperature=temperature,
            mining=mining,
            key=keys[0],
            block=block,
        )
    if with_anchors:
        similarity = _similarity(anchors) / temperature  # [S, S]
        known = (labels != IGNORE)[None, :]
        same = labels[:, None] == labels[None, :]
        lse = jnp.logaddexp(lse, _logsumexp(similarity, known & ~same))
    total = jnp.zeros(labels.shape, jnp.float32)
    count = jnp.zeros(labels.shape, jnp.float32)
    if with_anchors:
        positive = known & same & ~jnp.eye(len(labels), dtype=bool)
        nats = jax.nn.softplus(lse[:, None] - similarity)
        total += jnp.sum(jnp.where(positive, nats, 0.0), axis=1)
        count += jnp.sum(positive, axis=1)
    if banks:
        of_banks = positive_terms(
            anchors,
            labels,
            lse,
            banks,
            temperature=temperature,
            mining=mining,
            key=keys[1],
            without=without,
        )
        total, count = total + of_banks[0], count + of_banks[1]
    return total / jnp.maximum(count, 1.0), count


def _similarity(anchors: jax.Array) -> jax.Array:
    return jnp.matmul(anchors, anchors.T, precision=jax.lax.Precision.HIGHEST)


def _logsumexp(x: jax.Array, mask: jax.Array) -> jax.Array:
    """Log sum exp of each row where `mask` holds; NONE, a constant, where nowhere."""
    some = jnp.any(mask, axis=1)
    safe = mask | ~some[:, None]  # of an empty row all, so that gradients are finite
    return jnp.where(some, jax.nn.logsumexp(x, axis=1, where=safe), NONE)
