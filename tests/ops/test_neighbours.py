"""Nearest vectors and their labels against NumPy; ties, blocks, zeros, two devices."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ppcjax.ops import neighbours
from ppcjax.predict import devices


def _arrays(queries=7, memory=23, channels=5, classes=4):
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((queries + memory, channels)).astype(np.float32)
    labels = rng.dirichlet(np.ones(classes), memory).astype(np.float32)
    return vectors[:queries], vectors[queries:], labels


def _cosines(queries, memory):
    """In float64; 0 with a vector of norm 0."""
    a, b = (np.asarray(x, np.float64) for x in (queries, memory))
    norms = np.outer(*(np.linalg.norm(x, axis=1) for x in (a, b)))
    return a @ b.T / np.where(norms > 0, norms, 1)


@pytest.mark.parametrize("block", [1, 5, 8, 23, 4096])
@pytest.mark.parametrize("k", [1, 6, 23])
def test_nearest_equals_sorting_for_every_block(k, block):
    queries, memory, _ = _arrays()
    cosines, places = neighbours.nearest(queries, memory, k, block=block)
    expected = _cosines(queries, memory)
    order = np.argsort(-expected, axis=1, kind="stable")[:, :k]
    np.testing.assert_array_equal(places, order)
    np.testing.assert_allclose(
        cosines, np.take_along_axis(expected, order, 1), atol=1e-6
    )


@pytest.mark.parametrize("block", [1, 2, 3, 7, 100])
def test_equal_cosines_are_in_the_order_of_the_memory(block):
    memory = np.float32([[0, 1], [2, 0], [1, 0], [0, 3], [4, 0], [0.5, 0], [-1, 0]])
    _, places = neighbours.nearest(np.float32([[3, 0]]), memory, 6, block=block)
    np.testing.assert_array_equal(places, [[1, 2, 4, 5, 0, 3]])


def test_lengths_do_not_count():
    queries, memory, labels = _arrays()
    scale = np.linspace(1e-3, 1e3, len(memory), dtype=np.float32)[:, None]
    pair = (queries, memory), (7 * queries, scale * memory)
    first, second = (
        neighbours.soft_labels(*one, labels, k=5, temperature=0.1) for one in pair
    )
    np.testing.assert_allclose(first, second, rtol=1e-4)


def test_zero_vectors_are_as_near_as_a_right_angle():
    memory = np.float32([[0, 0], [-1, 0], [0, 1], [1, 0]])
    cosines, places = neighbours.nearest(np.float32([[1, 0], [0, 0]]), memory, 4)
    np.testing.assert_array_equal(places, [[3, 0, 2, 1], [0, 1, 2, 3]])
    np.testing.assert_array_equal(cosines, [[1, 0, 0, -1], [0, 0, 0, 0]])


@pytest.mark.parametrize("temperature", [0.02, 1.0])
def test_labels_are_weighted_by_a_softmax_over_the_nearest(temperature):
    queries, memory, labels = _arrays()
    found = neighbours.soft_labels(
        queries, memory, labels, k=6, temperature=temperature, block=4
    )
    cosines = _cosines(queries, memory)
    for i, row in enumerate(cosines):
        near = np.argsort(-row)[:6]
        weights = np.exp((row[near] - row.max()) / temperature)
        expected = weights @ labels[near] / weights.sum()
        np.testing.assert_allclose(found[i], expected, atol=1e-5)
    np.testing.assert_allclose(found.sum(1), 1, rtol=1e-5)


def test_a_memory_in_half_precision_is_compared_in_float32():
    queries, memory, labels = _arrays()
    half = jnp.asarray(memory, jnp.bfloat16)
    settings = {"k": 3, "temperature": 0.02}
    found = neighbours.soft_labels(queries, half, labels, **settings)
    same = neighbours.soft_labels(
        queries, np.asarray(half, np.float32), labels, **settings
    )
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, same)


def test_a_memory_of_one_says_the_same_of_everything():
    queries, memory, labels = _arrays()
    found = neighbours.soft_labels(
        queries, memory[:1], labels[:1], k=1, temperature=0.02
    )
    np.testing.assert_allclose(found, np.tile(labels[:1], (7, 1)), rtol=1e-6)
    assert neighbours.soft_labels(
        queries[:0], memory, labels, k=3, temperature=0.02
    ).shape == (0, 4)


@pytest.mark.parametrize("k", [0, 24])
def test_there_are_not_more_neighbours_than_vectors(k):
    queries, memory, _ = _arrays()
    with pytest.raises(ValueError, match="the memory holds 23 vectors"):
        neighbours.nearest(queries, memory, k)


def test_no_more_than_a_block_of_cosines_is_held():
    arrays = (jnp.zeros((n, 4)) for n in (64, 100_000, 100_000))
    function = functools.partial(
        neighbours.soft_labels, k=30, temperature=0.02, block=500
    )
    compiled = jax.jit(function).lower(*arrays).compile()
    assert compiled.memory_analysis().temp_size_in_bytes < 64 * 1000 * 4 * 8


def test_devices_share_the_queries_and_exchange_nothing():
    assert len(jax.devices()) == 2
    queries, memory, labels = _arrays(queries=8)
    settings = {"k": 6, "temperature": 0.02, "block": 4}
    one = neighbours.soft_labels(queries, memory, labels, **settings)
    placed = devices.shard(queries), *devices.replicate((memory, labels))
    shared = devices.by_rows(functools.partial(neighbours.soft_labels, **settings))
    two = shared(*placed)
    np.testing.assert_allclose(two, one, rtol=1e-4)
    text = shared.lower(*placed).compile().as_text()
    assert not any(word in text for word in ("all-gather", "all-reduce", "all-to-all"))
