"""Positions resized as PyTorch does it for each of the published networks."""

import typing

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ppcjax.ops.positions import Rule, position_matrix, resize_positions
from ppcjax.ops.resize import bilinear_matrix

RULES = typing.get_args(Rule)
# Column 1 of the matrix from 4 cells to 3 and to 6, as PyTorch gives it.
GOLDEN = {
    "offset": (
        (0.13666, 0.67653, -0.04093),
        (-0.08848, 0.57214, 0.95969, 0.20592, -0.10197, 0),
    ),
    "bicubic": (
        (0.16088, 0.59375, -0.01736),
        (-0.08681, 0.59375, 0.94329, 0.16088, -0.09375, 0),
    ),
    "antialias": (
        (0.30435, 0.53520, -0.05721),
        (-0.06579, 0.52941, 0.93750, 0.13194, -0.05882, 0),
    ),
}


@pytest.mark.parametrize("rule", GOLDEN)
def test_weights_are_those_of_pytorch(rule):
    for expected in GOLDEN[rule]:
        matrix = position_matrix(len(expected), 4, rule)
        np.testing.assert_allclose(matrix[:, 1], expected, atol=1e-5)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("cells", [1, 3, 4, 9, 50])
def test_rows_sum_to_one_and_mirror(rule, cells):
    matrix = position_matrix(cells, 4, rule)
    assert matrix.shape == (cells, 4) and matrix.dtype == np.float32
    np.testing.assert_allclose(matrix.sum(1), 1, atol=1e-6)
    if rule != "offset":  # which is not centred
        np.testing.assert_allclose(matrix, matrix[::-1, ::-1], atol=1e-6)


@pytest.mark.parametrize("cells", [1, 3, 4, 9])
def test_bilinear_is_the_resize_of_maps(cells):
    expected = bilinear_matrix(cells, 4, align_corners=False)
    np.testing.assert_allclose(
        position_matrix(cells, 4, "bilinear"), expected, atol=1e-6
    )


@pytest.mark.parametrize("rule", RULES)
def test_a_traced_grid_gives_the_same_and_zero_beyond(rule):
    table = np.random.default_rng(0).standard_normal((4, 5, 2)).astype(np.float32)
    grids = np.array([(1, 1), (3, 7), (4, 5), (5, 4), (4, 6), (8, 8), (0, 0)])
    resize = jax.jit(lambda grids: resize_positions(table, (8, 8), rule, extent=grids))
    found = np.asarray(resize(grids))
    for (rows, columns), ours in zip(grids[:-1], found, strict=False):
        expected = resize_positions(table, (int(rows), int(columns)), rule)[0]
        np.testing.assert_allclose(ours[:rows, :columns], expected, atol=2e-6)
        assert not ours[rows:].any() and not ours[:, columns:].any()
    np.testing.assert_allclose(found[2][:4, :5], table, atol=1e-6)
    assert np.isfinite(found).all()


def test_a_shared_axis_is_resized_with_an_offset_unless_both_are():
    """DINO leaves positions alone on its own grid only."""
    table = jnp.arange(16.0).reshape(4, 4, 1)
    own = resize_positions(table, (4, 4), "offset")[0]
    np.testing.assert_array_equal(own, table)
    wide = resize_positions(table, (4, 6), "offset")[0]
    rows = position_matrix(4, 4, "offset")
    columns = position_matrix(6, 4, "offset")
    assert np.abs(rows - np.eye(4)).max() > 1e-3
    np.testing.assert_allclose(
        wide[..., 0], rows @ table[..., 0] @ columns.T, atol=1e-4
    )
