"""The nearest of many remembered vectors by their cosines, and what these say.

Balazevic et al., "Towards In-Context Scene Understanding" (Hummingbird), NeurIPS 2023,
label the patches of a photo so.
"""

import chex
import jax
import jax.numpy as jnp

from ppcjax.ops.masks import l2_normalize

BLOCK = 2048  # vectors of the memory that are compared at a time


@jax.named_scope("neighbours")
def nearest(
    queries: chex.Array, memory: chex.Array, k: int, *, block: int = BLOCK
) -> tuple[jax.Array, jax.Array]:
    """The k vectors of a memory with the largest cosines, of each query.

    All are looked at, `block` of them at a time, so that no more than [M, block]
    cosines are held. Of equal cosines the lower index comes first, so that the result
    is the same on every device and for every block. A zero vector has the cosine 0 with
    everything.

    Args:
        queries: [M, D], of any norm.
        memory: [N, D], of any norm.
        k: how many, 1 to N.
        block: vectors of the memory at a time, >= 1.

    Returns:
        [M, k] float32 cosines, the largest first, and [M, k] int32 places in the
        memory.

    Raises:
        ValueError: the memory holds fewer than k vectors.
    """
    chex.assert_rank([queries, memory], 2)
    count = len(memory)
    if not 1 <= k <= count:
        raise ValueError(f"k={k}: the memory holds {count} vectors")
    block = min(block, count)
    queries = l2_normalize(jnp.asarray(queries, jnp.float32))

    def step(best, begin):
        # The last block begins earlier, so that it is whole; what was seen is left out.
        start = jnp.minimum(begin, count - block)
        part = jax.lax.dynamic_slice_in_dim(memory, start, block)
        part = l2_normalize(jnp.asarray(part, jnp.float32))
        cosines = jnp.matmul(queries, part.T, precision=jax.lax.Precision.HIGHEST)
        unseen = start + jnp.arange(block, dtype=jnp.int32) >= begin
        cosines = jnp.where(unseen[None], cosines, -jnp.inf)
        # Those of earlier blocks stand first, and so win where cosines are equal.
        kept, chosen = jax.lax.top_k(jnp.concatenate([best[0], cosines], 1), k)
        earlier = jnp.take_along_axis(best[1], jnp.minimum(chosen, k - 1), axis=1)
        return (kept, jnp.where(chosen < k, earlier, start + chosen - k)), None

    shape = (len(queries), k)
    nothing = jnp.full(shape, -jnp.inf), jnp.zeros(shape, jnp.int32)
    best, _ = jax.lax.scan(step, nothing, jnp.arange(0, count, block, dtype=jnp.int32))
    return best


def soft_labels(
    queries: chex.Array,
    memory: chex.Array,
    labels: chex.Array,
    *,
    k: int,
    temperature: chex.Numeric,
    block: int = BLOCK,
) -> jax.Array:
    """Labels of the k nearest vectors of a memory, weighted by a softmax.

        label_i = sum_j w_ij labels_j,  w_i = softmax over the k nearest j of cos_ij / T

    Args:
        queries: [M, D], of any norm.
        memory: [N, D], of any norm.
        labels: [N, C] >= 0, shares of the classes in each vector of the memory.
        k: how many neighbours say what a query is, 1 to N.
        temperature: T > 0.
        block: vectors of the memory at a time, >= 1.

    Returns:
        [M, C] float32; of labels that sum to 1, they do as well.

    Raises:
        ValueError: the memory holds fewer than k vectors.
    """
    chex.assert_equal_shape_prefix([memory, labels], 1)
    cosines, places = nearest(queries, memory, k, block=block)
    weights = jax.nn.softmax(cosines / temperature, axis=-1)
    found = jnp.asarray(labels, jnp.float32)[places]  # [M, k, C]
    return jnp.einsum("mk,mkc->mc", weights, found, precision=jax.lax.Precision.HIGHEST)
