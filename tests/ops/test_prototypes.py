"""Prototypes against NumPy, and where weights cancel."""

import jax
import numpy as np
import pytest

from ppcjax.ops import prototypes


def _arrays(pixels=30, channels=5, classes=4):
    rng = np.random.default_rng(0)
    features = np.abs(rng.standard_normal((pixels, channels))).astype(np.float32)
    return features, rng.standard_normal((pixels, classes)).astype(np.float32)


def _mask(indices, pixels):
    """[P, C] bool of the indices [C, K]."""
    return np.array([np.isin(np.arange(pixels), row) for row in indices]).T


@pytest.mark.parametrize("k", [1, 7, 30])
def test_estimate_equals_numpy(k):
    features, scores = _arrays()
    top = prototypes.most_confident(scores, k)
    order = np.argsort(-scores, axis=0, kind="stable")[:k].T
    np.testing.assert_array_equal(top, _mask(order, len(scores)))
    for c, centre in enumerate(prototypes.estimate(features, scores, top)):
        mean = np.average(features[order[c]], axis=0, weights=scores[order[c], c])
        expected = mean / np.linalg.norm(mean)
        np.testing.assert_allclose(centre, expected, atol=1e-5)


def test_ties_go_to_the_lowest_index():
    scores = np.array([[1, 0.2], [3, 0.2], [3, 0.2], [1, 0.2]], np.float32)
    top = prototypes.most_confident(scores, 3)
    np.testing.assert_array_equal(top, _mask([[1, 2, 0], [0, 1, 2]], 4))


def test_more_pixels_than_there_are():
    _, scores = _arrays(pixels=6)
    assert np.all(prototypes.most_confident(scores, 99))


def test_all_negative_weights_give_the_plain_mean():
    """A class that is nowhere has confidence -1 everywhere; the signs cancel."""
    features, scores = _arrays()
    scores[:, 1] = -1
    top = prototypes.most_confident(scores, 8)
    centre = prototypes.estimate(features, scores, top)[1]
    mean = features[:8].mean(axis=0)
    np.testing.assert_allclose(centre, mean / np.linalg.norm(mean), rtol=1e-5)


def test_weights_that_cancel_stay_finite():
    features = np.array([[1, 0], [0, 1]], np.float32)
    scores = np.array([[1.0], [-1.0]], np.float32)
    centre = prototypes.estimate(features, scores, np.ones((2, 1), bool))
    np.testing.assert_allclose(np.linalg.norm(centre), 1, rtol=1e-5)


def test_zero_features_give_a_zero_prototype():
    _, scores = _arrays()
    top = prototypes.most_confident(scores, 4)
    assert not np.any(prototypes.estimate(np.zeros((30, 5)), scores, top))


def test_prototypes_are_constants():
    features, scores = _arrays()
    top = prototypes.most_confident(scores, 4)
    grads = jax.grad(lambda f, s: prototypes.estimate(f, s, top).sum(), argnums=(0, 1))(
        features, scores
    )
    assert not np.any(grads[0]) and not np.any(grads[1])
