"""Empty parts give zero with a finite gradient."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ppcjax.ops import masks

X = np.array([[1.0, -2.0, 4.0], [0.5, 3.0, -1.0]], np.float32)


def test_masked_mean_equals_the_mean_of_the_subset():
    mask = X > 0.7
    np.testing.assert_allclose(masks.masked_mean(X, mask), X[mask].mean(), rtol=1e-6)
    weights = np.array([[1, 0, 2], [0.5, 0, 0]], np.float32)
    expected = np.average(X, weights=weights)
    np.testing.assert_allclose(masks.masked_mean(X, weights), expected, rtol=1e-6)


def test_empty_mask_gives_zero_and_zero_gradient():
    empty = np.zeros(X.shape, bool)
    value, grad = jax.value_and_grad(masks.masked_mean)(X, empty)
    assert value == 0 and not np.any(grad)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_masked_out_may_be_anything(bad):
    x = X.copy()
    x[0, 0] = bad
    value, grad = jax.value_and_grad(masks.masked_mean)(x, np.isfinite(x))
    np.testing.assert_allclose(value, X.ravel()[1:].mean(), rtol=1e-6)
    chex.assert_tree_all_finite(grad)


def test_shapes_must_agree():
    with pytest.raises(AssertionError):
        masks.masked_mean(X, np.ones(3, bool))


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_l2_normalize(axis):
    expected = X / np.linalg.norm(X, axis=axis, keepdims=True)
    np.testing.assert_allclose(masks.l2_normalize(X, axis=axis), expected, rtol=1e-6)


def test_zero_vectors_stay_zero_with_finite_gradient():
    x = X.copy()
    x[0] = 0
    out, grad = jax.value_and_grad(lambda x: jnp.sum(masks.l2_normalize(x) * X))(x)
    chex.assert_tree_all_finite((out, grad))
    assert not np.any(masks.l2_normalize(x)[0])
    assert not np.any(jax.grad(lambda x: masks.norm(x).sum())(x)[0])


def test_gradient_of_normalize():
    # assert_numerical_grads wants arrays of one shape in and out.
    chex.assert_numerical_grads(masks.l2_normalize, (X,), order=1, rtol=2e-2)
