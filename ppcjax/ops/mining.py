"""Which slots of a memory an anchor is contrasted with: hard, semi-hard or any.

Wang et al., ICCV 2021, section 3.2 (semantic-aware hard example sampling); never
released. The hardest negatives are the most similar ones, the hardest positives the
least similar ones; "difficulty" below is the cosine of the former and minus that of the
latter.

The cut between the hardest and the rest is found without sorting, and without keeping
the similarities: how many slots reach each of 64 edges is counted block by block, then
again for 64 edges within the interval found. The cut is the highest of 4096 equal steps
of [-1.05, 1.05] that enough slots reach. So at least as many take part as asked for,
and what is too many lies within 5e-4 of the cut.

Of those a number is drawn. Each takes part independently with the probability that
gives this number on average. u_i + v_j mod 1, of one random number per anchor and one
per slot, is uniform and independent over the slots of an anchor, so that a matrix of
random numbers is not needed; draws of different anchors depend on each other.
"""

from collections.abc import Callable
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

KINDS = ("semi_hard", "hardest", "random")
_LIMIT = 1.05  # above any cosine, of vectors rounded to bfloat16 too
_EDGES = 64


class Mining(NamedTuple):
    """Which slots of a memory take part.

    kind: "semi_hard": so many drawn from the hardest share; "hardest": so many of the
        hardest; "random": so many drawn from all.
    share: hardest share of the slots, in (0, 1], for "semi_hard".
    positives: how many positives.
    negatives: how many negatives.
    """

    kind: str = "semi_hard"
    share: float = 0.1
    positives: int = 1024
    negatives: int = 2048


class Choice(NamedTuple):
    """A choice of slots for each anchor.

    cut: [S] least difficulty.
    accept: [S] probability of each that reaches it.
    row: [S] and column: [N] random numbers in [0, 1).
    """

    cut: jax.Array
    accept: jax.Array
    row: jax.Array
    column: jax.Array

    def takes(self, difficulty: chex.Array, column: chex.Array) -> jax.Array:
        """Which slots take part.

        Args:
            difficulty: [S, N'].
            column: [N'] number of each.

        Returns:
            [S, N'] bool.
        """
        draw = (self.row[:, None] + self.column[column][None, :]) % 1.0
        return (difficulty >= self.cut[:, None]) & (draw < self.accept[:, None])


def choose(
    mining: Mining,
    most: int,
    available: chex.Array,
    count: Callable[[jax.Array], jax.Array],
    key: chex.PRNGKey,
    *,
    columns: int,
) -> Choice:
    """Finds the cut of each anchor and how likely a slot above it takes part.

    Args:
        mining: what is to take part.
        most: how many are to take part.
        available: [S] int32 how many there are.
        count: edges [S, T] -> [S, T] int32 how many slots are as difficult as that.
        key: PRNG key of the draws.
        columns: N.

    Returns:
        The choice. All take part where there are no more than `most`.
    """
    rows = available.shape
    wanted = {
        "semi_hard": jnp.ceil(mining.share * available).astype(jnp.int32),
        "hardest": jnp.minimum(available, most),
        "random": available,
    }[mining.kind]
    cut, found = jnp.full(rows, -_LIMIT), available
    width = 2 * _LIMIT
    for _ in range(2):
        width /= _EDGES
        edges = cut[:, None] + width * jnp.arange(_EDGES, dtype=jnp.float32)[None]
        counts = count(edges)
        # Counts fall from edge to edge, and the first one is reached by enough.
        last = jnp.sum(counts >= wanted[:, None], axis=1, keepdims=True) - 1
        last = jnp.maximum(last, 0)
        cut, found = (
            jnp.take_along_axis(x, last, axis=1)[:, 0] for x in (edges, counts)
        )
    drawn = mining.kind != "hardest"
    accept = most / jnp.maximum(found, 1) if drawn else jnp.full(rows, 2.0)
    row_key, column_key = jax.random.split(key)
    return Choice(
        cut,
        accept,
        jax.random.uniform(row_key, rows),
        jax.random.uniform(column_key, (columns,)),
    )


def at_least(x: chex.Array, edges: chex.Array) -> jax.Array:
    """How many of each row of x [S, N] reach each edge [S, T]: [S, T] int32."""

    def reach(edge):  # [S]; one edge at a time: no array of anchors x edges x slots
        return jnp.sum(x >= edge[:, None], axis=1, dtype=jnp.int32)

    return jax.lax.map(reach, edges.T).T


def drawn(
    mining: Mining,
    most: int,
    difficulty: chex.Array,
    allowed: chex.Array,
    key: chex.PRNGKey,
) -> jax.Array:
    """Which slots take part, where all difficulties are held at once.

    Args:
        mining: what is to take part.
        most: how many are to take part.
        difficulty: [S, N] cosines of negatives, or minus those of positives.
        allowed: [S, N] bool, slots that may.
        key: PRNG key of the draws.

    Returns:
        [S, N] bool.
    """
    seen = jnp.where(allowed, difficulty, -9.0)
    choice = choose(
        mining,
        most,
        jnp.sum(allowed, axis=1),
        lambda edges: at_least(seen, edges),
        key,
        columns=allowed.shape[1],
    )
    return allowed & choice.takes(difficulty, jnp.arange(allowed.shape[1]))
