"""Affinities from a transformer's attention."""

import jax
import numpy as np
import pytest

from ppcjax.ops.self_attention import (
    attended,
    attention_affinity,
    attention_correlation,
)

RNG = np.random.default_rng(0)


def _asked(count, width=6, scale=1.0):
    return scale * RNG.standard_normal((2, count, width)).astype(np.float32)


def _reference(query, key, there, heads):
    """By loops, in float64."""
    count, width = query.shape
    size = width // heads
    found = np.zeros((count, count))
    for h in range(heads):
        part = slice(h * size, (h + 1) * size)
        for i in range(count):
            scores = query[i, part].astype(float) @ key[:, part].T / np.sqrt(size)
            weights = np.where(there, np.exp(scores - scores[there].max()), 0)
            found[i] += weights / weights.sum() / heads
    found[~there] = 0
    for _ in range(3):
        found = found / np.maximum(found.sum(0), 1e-12)
        found = found / np.maximum(found.sum(1, keepdims=True), 1e-12)
    found = (found + found.T) / 2
    return found / np.maximum(found.sum(1, keepdims=True), 1e-12)


@pytest.mark.parametrize("heads", [1, 2, 3])
@pytest.mark.parametrize("missing", [0, 3, 6])
def test_affinity_is_that_of_the_equations(heads, missing):
    query, key = _asked(7)
    there = np.arange(7) < 7 - missing
    found = np.asarray(attention_affinity(query, key, there, heads=heads))
    np.testing.assert_allclose(
        found, _reference(query, key, there, heads), rtol=1e-4, atol=1e-6
    )
    np.testing.assert_allclose(found[there].sum(1), 1, rtol=1e-5)
    assert not found[~there].any() and not found[:, ~there].any()


def test_maps_of_each_photo_are_carried_by_its_own_affinity():
    query, key = (x.reshape(2, 3, 4, 6) for x in (_asked(12), _asked(12)))
    maps = RNG.random((2, 3, 4, 5)).astype(np.float32)
    there = np.ones((2, 3, 4), bool)
    there[1, 2] = there[1, :, 3] = False
    found = jax.jit(lambda *a: attention_correlation(*a, heads=2))(
        maps, query, key, there
    )
    for photo in range(2):
        affinity = _reference(
            query[photo].reshape(12, 6),
            key[photo].reshape(12, 6),
            there[photo].ravel(),
            2,
        )
        expected = (affinity @ maps[photo].reshape(12, 5)).reshape(3, 4, 5)
        np.testing.assert_allclose(found[photo], expected, rtol=1e-4, atol=1e-6)
    without = attention_correlation(maps, query, key, None, heads=2)
    np.testing.assert_allclose(without[0], found[0], rtol=1e-6)


def test_large_scores_stay_finite():
    query, key = _asked(5, scale=300.0)
    found = np.asarray(attention_affinity(query, key, np.ones(5, bool), heads=1))
    assert np.isfinite(found).all() and np.all(found >= 0)


def test_attended_maps_keep_their_value_where_attention_is_most():
    maps = RNG.random((2, 3, 4, 5)).astype(np.float32)
    weights = RNG.random((2, 3, 4, 1)).astype(np.float32)
    weights[0, 1, 2], weights[1] = 7.0, 0.0
    found = np.asarray(attended(maps, weights, 2.0))
    np.testing.assert_allclose(found[0, 1, 2], maps[0, 1, 2])
    np.testing.assert_allclose(found[0], maps[0] * (weights[0] / 7) ** 2, rtol=1e-5)
    assert not found[1].any()
