"""How undecided a mask is."""

import numpy as np
import pytest

from ppcjax.predict.prediction import against_background, uncertainty


def one_pixel(*scores):
    return np.float32([[[0, *scores]]])


@pytest.mark.parametrize("threshold", [0.0, 0.1, 0.26, 0.5, 0.99])
@pytest.mark.parametrize(
    ("scores", "expected"),
    [([0, 0], 0), ([1, 0], 0), ([0, 1], 0), ([1, 1], 1), ([1], 0), ([0], 0), ([], 0)],
)
def test_certain_and_undecided_pixels(scores, expected, threshold):
    assert uncertainty(one_pixel(*scores), threshold) == pytest.approx(expected)


@pytest.mark.parametrize("threshold", [0.1, 0.26, 0.5, 0.99])
def test_a_score_at_the_threshold_is_undecided(threshold):
    values = [one_pixel(s, 0) for s in np.linspace(0, 1, 41)]
    found = [uncertainty(value, threshold) for value in values]
    assert uncertainty(one_pixel(threshold, 0), threshold) == pytest.approx(1, abs=1e-6)
    below = [s <= threshold for s in np.linspace(0, 1, 41)]
    rising = np.diff(found) > 0
    assert all(rising[: sum(below) - 1]) and not any(rising[sum(below) :])


@pytest.mark.parametrize("threshold", [0.26, 0.5])
def test_is_the_mean_of_the_formula(threshold):
    scores = np.random.default_rng(0).random((7, 5, 4), dtype=np.float32)
    low, high = scores / (2 * threshold), 1 - (1 - scores) / (2 * (1 - threshold))
    r = np.where(scores <= threshold, low, high)
    r[..., 0] = 1 - r[..., 1:].max(-1)
    r = np.sort(r, -1)
    expected = (1 - (r[..., -1] - r[..., -2])).mean()
    assert uncertainty(scores, threshold) == pytest.approx(float(expected), rel=1e-5)


def test_of_probabilities_it_is_one_minus_the_margin():
    p = np.float32([[[0.7, 0.2, 0.1], [0.1, 0.5, 0.4], [0.25, 0.75, 0]]])
    scores = against_background(p)
    best = np.maximum(p[..., 1:].max(-1), p[..., 0])
    second = np.sort(p, -1)[..., -2]
    shares = p[..., 0] + p[..., 1:].max(-1)
    expected = (1 - (best - second) / shares).mean()
    assert uncertainty(scores, 0.5) == pytest.approx(float(expected), rel=1e-5)


def test_scores_beyond_the_range_count_as_its_ends():
    assert uncertainty(one_pixel(-1, 3), 0.26) == 0
