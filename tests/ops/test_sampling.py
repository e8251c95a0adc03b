"""Choosing pixels per class: exact counts, ranks, and the divisor."""

import jax
import numpy as np
import pytest

from ppcjax.ops import sampling
from ppcjax.types import IGNORE

# Classes of 11, 1, 0, 2 and 20 pixels, and six pixels of none.
SIZES = np.array([11, 1, 0, 2, 20])
C = len(SIZES)


@pytest.fixture
def labels():
    labels = np.repeat([*range(C), IGNORE], [*SIZES, 6]).astype(np.int32)
    return np.random.default_rng(0).permutation(labels)


def _counts(chosen, labels):
    return np.bincount(labels[np.asarray(chosen)], minlength=C)


def test_class_sizes(labels):
    np.testing.assert_array_equal(sampling.class_sizes(labels, C), SIZES)


def test_random_half_takes_exactly_half_of_each_class(labels):
    half = jax.jit(sampling.random_half, static_argnums=2)
    chosen = [np.asarray(half(labels, jax.random.key(i), C)) for i in range(200)]
    for one in chosen[:5]:
        np.testing.assert_array_equal(_counts(one, labels), SIZES // 2)
    np.testing.assert_array_equal(chosen[0], half(labels, jax.random.key(0), C))
    # Every pixel of a class is as likely as any other.
    share = np.mean(chosen, axis=0)
    np.testing.assert_allclose(share[labels == 4], 0.5, atol=0.15)
    assert not np.any(share[labels == IGNORE]) and not np.any(share[labels == 1])


def test_hard_half_skips_the_hardest_tenth(labels):
    similarity = np.random.default_rng(1).standard_normal(labels.size)
    chosen = sampling.hard_half(labels, similarity.astype(np.float32), C)
    np.testing.assert_array_equal(_counts(chosen, labels), SIZES // 2)
    for c, size in enumerate(SIZES):
        members = np.flatnonzero(labels == c)
        order = members[np.argsort(similarity[members])]
        end = int(0.6 * size)
        expected = order[end - size // 2 : end]
        np.testing.assert_array_equal(
            np.flatnonzero(np.asarray(chosen) & (labels == c)), np.sort(expected)
        )


def test_mean_over_classes(labels):
    nats = np.random.default_rng(2).random(labels.size, dtype=np.float32)
    weights = np.random.default_rng(3).integers(0, 3, labels.size)
    weights[labels == 1] = 0
    value = sampling.mean_over_classes(nats, labels, weights, C)
    # The class of one pixel has none chosen: it adds nothing but counts.
    means = [
        np.average(nats[labels == c], weights=weights[labels == c]) for c in (0, 3, 4)
    ]
    np.testing.assert_allclose(value, sum(means) / 4, rtol=1e-6)


def test_nothing_labelled_gives_zero_with_zero_gradient():
    labels = np.full(5, IGNORE, np.int32)
    ones = np.ones(5, np.float32)
    value, grad = jax.value_and_grad(sampling.mean_over_classes)(ones, labels, ones, C)
    assert value == 0 and not np.any(grad)
    assert not np.any(sampling.hard_half(labels, ones, C))
    assert not np.any(sampling.random_half(labels, jax.random.key(0), C))


def test_equal_similarities_still_give_half(labels):
    chosen = sampling.hard_half(labels, np.zeros(labels.size, np.float32), C)
    np.testing.assert_array_equal(_counts(chosen, labels), SIZES // 2)
