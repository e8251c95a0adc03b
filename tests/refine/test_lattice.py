"""The permutohedral lattice against the definition of its geometry and of Gaussians."""

import chex
import numpy as np
import pytest

from ppcjax.refine import lattice


def _features(points=200, d=5, spread=3.0, seed=0):
    rng = np.random.default_rng(seed)
    return (spread * rng.standard_normal((points, d))).astype(np.float32)


def _slow_corners(point):
    """Vertices (all d + 1 coordinates) and weights of the simplex around a point."""
    d = len(point)
    axes = np.arange(1, d + 1)
    point = point * np.sqrt(2 / 3) * (d + 1) / np.sqrt(axes * (axes + 1))
    elevated = np.array(
        [point[j:].sum() - (j * point[j - 1] if j else 0) for j in range(d + 1)]
    )
    # The vertex of remainder 0: round down, then up again where the most is left until
    # the coordinates sum to 0.
    base = np.floor(elevated / (d + 1)).astype(int) * (d + 1)
    base[np.argsort(base - elevated)[: -base.sum() // (d + 1)]] += d + 1
    order = np.argsort(elevated - base)
    rest = (elevated - base)[order]
    weights = np.diff(rest, prepend=rest[-1] - (d + 1)) / (d + 1)
    for k in range(d + 1):
        vertex = base + k
        vertex[order[:k]] -= d + 1
        yield tuple(vertex), weights[k]


def _slow_filter(features, values):
    """The lattice of the paper with a dictionary, one vertex at a time; normless."""
    points, d = features.shape
    corners = [list(_slow_corners(point)) for point in features.astype(np.float64)]
    lattice_values = {}
    for found, value in zip(corners, values, strict=True):
        for vertex, weight in found:
            lattice_values[vertex] = lattice_values.get(vertex, 0) + weight * value
    for j in range(d + 1):
        step = np.ones(d + 1, int)
        step[j] = -d
        lattice_values = {
            vertex: value
            + lattice_values.get(tuple(np.add(vertex, step)), 0) / 2
            + lattice_values.get(tuple(np.subtract(vertex, step)), 0) / 2
            for vertex, value in lattice_values.items()
        }
    return np.array(
        [sum(weight * lattice_values[v] for v, weight in found) for found in corners]
    )


@pytest.mark.parametrize("d", [1, 2, 3, 5])
def test_filter_is_that_of_the_paper(d):
    features = _features(points=60, d=d, spread=1.5)
    values = np.random.default_rng(1).random((60, 3), np.float32)
    norm = 1 / np.sqrt(_slow_filter(features, np.ones((60, 1))))
    wanted = norm * _slow_filter(features, norm * values)
    found = lattice.GaussianFilter(lattice.build(features))(values)
    chex.assert_trees_all_close(found, wanted.astype(np.float32), atol=1e-5)


def test_points_are_inside_their_simplices():
    found = lattice.build(_features())
    assert found.weights.min() >= -1e-6
    np.testing.assert_allclose(found.weights.sum(axis=1), 1, atol=1e-6)
    assert all(len(set(corners)) == 6 for corners in found.vertices.tolist())
    assert len(np.unique(found.vertices)) == found.steps.shape[1]


def test_steps_lead_round_the_remainders():
    """d + 1 steps, one along each axis, end where they began."""
    steps = lattice.build(_features(points=3000, d=2, spread=5.0)).steps
    missing = steps.shape[1]
    padded = np.pad(steps, ((0, 0), (0, 1)), constant_values=missing)
    there = padded[2][padded[1][padded[0]]]
    complete = there < missing
    assert complete.sum() > missing / 2
    np.testing.assert_array_equal(there[complete], np.flatnonzero(complete))


def test_chunks_do_not_show(monkeypatch):
    features = _features()
    whole = lattice.build(features)
    monkeypatch.setattr(lattice, "_CHUNK", 7)
    chex.assert_trees_all_equal(lattice.build(features), whole)


def test_normalisation_is_exact():
    """F N^-1 1 = N W B W^T N N^-1 1 = N N^-2 1 = N^-1 1, on any points."""
    for features in (_features(), np.zeros((50, 5), np.float32), _features(1)):
        found = lattice.build(features)
        plain = found.weights.copy()
        apply = lattice.GaussianFilter(found)
        root = plain.sum(axis=1) / apply.weights.sum(axis=1)  # 1 / N
        filtered = apply(root[:, None].astype(np.float32))[:, 0]
        np.testing.assert_allclose(filtered, root, rtol=1e-5)


def test_identical_points_get_their_mean():
    values = np.random.default_rng(0).random((50, 4), np.float32)
    found = lattice.GaussianFilter(lattice.build(np.full((50, 5), 7, np.float32)))
    wanted = np.broadcast_to(values.mean(axis=0), values.shape)
    np.testing.assert_allclose(found(values), wanted, rtol=1e-5)


def test_impulse_is_nearly_a_gaussian():
    """Splines on the simplices: within 15 % of the peak, and of the right width."""
    rows, columns = np.mgrid[-30:31, -30:31].astype(np.float32) / 6
    features = np.stack([columns, rows], axis=-1).reshape(-1, 2)
    impulse = np.zeros((len(features), 1), np.float32)
    centre = len(features) // 2
    impulse[centre] = 1
    found = lattice.GaussianFilter(lattice.build(features))(impulse)[:, 0]
    wanted = np.exp(-0.5 * (features**2).sum(axis=1))
    np.testing.assert_allclose(found / found[centre], wanted, atol=0.15)
    deviations = np.sqrt((found @ features**2) / found.sum())
    np.testing.assert_allclose(deviations, 1, atol=0.1)


def test_too_fine_a_lattice_is_refused():
    with pytest.raises(ValueError, match="too small"):
        lattice.build(_features(spread=1e6))
