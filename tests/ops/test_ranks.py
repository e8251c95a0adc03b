"""Selecting without sorting, against NumPy's sort."""

import chex
import jax
import numpy as np
import pytest

from ppcjax.ops import ranks

P = 37


def _values(ties=False):
    x = np.random.default_rng(0).gamma(1.0, size=(3, P)).astype(np.float32)
    x[1] *= 1e-30  # exponents far from the others
    x[2, :20] = 0.0
    return np.round(x, 1) if ties else x


@pytest.mark.parametrize("k", [1, 2, 17, P - 1, P])
@pytest.mark.parametrize("ties", [False, True])
def test_largest_mean_equals_sorting(k, ties):
    x = _values(ties)
    expected = np.sort(x, axis=1)[:, ::-1][:, :k].mean(axis=1)
    np.testing.assert_allclose(
        jax.jit(ranks.largest_mean, static_argnums=1)(x, k), expected, rtol=1e-6
    )


@pytest.mark.parametrize("k", [1, 9, P - 1])
@pytest.mark.parametrize("ties", [False, True])
def test_smallest_mean_equals_sorting(k, ties):
    x = _values(ties)
    expected = np.sort(x, axis=1)[:, :k].mean(axis=1)
    np.testing.assert_allclose(
        ranks.smallest_mean(x, k), expected, rtol=1e-5, atol=1e-7
    )


@pytest.mark.parametrize("k", [1, 5, 12])
def test_ties_share_what_is_left(k):
    x = np.array([[3, 1, 2, 2, 2, 0, 0, 0, 0, 0, 0, 0]], np.float32)
    weights = np.asarray(ranks.largest_weights(x, k))
    np.testing.assert_allclose(weights.sum(), k, rtol=1e-6)
    for value in np.unique(x):
        assert len(np.unique(weights[x == value])) == 1
    assert weights.min() >= 0 and weights.max() <= 1


def test_negative_zero_is_zero():
    """A negative map times an absent tag is -0."""
    x = np.full((1, 8), -0.0, np.float32)
    weights = jax.jit(ranks.largest_weights, static_argnums=1)(x, 3)
    np.testing.assert_allclose(weights, 3 / 8)


@pytest.mark.parametrize("mean", [ranks.largest_mean, ranks.smallest_mean])
def test_gradients(mean):
    x = np.random.default_rng(1).permutation(12).reshape(2, 6).astype(np.float32)
    chex.assert_numerical_grads(lambda x: mean(x, 2), (x,), order=1)


def test_selection_is_a_constant():
    x = _values()
    grad = jax.grad(lambda x: ranks.largest_weights(x, 5).sum())(x)
    assert not np.any(grad)


@pytest.mark.parametrize("pixels", [1, 2, 16, 17, 300])
@pytest.mark.parametrize("digits", [0, 1, 6])
def test_first_chooses_as_a_stable_sort(pixels, digits):
    """Of equal values, at 0 digits half of all, the first."""
    rng = np.random.default_rng(pixels)
    x = np.round(rng.standard_normal((6, pixels)), digits).astype(np.float32)
    x[3, ::2], x[4], x[5] = -np.inf, -x[3], -1e-30
    count = rng.integers(0, pixels + 1, 6)
    count[:2] = 0, pixels
    order = np.argsort(x, axis=1, kind="stable")
    place = np.argsort(order, axis=1)  # of each value in that order
    chosen = jax.jit(ranks.first)(x, count)
    np.testing.assert_array_equal(chosen, place < count[:, None])
