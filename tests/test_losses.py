"""Losses against NumPy, at extreme logits too."""

from functools import partial

import chex
import jax
import numpy as np
import pytest

from ppcjax.losses import (
    cross_entropy,
    hard_cross_entropy,
    multilabel_soft_margin,
)
from ppcjax.types import IGNORE


def _arrays():
    rng = np.random.default_rng(0)
    logits = rng.standard_normal((4, 5)).astype(np.float32)
    return logits, rng.integers(0, 2, (4, 5)).astype(np.float32)


def test_equals_numpy():
    logits, tags = _arrays()
    p = 1 / (1 + np.exp(-logits.astype(np.float64)))
    expected = -np.mean(tags * np.log(p) + (1 - tags) * np.log(1 - p))
    np.testing.assert_allclose(
        multilabel_soft_margin(logits, tags), expected, rtol=1e-6
    )


def test_gradient_is_sigmoid_minus_tags():
    logits, tags = _arrays()
    grad = jax.grad(multilabel_soft_margin)(logits, tags)
    expected = (1 / (1 + np.exp(-logits)) - tags) / logits.size
    np.testing.assert_allclose(grad, expected, atol=1e-7)


def test_extreme_logits_stay_finite():
    logits = np.array([[1e4, -1e4, 1e4, -1e4]], np.float32)
    tags = np.array([[1, 0, 0, 1]], np.float32)
    value, grad = jax.value_and_grad(multilabel_soft_margin)(logits, tags)
    np.testing.assert_allclose(value, 1e4 / 2)
    chex.assert_tree_all_finite(grad)


def test_shapes_must_agree():
    with pytest.raises(AssertionError):
        multilabel_soft_margin(np.zeros((2, 3)), np.zeros((2, 1)))


class TestCrossEntropy:
    LOGITS = np.random.default_rng(0).standard_normal((2, 3, 4, 5)).astype(np.float32)
    MASK = np.random.default_rng(1).integers(0, 5, (2, 3, 4)).astype(np.int32)

    @pytest.mark.parametrize("weights", [(), (0.5, 2.0, 0.0, 1.0, 3.0)])
    def test_equals_numpy(self, weights):
        mask = self.MASK.copy()
        mask[0, :, 1] = IGNORE
        known = mask != IGNORE
        p = np.exp(self.LOGITS.astype(np.float64))
        p /= p.sum(-1, keepdims=True)
        nats = -np.log(p[known, mask[known]])
        w = np.array(weights or np.ones(5))[mask[known]]
        loss, grad = jax.value_and_grad(cross_entropy)(
            self.LOGITS, mask, class_weights=weights
        )
        np.testing.assert_allclose(loss, (w * nats).sum() / w.sum(), rtol=1e-6)
        assert (grad[0, :, 1] == 0).all() and (grad[1] != 0).any()

    def test_nothing_known_is_zero(self):
        mask = np.full_like(self.MASK, IGNORE)
        loss, grad = jax.value_and_grad(cross_entropy)(self.LOGITS, mask)
        assert loss == 0 and not np.any(grad)

    def test_extreme_logits_stay_finite(self):
        loss, grad = jax.value_and_grad(cross_entropy)(1e5 * self.LOGITS, self.MASK)
        chex.assert_tree_all_finite((loss, grad))


@pytest.mark.parametrize(("threshold", "least"), [(0.3, 5), (0.3, 60), (0.9, 5)])
def test_hard_pixels(threshold, least):
    rng = np.random.default_rng(0)
    logits = rng.standard_normal((2, 8, 8, 3)).astype(np.float32)
    mask = rng.integers(0, 3, (2, 8, 8)).astype(np.int32)
    mask[:, 0] = IGNORE
    weights = (1.0, 2.0, 0.5)
    loss = partial(hard_cross_entropy, threshold=threshold)
    value = loss(logits, mask, least=least, class_weights=weights)
    known = mask != IGNORE
    share = np.exp(logits[known]) / np.exp(logits[known]).sum(-1, keepdims=True)
    sure = share[np.arange(known.sum()), mask[known]]
    counted = sure < max(threshold, np.sort(sure)[least])
    expected = (-np.log(sure) * np.array(weights)[mask[known]])[counted].mean()
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    assert 0 < counted.sum() < known.sum()


def test_hard_pixels_of_an_empty_mask():
    mask = np.full((1, 4, 4), IGNORE, np.int32)
    value, grad = jax.value_and_grad(hard_cross_entropy)(
        np.ones((1, 4, 4, 3), np.float32), mask, threshold=0.9, least=5
    )
    assert value == 0 and not np.any(grad)
