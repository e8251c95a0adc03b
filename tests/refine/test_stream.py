"""What activation maps say of the background, and the CRF on predictions."""

import math
from typing import NamedTuple

import numpy as np
import pytest

from ppcjax.predict.prediction import Prediction
from ppcjax.refine import crf
from ppcjax.refine.stream import (
    Background,
    class_distribution,
    refine_predictions,
    with_affinity_labels,
)


class Photo(NamedTuple):
    id: str
    image: np.ndarray
    tags: np.ndarray | None = None


def _prediction(scores):
    """One class of three is shown, with the given scores."""
    maps = np.zeros((*scores.shape, 3), np.float32)
    maps[..., 2] = scores
    image = np.where(scores[..., None] > 0.5, 250, 10).repeat(3, -1).astype(np.uint8)
    return Prediction(Photo("a", image), maps, np.array([True, False, True]))


@pytest.mark.parametrize("threshold", [0.05, 0.26, 0.5, 0.9])
def test_background_wins_below_the_threshold(threshold):
    scores = np.array([[threshold - 0.01, threshold + 0.01]], np.float32)
    ids, found = class_distribution(_prediction(scores), Background(threshold))
    assert ids.tolist() == [0, 2]
    assert found.argmax(-1).tolist() == [[0, 1]]


def test_exponents():
    assert Background(0.2755).exponent == pytest.approx(4, abs=1e-3)  # spec of PPC
    assert Background(0.5).exponent == pytest.approx(1)
    assert Background(0.26, alpha=8.0).exponent == 8
    assert Background(0.0).exponent == math.inf
    scores = np.array([[0.0, 0.01]], np.float32)
    _, found = class_distribution(_prediction(scores), Background(0.0))
    assert found.argmax(-1).tolist() == [[0, 1]]


def test_probabilities_pass_as_they_are():
    p = np.full((2, 2, 3), 1 / 3, np.float32)
    prediction = Prediction.of_probabilities(
        Photo("a", np.zeros((2, 2, 3), np.uint8)), p
    )
    ids, found = class_distribution(prediction, Background(0.26))
    assert ids.tolist() == [0, 1, 2] and found is p


def test_crf_gives_probabilities_of_all_classes():
    scores = np.zeros((12, 16), np.float32)
    scores[3:9, 4:12] = 0.8
    (found,) = refine_predictions(
        [_prediction(scores)], crf.preset("k1"), Background(0.3)
    )
    assert found.probabilities.shape == (12, 16, 3)
    np.testing.assert_allclose(found.probabilities.sum(-1), 1, atol=1e-5)
    np.testing.assert_array_equal(found.probabilities.argmax(-1) == 2, scores > 0)
    np.testing.assert_array_equal(found.scores[..., 2] > 0.5, scores > 0)


def test_crf_keeps_the_labels_of_a_prediction():
    scores = np.full((4, 4), 0.8, np.float32)
    labelled = _prediction(scores)._replace(labels=("low", "high"))
    (found,) = refine_predictions([labelled], crf.preset("k1"), Background(0.3))
    assert found.labels == labelled.labels


def test_affinity_labels_without_a_crf():
    scores = np.array([[0.05, 0.15, 0.5]], np.float32)
    backgrounds = Background(0.0, 4.0), Background(0.0, 24.0)
    (found,) = with_affinity_labels([_prediction(scores)], backgrounds)
    low, high = found.labels
    assert low.tolist() == [[0, 0, 2]] and high.tolist() == [[0, 2, 2]]
    np.testing.assert_array_equal(found.scores[..., 2], scores)
