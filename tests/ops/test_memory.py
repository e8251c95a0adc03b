"""Rings against queues of Python; what is pushed; the faults that are gone."""

import functools
from collections import deque

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ppcjax.ops import memory, released_memory
from ppcjax.types import IGNORE

C, M, K, D = 4, 7, 3, 5
PUSH = jax.jit(memory.push)


def _unit(rng, *shape):
    x = rng.standard_normal(shape)
    return (x / np.linalg.norm(x, axis=-1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_ring_equals_a_queue(dtype):
    """Random pushes, more of a class in one batch than it has slots among them."""
    rng = np.random.default_rng(0)
    bank = memory.empty_bank(C, M, D, jnp.dtype(dtype))
    queues = [deque(maxlen=M) for _ in range(C)]
    for _ in range(12):
        counts = rng.integers(0, K + 1, (4, C)).astype(np.int32)
        counts[:, 3] = 0
        vectors = _unit(rng, 4, C, K, D)
        bank = PUSH(bank, vectors, counts)
        for image in range(4):
            for label in range(C):
                queues[label].extend(vectors[image, label, : counts[image, label]])
    slots, start = np.asarray(bank["slots"], np.float32), np.asarray(bank["next"])
    np.testing.assert_array_equal(bank["filled"], [M, M, M, 0])
    assert not slots[3].any()
    for label in range(3):
        oldest_first = np.roll(slots[label], -start[label], axis=0)
        np.testing.assert_allclose(
            oldest_first,
            np.stack(queues[label]),
            atol=1e-6 if dtype == "float32" else 4e-3,
        )


def test_pointer_moves_by_what_is_pushed_and_splits_at_the_end():
    rng = np.random.default_rng(1)
    bank = memory.empty_bank(C, M, D, np.float32)
    count = np.full((1, C), K, np.int32)
    vectors = [_unit(rng, 1, C, K, D) for _ in range(3)]
    for one in vectors:
        bank = PUSH(bank, one, count)
    np.testing.assert_array_equal(bank["next"], np.full(C, 3 * K % M))
    slots = np.asarray(bank["slots"][0])
    np.testing.assert_array_equal(slots[6], vectors[2][0, 0, 0])
    np.testing.assert_array_equal(slots[:2], vectors[2][0, 0, 1:])
    np.testing.assert_array_equal(slots[2], vectors[0][0, 0, 2])


def _maps():
    rng = np.random.default_rng(2)
    labels = rng.integers(0, C - 1, (3, 30)).astype(np.int32)
    labels[:, ::5] = IGNORE
    labels[1] = np.where(labels[1] == 1, 2, labels[1])  # not in the second image
    labels[2, 1:3], labels[2, 3:] = 1, 0
    return _unit(rng, 3, 30, D), labels


def test_region_is_the_mean_over_the_class():
    keys, labels = _maps()
    vectors, counts = jax.jit(memory.region_vectors, static_argnums=2)(keys, labels, C)
    for image in range(3):
        for label in range(C):
            member = labels[image] == label
            assert counts[image, label] == member.any()
            if member.any():
                mean = keys[image][member].mean(0)
                mean /= np.linalg.norm(mean)
                np.testing.assert_allclose(vectors[image, label, 0], mean, atol=1e-5)
    assert np.isfinite(vectors).all()


def test_pixels_are_of_the_class_and_uniform():
    keys, labels = _maps()
    keys = np.tile(np.arange(30, dtype=np.float32)[None, :, None], (3, 1, D))
    take = functools.partial(memory.pixel_vectors, num_classes=C, most=K)

    @jax.jit
    @jax.vmap
    def many(key):
        return take(keys, labels, jax.random.uniform(key, labels.shape))

    runs = 400
    vectors, counts = jax.device_get(many(jax.random.split(jax.random.key(0), runs)))
    sizes = np.array([[(row == c).sum() for c in range(C)] for row in labels])
    np.testing.assert_array_equal(counts[0], np.minimum(sizes, K))
    for image in range(3):
        for label in range(C):
            cells = vectors[:, image, label, : counts[0, image, label], 0].astype(int)
            assert (labels[image][cells] == label).all()
            assert all(len(set(row)) == len(row) for row in cells)
            taken = np.bincount(cells.ravel(), minlength=30)[labels[image] == label]
            if taken.size > K:
                mean = taken.mean()
                chi_square = ((taken - mean) ** 2).sum() / (mean * (1 - mean / runs))
                assert chi_square < taken.size + 5 * np.sqrt(2 * taken.size)


def test_released_faults_stay_in_the_released_memory():
    """Class 0 is not written, the pointer moves by one, cells are the map's first."""
    rng = np.random.default_rng(3)
    banks = [released_memory.random_bank(rng, C, M, D, np.float32) for _ in range(2)]
    labels = np.repeat(np.arange(3, dtype=np.int32), 10)[None]
    keys = _unit(rng, 1, 30, D)
    cells = jax.jit(
        functools.partial(released_memory.draw_cells, num_classes=C, most=K)
    )(labels, jax.random.key(0))
    assert np.all(cells[0, :3] < 10) and len(set(np.asarray(cells[0, 1]))) == K
    region, pixel = jax.jit(released_memory.push)(*banks, keys, labels, cells)
    for before, after in zip(banks, (region, pixel), strict=True):
        np.testing.assert_array_equal(after["next"], [0, 1, 1, 0])
        np.testing.assert_array_equal(after["slots"][0], before["slots"][0])
    # Class 2 fills the last ten cells; what is remembered of it is from the first ten.
    np.testing.assert_allclose(
        pixel["slots"][2, :K], keys[0][np.asarray(cells[0, 2])], atol=1e-6
    )
    with pytest.raises(ValueError, match="30 labels on 20 embeddings"):
        released_memory.push(*banks, keys[:, :20], labels, cells)
    with pytest.raises(ValueError, match="29 anchors and 28 slots"):
        released_memory.masked_positive(np.zeros(29, np.int32), 4, 7)


def test_a_lap_of_the_released_pointer():
    """Ten of 5000 slots at a push, the pointer moving by one: 4991 pushes."""
    next_, pushes = 0, 0
    while pushes == 0 or next_:
        next_ = 0 if next_ + 10 >= 5000 else (next_ + 1) % 5000
        pushes += 1
    assert pushes == 4991
