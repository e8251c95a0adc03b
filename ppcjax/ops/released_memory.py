"""The memory of the released ContrastiveSeg, fault for fault, for comparison.

Wang et al., ICCV 2021, released program. What it does and `ppcjax.ops.memory` does not:

- class 0 is never written; where it is read, its slots are zeros at the end;
- a push writes up to K slots, but the pointer moves by one; at the end of the ring the
  last K slots are written instead and the pointer returns to 0;
- the pixels pushed are random ones among the *first n* of the map, where n is the
  class's size, whatever they show;
- labels are taken every `stride` pixels, and their flat indices are used on the map
  of embeddings even where it is finer;
- slots that were never written are random unit vectors, which count as any other.
"""

import chex
import jax
import jax.numpy as jnp
import numpy as np

from ppcjax.ops.masks import l2_normalize
from ppcjax.ops.memory import Bank


def random_bank(
    rng: np.random.Generator, num_classes: int, slots: int, dim: int, dtype
) -> Bank:
    """A bank of random unit vectors, all of which count as written; NumPy arrays."""
    vectors = rng.standard_normal((num_classes, slots, dim))
    vectors /= np.linalg.norm(vectors, axis=-1, keepdims=True)
    return {
        "slots": vectors.astype(dtype),
        "next": np.zeros(num_classes, np.int32),
        "filled": np.full(num_classes, slots, np.int32),
    }


def as_read(bank: Bank) -> Bank:
    """What the loss sees of a bank: zeros for class 0."""
    return bank | {"slots": bank["slots"].at[0].set(0.0)}


def masked_positive(labels: chex.Array, num_classes: int, slots: int) -> jax.Array:
    """The positive that each anchor loses to a mask meant for the anchor itself.

    Columns are the slots of classes 1, 2, .. and then those of class 0; that of anchor
    number i is column i.

    Args:
        labels: [S] class of each anchor.
        num_classes: C.
        slots: how many slots a class has in both banks together.

    Returns:
        [S] int32 slot of the anchor's own class, or -1 where column i is of another.

    Raises:
        ValueError: there are more anchors than columns.
    """
    anchors = labels.shape[0]
    if anchors > num_classes * slots:
        raise ValueError(
            f"{anchors} anchors and {num_classes * slots} slots: mem_official needs as "
            "many slots as anchors; lower max_anchors"
        )
    block, slot = jnp.divmod(jnp.arange(anchors), slots)
    owner = jnp.where(block == num_classes - 1, 0, block + 1)
    return jnp.where(owner == labels, slot, -1).astype(jnp.int32)


def draw_cells(
    labels: chex.Array, key: chex.PRNGKey, *, num_classes: int, most: int
) -> jax.Array:
    """Up to K different random numbers below the size n of each class of each image.

    Args:
        labels: [B, L] int32 class, or IGNORE.
        key: a PRNG key.
        num_classes: C.
        most: K.

    Returns:
        [B, C, K] int32; entries from n on mean nothing.
    """
    images, cells = labels.shape
    classes = jnp.arange(num_classes)[None, None]
    sizes = jnp.sum(labels[..., None] == classes, axis=1)  # [B, C]
    draws = jax.random.uniform(key, (images, num_classes, cells))
    below = jnp.arange(cells)[None, None] < sizes[..., None]
    _, chosen = jax.lax.top_k(jnp.where(below, draws, -1.0), min(most, cells))
    return jnp.pad(chosen, ((0, 0), (0, 0), (0, most - chosen.shape[-1])))


def push(
    region: Bank, pixel: Bank, keys: chex.Array, labels: chex.Array, cells: chex.Array
) -> tuple[Bank, Bank]:
    """Writes what a batch shows, image after image.

    Args:
        region: bank of means.
        pixel: bank of pixels, of as many slots.
        keys: [B, P, D] embeddings, row by row.
        labels: [B, L] int32 class of every stride-th pixel, or IGNORE; L <= P.
        cells: [B, C, K] int32 cells of `keys` to push, see `draw_cells`.

    Returns:
        Both banks.
    """
    images, num_classes, most = cells.shape
    size = pixel["slots"].shape[1]
    if labels.shape[1] > keys.shape[1] or most > size:
        raise ValueError(
            f"mem_official: {labels.shape[1]} labels on {keys.shape[1]} embeddings and "
            f"{most} pixels a push into {size} slots; raise label_stride or the slots"
        )
    owner = jnp.arange(num_classes)
    k = jnp.arange(most)[None]
    # What is written lies on all devices before the loop: in it, each turn would send
    # the embeddings of an image, or all that is written, once more.
    member = labels[..., None] == owner[None, None]  # [B, L, C]
    counts = jnp.sum(member, axis=1)  # [B, C]
    totals = jnp.einsum(
        "blc,bld->bcd",
        member.astype(jnp.float32),
        keys[:, : labels.shape[1]].astype(jnp.float32),
        precision=jax.lax.Precision.HIGHEST,
    )
    totals = l2_normalize(totals)[:, :, None]  # [B, C, 1, D]
    at = cells.reshape(images, num_classes * most, 1)
    chosen = jnp.take_along_axis(keys, at, axis=1).astype(jnp.float32)
    chosen = l2_normalize(chosen).reshape(*cells.shape, -1)  # [B, C, K, D]
    counts, totals, chosen = map(_everywhere, (counts, totals, chosen))

    def image(b, banks):
        means, pixels = banks
        shown = (counts[b] > 0) & (owner > 0)
        means = _write(means, totals[b], means["next"], shown)
        after = jnp.where(shown, (means["next"] + 1) % size, means["next"])
        means = means | {"next": after}

        written = jnp.where(shown, jnp.minimum(counts[b], most), 0)
        at_end = pixels["next"] + written >= size
        start = jnp.where(at_end, size - written, pixels["next"])
        pixels = _write(pixels, chosen[b], start, k < written[:, None])
        after = jnp.where(at_end, 0, (pixels["next"] + 1) % size)
        return means, pixels | {"next": jnp.where(shown, after, pixels["next"])}

    return jax.lax.fori_loop(0, images, image, (region, pixel))


def _everywhere(x):
    """As it is, x [B, ...], but as a sum over devices: each then has all rows."""
    rows = jnp.eye(x.shape[0], dtype=x.dtype)
    return jnp.einsum("ab,b...->a...", rows, x, precision=jax.lax.Precision.HIGHEST)


def _write(bank, vectors, start, written):
    """`bank` with vectors [C, K, D] from slot start [C] on, where `written` [C, K]."""
    num_classes, most, _ = vectors.shape
    slots = bank["slots"]
    written = jnp.broadcast_to(written.reshape(num_classes, -1), (num_classes, most))
    place = start[:, None] + jnp.arange(most)[None]
    owner = jnp.broadcast_to(jnp.arange(num_classes)[:, None], place.shape)
    place = jnp.where(written, place, slots.shape[1])
    vectors = vectors.astype(slots.dtype)
    return bank | {"slots": slots.at[owner, place].set(vectors, mode="drop")}
