import jax
import numpy as np
import pytest

from ppcjax.ops import ridge


def _two(count=(7, 30), width=3):
    """Two clouds of vectors [P, D], with weights [P, 2] of class and rest."""
    rng = np.random.default_rng(0)
    of_class = rng.normal(1, 1, (count[0], width))
    points = np.concatenate([of_class, rng.normal(-1, 1, (count[1], width))])
    weights = np.zeros((len(points), 2))
    weights[: count[0], 0], weights[count[0] :, 1] = 1, 1
    weights[0] = 0.3, 0.7  # on the border
    return points.astype(np.float32), weights.astype(np.float32)


def _solve(points, weights, penalty):
    of_class, of_rest = ridge.mean(ridge.moments(points, weights))
    return ridge.solve(of_class, of_rest, penalty)


def _by_rows(points, weights, penalty):
    """The same as least squares: a row for each vector and group, one for each v_d."""
    shares = weights.astype(np.float64) / weights.sum(0)
    ones = np.ones((len(points), 1))
    x = np.concatenate([points, ones], axis=1)
    rows = [np.sqrt(shares[:, j : j + 1]) * x for j in (0, 1)]
    targets = [np.sqrt(shares[:, 0]), -np.sqrt(shares[:, 1])]
    width = points.shape[1]
    rows.append(np.sqrt(penalty) * np.eye(width, width + 1))
    targets.append(np.zeros(width))
    return np.linalg.lstsq(np.concatenate(rows), np.concatenate(targets), rcond=None)[0]


@pytest.mark.parametrize("penalty", [1e-3, 1.0])
def test_least_squares(penalty):
    points, weights = _two()
    found = _solve(points, weights, penalty)
    np.testing.assert_allclose(found, _by_rows(points, weights, penalty), atol=1e-4)


def test_by_hand():
    """One vector of each in one dimension: v = 2 / (2 + penalty), b = 0."""
    points, weights = np.float32([[1.0], [-1.0]]), np.float32([[1, 0], [0, 1]])
    np.testing.assert_allclose(_solve(points, weights, 0.5), [0.8, 0], atol=1e-5)


def test_classes_count_alike_however_large():
    points, weights = _two()
    twice = np.concatenate([points, points[7:]]), np.concatenate([weights, weights[7:]])
    # The vector on the border is the only one that the repetition does not repeat.
    weights[0] = twice[1][0] = 1, 0
    np.testing.assert_allclose(
        _solve(points, weights, 0.1), _solve(*twice, 0.1), atol=1e-4
    )


def test_what_weighs_nothing_does_not_matter():
    points, weights = _two()
    weights[3:5] = 0
    changed = points.copy()
    changed[3:5] = 1e3
    np.testing.assert_array_equal(
        _solve(points, weights, 0.1), _solve(changed, weights, 0.1)
    )


@pytest.mark.parametrize(
    ("here", "bias"),
    [((), 0.0), ((0,), 1.0), ((1,), -1.0)],
    ids=["none", "class", "rest"],
)
def test_groups_that_are_empty(here, bias):
    points, weights = _two()
    for group in {0, 1} - {*here}:
        weights[:, group] = 0
    found = _solve(points, weights, 0.1)
    np.testing.assert_allclose(found, [0, 0, 0, bias], atol=1e-3)


def test_one_vector_that_is_both_tells_nothing():
    found = _solve(np.ones((1, 4), np.float32), np.float32([[0.5, 0.5]]), 0.01)
    np.testing.assert_allclose(found, 0, atol=1e-6)


def test_joined():
    points, weights = _two()
    one, two = ridge.mean(ridge.moments(points, weights))
    both = ridge.joined(one, two, 0.25)
    np.testing.assert_allclose(both, 0.75 * one + 0.25 * two, rtol=1e-6)
    np.testing.assert_array_equal(ridge.joined(one, 0 * two, 0.25), one)


def test_groups_and_leading_axes():
    rng = np.random.default_rng(1)
    points = rng.normal(size=(2, 5, 9, 3)).astype(np.float32)
    weights = rng.random((2, 5, 9, 4)).astype(np.float32)
    found = jax.jit(ridge.moments)(points, weights)
    x = np.concatenate([points, np.ones((2, 5, 9, 1))], axis=-1)
    golden = np.einsum("abpj,abpd,abpe->abjde", weights, x, x)
    np.testing.assert_allclose(found, golden, rtol=1e-4, atol=1e-4)
    solution = rng.normal(size=(2, 5, 4, 4)).astype(np.float32)
    golden = np.einsum("abpd,abjd->abpj", x, solution)
    np.testing.assert_allclose(ridge.scores(points, solution), golden, atol=1e-4)


def test_many_like_tokens_of_unit_length():
    """As tokens are: many channels, few directions, lengths of 1; float32 will do."""
    rng = np.random.default_rng(2)
    points = 1 + 0.1 * rng.normal(size=(900, 96))
    points[:90] += rng.normal(size=96) * 0.05
    points = (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)
    weights = np.zeros((900, 2), np.float32)
    weights[:90, 0], weights[90:, 1] = 1, 1
    found, golden = _solve(points, weights, 1e-3), _by_rows(points, weights, 1e-3)
    both = (ridge.scores(points, s[None]) for s in (found, golden.astype(np.float32)))
    np.testing.assert_allclose(*both, atol=2e-3)


@pytest.mark.parametrize(
    ("weights", "golden"),
    [([], 0), ([0, 0], 0), ([0.3], 1), ([2, 2, 0, 2], 3), ([3, 1], 1.6)],
)
def test_count(weights, golden):
    np.testing.assert_allclose(ridge.count(np.float32(weights)), golden, rtol=1e-6)
