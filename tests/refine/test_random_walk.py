"""The sparse random walk against a dense one and against recorded numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ppcjax.ops import affinity
from ppcjax.refine.random_walk import random_walk, walk_image, walk_images


def _dense(pairs, *, power):
    """Transition matrix [h w, h w] in float64 from pairs [O, h, w]."""
    _, height, width = pairs.shape
    cell = np.arange(height * width).reshape(height, width)
    matrix = np.eye(height * width)
    for (dy, dx), values in zip(affinity.pair_offsets(), pairs, strict=True):
        for y, x in np.argwhere(values > 0):
            i, j = cell[y, x], cell[y + dy, x + dx]
            matrix[i, j] = matrix[j, i] = float(values[y, x]) ** power
    return matrix / matrix.sum(axis=0)


def _pairs(height, width, seed=0, batch=1):
    features = jax.random.normal(jax.random.key(seed), (batch, height, width, 3)) / 4
    found = affinity.pair_affinity(features)
    return affinity.pairs_on_grid(found, (height, width))


@pytest.fixture(scope="module")
def recorded():
    """Computed apart from this program, in float64 NumPy, from the formulas."""
    y, x, d = np.ogrid[:12, :12, :4]
    features = np.sin(0.4 * d + 0.3 * y + 0.2 * x)[None]
    return affinity.pairs_on_grid(affinity.pair_affinity(features), (12, 12))


class TestRandomWalk:
    def test_recorded_numbers(self, recorded):
        matrix = _dense(np.asarray(recorded)[0], power=8)
        assert np.count_nonzero(matrix) == 2320
        assert np.sum(np.count_nonzero(matrix, axis=0) == 1) == 10
        np.testing.assert_allclose(matrix.sum(axis=0), 1)
        scores = np.zeros((1, 12, 12, 1), np.float32)
        scores[:, :6] = 1
        walked = random_walk(recorded, scores)
        expected = {
            (0, 0): [1, 1, 1, 1],
            (6, 4): [0.551189, 0.506595, 0.469512, 0.444858],
            (11, 0): [0, 0, 0.247848, 0.373029],
        }
        for (y, x), values in expected.items():
            np.testing.assert_allclose(walked[0, y, x : x + 4, 0], values, atol=1e-4)
        squared = np.linalg.matrix_power(matrix, 64)
        dense = (scores.reshape(1, -1) @ squared).reshape(12, 12)
        np.testing.assert_allclose(walked[0, ..., 0], dense, atol=1e-5)

    def test_equals_dense(self):
        pairs = _pairs(9, 14, batch=2)
        scores = np.random.default_rng(0).random((2, 9, 14, 3), np.float32)
        walked = random_walk(pairs, scores, power=3, steps=5)
        for i in range(2):
            matrix = _dense(np.asarray(pairs)[i], power=3)
            dense = np.linalg.matrix_power(matrix, 5).T @ scores[i].reshape(-1, 3)
            np.testing.assert_allclose(walked[i].reshape(-1, 3), dense, atol=1e-5)

    @pytest.mark.parametrize("size", [(1, 1), (1, 20), (20, 1), (4, 8)])
    def test_without_pairs_nothing_moves(self, size):
        scores = np.random.default_rng(0).random((1, *size, 1), np.float32)
        walked = random_walk(jnp.zeros((1, 34, *size)), scores)
        np.testing.assert_array_equal(walked, scores)

    def test_padding_changes_nothing(self):
        pairs = _pairs(9, 14)
        scores = np.random.default_rng(0).random((1, 9, 14, 3), np.float32)
        beyond = ((0, 0), (0, 3), (0, 2), (0, 0))
        padded = random_walk(
            np.pad(pairs, ((0, 0), (0, 0), (0, 3), (0, 2))),
            np.pad(scores, beyond, constant_values=77),
            np.array([[9, 14]]),
        )
        np.testing.assert_allclose(
            padded, np.pad(random_walk(pairs, scores), beyond), atol=1e-6
        )

    def test_memory_of_a_large_photo(self):
        """4000 x 3000 pixels are 500 x 375 cells; a dense matrix would be 140 GB."""
        shapes = [
            jax.ShapeDtypeStruct(s, jnp.float32)
            for s in ((1, 34, 375, 500), (1, 375, 500, 3))
        ]
        memory = random_walk.lower(*shapes).compile().memory_analysis()
        assert memory.temp_size_in_bytes < 200e6


def _scores(height, width, classes):
    return np.random.default_rng(1).random((height, width, classes), np.float32)


class TestWalkImage:
    @pytest.mark.parametrize("alpha", [None, 6])
    def test_without_pairs_it_averages_and_resizes(self, alpha):
        scores = _scores(16, 24, 3)
        out = walk_image(np.zeros((34, 2, 3)), scores, alpha=alpha)
        behind = 0.27 if alpha is None else (1 - scores[..., 1:].max(-1)) ** alpha
        scores[..., 0] = behind
        cells = scores.reshape(2, 8, 3, 8, 3).mean(axis=(1, 3))
        np.testing.assert_allclose(out[:4, :4], np.tile(cells[0, 0], (4, 4, 1)), 1e-5)
        middle = (cells[0, 0] * 9 + cells[0, 1] * 7) / 16  # 7/16 of a cell beyond
        np.testing.assert_allclose(out[0, 7], middle, 1e-5)

    def test_a_cut_cell_counts_what_is_missing_as_zero(self):
        out = walk_image(np.zeros((34, 1, 1)), np.full((2, 8, 2), 0.8), background=0.4)
        np.testing.assert_allclose(out, np.tile([0.1, 0.2], (2, 8, 1)), 1e-6)

    def test_canvas_changes_nothing(self):
        height, width = 67, 94
        pairs, scores = np.asarray(_pairs(9, 12)), _scores(height, width, 3)
        exact = walk_image(pairs[0], scores, steps=3)
        padded = walk_images(
            np.pad(pairs, ((0, 0), (0, 0), (0, 1), (0, 4))),
            np.pad(scores, ((0, 13), (0, 34), (0, 0)), constant_values=9)[None],
            np.array([[height, width]]),
            steps=3,
        )
        np.testing.assert_allclose(padded[0, :height, :width], exact, atol=1e-5)
        assert not np.any(padded[0, height:]) and not np.any(padded[0, :, width:])

    def test_one_pixel_of_one_class(self):
        out = walk_image(np.zeros((34, 1, 1)), np.ones((1, 1, 1)))
        np.testing.assert_allclose(out, np.full((1, 1, 1), 0.27 / 64), 1e-6)

    def test_scores_that_mean_nothing_count_as_zero(self):
        scores = np.full((8, 8, 2), -1e4, np.float32)
        out = walk_image(np.zeros((34, 1, 1)), scores)
        np.testing.assert_allclose(out[..., 1], 0)
