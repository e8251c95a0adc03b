"""The two sums of a contrast that run over a memory, in blocks of slots.

171 classes of 10,000 slots are 1.7 million columns; a row of similarities per anchor
would be 7 GB, several times over with its gradient. Only the anchors have gradients,
and these are sums over slots like the values. So each sum is carried over the blocks
together with its gradient, once, and nothing is kept or computed again:

    L_i = log sum_{k in N_i} e^{s_ik}       dL_i/dx_i = (1/t) sum_k e^{s_ik - L_i} q_k
    T_i = sum_{j in P_i} softplus(L_i - s_ij)
                                            dT_i/dL_i = sum_j sigma(L_i - s_ij)
                                            dT_i/dx_i = -(1/t) sum_j sigma(.) q_j

Negatives are all slots, in two matrix products. Positives are those of an anchor's own
class: anchors are sorted by class and cut into tiles of one class each, so that their
cost does not grow with the number of classes.
"""

from collections.abc import Sequence
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

from ppcjax.ops.memory import Bank
from ppcjax.ops.mining import Mining, at_least, choose, drawn
from ppcjax.types import IGNORE

__all__ = ["NONE", "Mining", "negative_logsumexp", "positive_terms"]

NONE = -1e30  # logarithm of an empty sum; finite, so that gradients are
_TILE = 32  # anchors of one class that are compared with its slots at once


class Block(NamedTuple):
    """Some columns of a memory.

    vectors: [N, D] float32.
    owner: [N] class.
    live: [N] bool, whether something was written there.
    column: [N] number of the column, over all banks.
    """

    vectors: jax.Array
    owner: jax.Array
    live: jax.Array
    column: jax.Array


def negative_logsumexp(
    anchors: chex.Array,
    labels: chex.Array,
    banks: Sequence[Bank],
    *,
    temperature: float,
    mining: Mining | None = None,
    key: chex.PRNGKey | None = None,
    block: int = 4096,
) -> jax.Array:
    """Log sum_k exp(x_i.q_k / t) over the slots of other classes.

    Args:
        anchors: [S, D] float32 unit vectors.
        labels: [S] int32 class of each, or IGNORE.
        banks: memories of `ppcjax.ops.memory`, constant for gradients.
        temperature: t > 0.
        mining: which slots take part; None: all that are written.
        key: PRNG key of its draws.
        block: slots compared at once.

    Returns:
        [S] float32; NONE where no slot takes part.
    """
    fixed, banks = jax.lax.stop_gradient((anchors, tuple(banks)))

    def compared(part):
        """Cosines [S, N], and which of them are of negatives."""
        negative = (part.owner[None, :] != labels[:, None]) & part.live[None, :]
        return _product(fixed, part.vectors.T), negative

    def count(edges):  # [S, T] -> [S, T]
        def add(counts, part):
            cosine, negative = compared(part)
            return counts + at_least(jnp.where(negative, cosine, -9.0), edges)

        return _fold(banks, block, add, jnp.zeros(edges.shape, jnp.int32))

    if mining is not None:
        written = [jnp.sum(bank["filled"]) - _of_class(bank, labels) for bank in banks]
        columns = sum(bank["slots"].shape[0] * bank["slots"].shape[1] for bank in banks)
        choice = choose(
            mining, mining.negatives, sum(written), count, key, columns=columns
        )

    def add(state, part):
        largest, total, weighted = state
        cosine, negative = compared(part)
        if mining is not None:
            negative &= choice.takes(cosine, part.column)
        s = jnp.where(negative, cosine / temperature, NONE)
        new = jnp.maximum(largest, jnp.max(s, axis=1))
        weight = jnp.where(negative, jnp.exp(s - new[:, None]), 0.0)
        shrink = jnp.exp(largest - new)
        total = total * shrink + jnp.sum(weight, axis=1)
        weighted = weighted * shrink[:, None] + _product(weight, part.vectors)
        return new, total, weighted

    empty = jnp.zeros(labels.shape, jnp.float32)
    start = (empty + NONE, empty, jnp.zeros_like(fixed))
    largest, total, weighted = _fold(banks, block, add, start)
    some = total > 0
    total = jnp.where(some, total, 1.0)
    value = jnp.where(some, largest + jnp.log(total), NONE)
    return _with_slope(value, anchors, weighted / (temperature * total[:, None]))


def positive_terms(
    anchors: chex.Array,
    labels: chex.Array,
    lse: chex.Array,
    banks: Sequence[Bank],
    *,
    temperature: float,
    mining: Mining | None = None,
    key: chex.PRNGKey | None = None,
    without: chex.Array | None = None,
) -> tuple[jax.Array, jax.Array]:
    """sum_j softplus(L_i - x_i.q_j / t) over the slots of the own class.

    Args:
        anchors: [S, D] float32 unit vectors.
        labels: [S] int32 class of each, or IGNORE.
        lse: [S] L_i.
        banks: memories of `ppcjax.ops.memory`, constant for gradients.
        temperature: t > 0.
        mining: which slots take part; None: all that are written.
        key: PRNG key of its draws.
        without: [S] slot, over all banks side by side, that is left out; -1 for none.

    Returns:
        [S] float32 sums and [S] float32 numbers of slots that take part; both 0 in rows
        without an anchor.
    """
    fixed, fixed_lse, banks = jax.lax.stop_gradient((anchors, lse, tuple(banks)))
    rows_of, used = _tiles(labels, banks[0]["slots"].shape[0])
    slots = sum(bank["slots"].shape[1] for bank in banks)
    if without is None:
        without = jnp.full(labels.shape, -1, jnp.int32)

    def tile(i, sums):
        owner, rows = rows_of(i)  # [], [R]; S where a tile has no row
        vectors, live = _slots_of(banks, owner)
        row = jnp.minimum(rows, len(labels) - 1)
        cosine = _product(fixed[row], vectors.T)  # [R, M]
        other = jnp.arange(slots)[None, :] != without[row][:, None]
        positive = live[None, :] & (rows < len(labels))[:, None] & other
        if mining is not None:
            tile_key = jax.random.fold_in(key, i)
            positive = drawn(mining, mining.positives, -cosine, positive, tile_key)
        gap = fixed_lse[row][:, None] - cosine / temperature
        share = jnp.where(positive, jax.nn.sigmoid(gap), 0.0)
        found = (
            jnp.sum(jnp.where(positive, jax.nn.softplus(gap), 0.0), axis=1),
            jnp.sum(positive, axis=1).astype(jnp.float32),
            jnp.sum(share, axis=1),
            -_product(share, vectors) / temperature,
        )
        return tuple(
            total.at[rows].set(part, mode="drop")
            for total, part in zip(sums, found, strict=True)
        )

    empty = jnp.zeros(labels.shape, jnp.float32)
    sums = (empty, empty, empty, jnp.zeros_like(fixed))
    value, count, by_lse, by_anchor = jax.lax.fori_loop(0, used, tile, sums)
    return _with_slope(_with_slope(value, lse, by_lse), anchors, by_anchor), count


def _with_slope(value: jax.Array, x: jax.Array, slope: jax.Array) -> jax.Array:
    """The constant `value` [S], given the gradient `slope` with respect to x [S, ..].

    x minus itself is 0, so the value does not change.
    """
    change = slope * (x - jax.lax.stop_gradient(x))
    return value + (jnp.sum(change, axis=-1) if change.ndim > 1 else change)


def _fold(banks, size, add, state):
    """Folds `add`(state, Block) over all columns, at most `size` at a time."""
    first = 0
    for bank in banks:
        num_classes, slots, dim = bank["slots"].shape
        columns = num_classes * slots
        flat = bank["slots"].reshape(columns, dim)
        step = min(size, columns)

        def body(i, state, bank=bank, flat=flat, step=step, slots=slots, first=first):
            # The last block starts earlier, and leaves out what others had.
            start = jnp.minimum(i * step, len(flat) - step)
            vectors = jax.lax.dynamic_slice_in_dim(flat, start, step)
            column = start + jnp.arange(step)
            owner, slot = jnp.divmod(column, slots)
            live = (column >= i * step) & (slot < bank["filled"][owner])
            vectors = vectors.astype(jnp.float32)
            return add(state, Block(vectors, owner, live, first + column))

        state = jax.lax.fori_loop(0, -(-columns // step), body, state)
        first += columns
    return state


def _tiles(labels, num_classes):
    """Tiles of rows of one class: tile i -> (class, rows [R]); how many there are."""
    slot = jnp.where(labels == IGNORE, num_classes, labels)
    order = jnp.argsort(slot)
    sizes = jnp.sum(slot[:, None] == jnp.arange(num_classes)[None], axis=0)  # [C]
    tiles = -(-sizes // _TILE)
    last = jnp.cumsum(tiles)
    first_row = jnp.cumsum(sizes) - sizes

    def rows_of(i):
        owner = jnp.searchsorted(last, i, side="right")
        within = (i - (last - tiles)[owner]) * _TILE + jnp.arange(_TILE)
        row = jnp.minimum(first_row[owner] + within, len(labels) - 1)
        return owner, jnp.where(within < sizes[owner], order[row], len(labels))

    return rows_of, last[-1]


def _slots_of(banks, owner):
    """Slots [M, D] of one class, of all banks, and which of them are written [M]."""
    vectors = [bank["slots"][owner].astype(jnp.float32) for bank in banks]
    live = [
        jnp.arange(bank["slots"].shape[1]) < bank["filled"][owner] for bank in banks
    ]
    return jnp.concatenate(vectors), jnp.concatenate(live)


def _of_class(bank, labels):
    """How many slots of each anchor's class are written: [S]."""
    return bank["filled"][jnp.minimum(labels, bank["filled"].shape[0] - 1)]


def _product(a: jax.Array, b: jax.Array) -> jax.Array:
    return jnp.matmul(a, b, precision=jax.lax.Precision.HIGHEST)
