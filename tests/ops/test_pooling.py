import jax
import numpy as np
import pytest

from ppcjax.ops.blur import random_blur
from ppcjax.ops.pooling import adaptive_mean, adaptive_mean_matrix


@pytest.mark.parametrize(
    ("size", "cells", "windows"),
    [
        (60, 8, [(0, 8), (7, 15), (15, 23), (22, 30), (30, 38), (37, 45), (45, 53)]),
        (81, 40, [(0, 3), (2, 5), (4, 7)]),
        (81, 20, [(0, 5), (4, 9), (8, 13)]),
        (81, 10, [(0, 9), (8, 17), (16, 25)]),
        (60, 30, [(0, 2), (2, 4)]),
        (2, 4, [(0, 1), (0, 1), (1, 2), (1, 2)]),
    ],
)
def test_windows_are_pytorchs(size, cells, windows):
    matrix = adaptive_mean_matrix(cells, size)
    np.testing.assert_allclose(matrix.sum(1), 1, rtol=1e-6)
    for row, (first, end) in zip(matrix, windows, strict=False):
        np.testing.assert_array_equal(np.flatnonzero(row), np.arange(first, end))


def test_extent():
    x = np.random.default_rng(0).standard_normal((2, 9, 12, 3)).astype(np.float32)
    exact = adaptive_mean(x[:, :7, :10], (3, 4))
    extents = {
        "in_extent": np.int32([[7, 10]] * 2),
        "out_extent": np.int32([[3, 4]] * 2),
    }
    padded = adaptive_mean(x, (5, 6), **extents)
    np.testing.assert_allclose(padded[:, :3, :4], exact, atol=1e-6)
    assert np.all(padded[:, 3:] == 0) and np.all(padded[:, :, 4:] == 0)


def test_blur_of_a_point_and_of_no_image():
    image = np.zeros((1, 7, 7, 3), np.float32)
    image[0, 3, 3] = 256.0
    key = jax.random.key(0)
    taps = np.array([0, 1, 4, 6, 4, 1, 0.0])
    blurred = random_blur(image, key, share=1.0)
    np.testing.assert_allclose(blurred[0, ..., 1], np.outer(taps, taps))
    np.testing.assert_array_equal(random_blur(image, key, share=0.0), image)
    flat = np.full((1, 5, 5, 3), 9.0, np.float32)
    np.testing.assert_allclose(random_blur(flat, key, share=1.0), flat)
