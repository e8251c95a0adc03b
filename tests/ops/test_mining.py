"""Mining where all difficulties are held at once: as many as asked for, the hardest."""

import functools

import jax
import numpy as np
import pytest

from ppcjax.ops import mining
from ppcjax.ops.mining import Mining

S, N = 6, 400


@functools.partial(jax.jit, static_argnums=(0, 1))
def drawn(kind, most, difficulty, allowed, keys):
    """[K, S, N] draws, of so many keys."""
    take = functools.partial(mining.drawn, kind, most, difficulty, allowed)
    return jax.vmap(take)(keys)


@pytest.fixture
def world():
    rng = np.random.default_rng(0)
    difficulty = rng.uniform(-1, 1, (S, N)).astype(np.float32)
    return difficulty, rng.random((S, N)) < 0.7


def ranks(difficulty, allowed):
    """Place of each among those that are allowed, the hardest first."""
    order = np.argsort(np.argsort(-np.where(allowed, difficulty, -9), axis=1), axis=1)
    return np.where(allowed, order, N)


def test_the_hardest_are_taken(world):
    difficulty, allowed = world
    keys = jax.random.split(jax.random.key(0), 1)
    taken = np.asarray(drawn(Mining("hardest"), 10, difficulty, allowed, keys))[0]
    rank = ranks(difficulty, allowed)
    assert np.all(taken[rank < 10])
    assert not np.any(taken[rank > 12])  # what lies within 5e-4 of the cut


def test_semi_hard_ones_are_drawn_from_the_hardest_share(world):
    difficulty, allowed = world
    keys = jax.random.split(jax.random.key(0), 50)
    taken = drawn(Mining("semi_hard", 0.2), 10, difficulty, allowed, keys)
    taken = np.asarray(taken)
    rank = ranks(difficulty, allowed)
    least = 0.2 * allowed.sum(1, keepdims=True) + 3
    assert not np.any(taken & (rank > least))
    assert abs(taken.sum(-1).mean() - 10) < 1
    # Each of the share is taken at times, none always.
    often = taken.mean(0)[rank < 0.2 * allowed.sum(1, keepdims=True) - 3]
    assert np.all((often > 0) & (often < 0.7))


@pytest.mark.parametrize("kind", ["semi_hard", "hardest", "random"])
def test_where_there_are_few_all_or_none_are_taken(kind):
    difficulty = np.float32([[0.5, -0.5], [0.1, 0.2]])
    allowed = np.array([[True, False], [False, False]])
    keys = jax.random.split(jax.random.key(0), 1)
    taken = drawn(Mining(kind, 0.1), 8, difficulty, allowed, keys)
    np.testing.assert_array_equal(taken[0], allowed)
