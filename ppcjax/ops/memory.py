"""A memory of embeddings: one ring of slots per class, with fill counters.

Wang et al., ICCV 2021, section 3.2, as it was meant (the released program's own is in
`ppcjax.ops.released_memory`). The order of pushes is that of the global batch - image
by image, within an image class by class - so that the memory is the same on any number
of devices.

A bank is a dict of arrays, to be kept in a method's state:

    slots: [C, M, D] unit vectors, float32 or bfloat16.
    next: [C] int32 slot that is written next.
    filled: [C] int32 slots written so far, at most M; slots beyond mean nothing.
"""

from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np

from ppcjax.ops.anchors import sort_by_class
from ppcjax.ops.masks import l2_normalize
from ppcjax.types import IGNORE

Bank = dict[str, Any]


def empty_bank(num_classes: int, slots: int, dim: int, dtype: Any) -> Bank:
    """A bank in which nothing is written yet, as NumPy arrays."""
    counter = np.zeros(num_classes, np.int32)
    return {
        "slots": np.zeros((num_classes, slots, dim), dtype),
        "next": counter,
        "filled": counter.copy(),
    }


def push(bank: Bank, vectors: chex.Array, counts: chex.Array) -> Bank:
    """Writes vectors into the rings of their classes.

    Args:
        bank: slots and their pointers, described above.
        vectors: [B, C, K, D]; of image b and class c the first counts[b, c] are pushed,
            after those of all images before.
        counts: [B, C] int32 in 0..K.

    Returns:
        The next bank; a class without pushes keeps its own. Of more than M pushes the
        last M stay.
    """
    num_classes, size, _ = bank["slots"].shape
    chex.assert_shape(vectors, (*counts.shape, None, bank["slots"].shape[2]))
    total = jnp.sum(counts, axis=0)  # [C]
    k = jnp.arange(vectors.shape[2])[None, None]
    rank = (jnp.cumsum(counts, axis=0) - counts)[..., None] + k  # [B, C, K]
    pushed = (k < counts[..., None]) & (rank >= total[None, :, None] - size)
    place = (bank["next"][None, :, None] + rank) % size
    owner = jnp.broadcast_to(jnp.arange(num_classes)[None, :, None], rank.shape)
    slots = bank["slots"]
    return {
        # What is not pushed goes to a slot beyond the ring, where it is dropped.
        "slots": slots.at[owner, jnp.where(pushed, place, size)].set(
            vectors.astype(slots.dtype), mode="drop"
        ),
        "next": (bank["next"] + total) % size,
        "filled": jnp.minimum(bank["filled"] + total, size),
    }


def region_vectors(
    keys: chex.Array, labels: chex.Array, num_classes: int
) -> tuple[jax.Array, jax.Array]:
    """One vector per image and class: the mean over the cells of the class.

    Args:
        keys: [B, P, D] embeddings of unit norm.
        labels: [B, P] int32 class of each cell, or IGNORE.
        num_classes: C.

    Returns:
        [B, C, 1, D] float32 of norm 1 (or 0), and [B, C] int32: 1 where the class is
        shown.
    """
    member = labels[..., None] == jnp.arange(num_classes)[None, None]  # [B, P, C]
    total = jnp.einsum(
        "bpc,bpd->bcd",
        member.astype(jnp.float32),
        keys.astype(jnp.float32),
        precision=jax.lax.Precision.HIGHEST,
    )
    return l2_normalize(total)[:, :, None], jnp.any(member, axis=1).astype(jnp.int32)


def pixel_vectors(
    keys: chex.Array,
    labels: chex.Array,
    draws: chex.Array,
    *,
    num_classes: int,
    most: int,
) -> tuple[jax.Array, jax.Array]:
    """Up to K embeddings per image and class, uniformly without replacement.

    Args:
        keys: [B, P, D] embeddings of unit norm.
        labels: [B, P] int32 class of each cell, or IGNORE.
        draws: [B, P] in [0, 1); of each class the cells of the smallest are taken.
        num_classes: C.
        most: K.

    Returns:
        [B, C, K, D] float32, and [B, C] int32 how many of the K are meant.
    """
    images, cells = labels.shape
    slot = jnp.where(labels == IGNORE, num_classes, labels)
    order = sort_by_class(slot, draws)
    classes = jnp.arange(num_classes)[None, None]
    sizes = jnp.sum(slot[..., None] == classes, axis=1, dtype=jnp.int32)  # [B, C]
    start = jnp.cumsum(sizes, axis=1) - sizes
    place = start[..., None] + jnp.arange(most)[None, None]  # [B, C, K]
    place = jnp.minimum(place, cells - 1).reshape(images, num_classes * most)
    cell = jnp.take_along_axis(order, place, axis=1)
    taken = jnp.take_along_axis(keys, cell[..., None], axis=1).astype(jnp.float32)
    shape = (images, num_classes, most, keys.shape[-1])
    return taken.reshape(shape), jnp.minimum(sizes, most)


def fill_share(bank: Bank) -> jax.Array:
    """[] float32 share of the slots that are written."""
    size = bank["slots"].shape[1]
    return jnp.mean(bank["filled"].astype(jnp.float32)) / size
