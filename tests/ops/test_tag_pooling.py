"""Pooling of maps for tags, against NumPy over the cells of each photo alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import logsumexp, softmax

from ppcjax.nn.layers import inside, shrink
from ppcjax.ops import tag_pooling

KINDS = {
    "top_k": (tag_pooling.largest_share, 0.3),
    "lse": (tag_pooling.log_mean_exp, 2.0),
    "attention": (tag_pooling.attention_mean, 0.5),
}


def expected(kind, values, setting):
    """[P, C] -> [C]."""
    if kind == "top_k":
        count = max(1, round(setting * len(values)))
        return np.sort(values, axis=0)[::-1][:count].mean(0)
    if kind == "lse":
        return (logsumexp(setting * values, axis=0) - np.log(len(values))) / setting
    return (softmax(values / setting, axis=0) * values).sum(0)


def _maps(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32) * 3


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(2, 5, 7, 3), (1, 1, 1, 2), (1, 3, 1, 1)])
def test_formula(kind, shape):
    pool, setting = KINDS[kind]
    maps = _maps(*shape)
    found = jax.jit(lambda maps: pool(maps, setting))(maps)
    for row, one in zip(found, maps, strict=True):
        wanted = expected(kind, one.reshape(-1, shape[-1]), setting)
        np.testing.assert_allclose(row, wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("outside", [1e4, -1e4, np.inf, np.nan])
def test_cells_beyond_the_photo_count_nowhere(kind, outside):
    pool, setting = KINDS[kind]
    maps = _maps(2, 6, 5, 3)
    cells = np.zeros((2, 6, 5, 1), bool)
    cells[0, 1:4, 2:5], cells[1, :, :1] = True, True
    loud = np.where(cells, maps, np.float32(outside))

    def total(maps):
        return pool(maps, setting, inside=cells).sum()

    found = pool(loud, setting, inside=cells)
    for row, one, there in zip(found, maps, cells, strict=True):
        wanted = expected(kind, one[there[..., 0]], setting)
        np.testing.assert_allclose(row, wanted, rtol=1e-5, atol=1e-6)
    grad = np.asarray(jax.grad(total)(loud))
    assert np.isfinite(grad).all() and not np.any(grad * ~cells) and np.any(grad)


@pytest.mark.parametrize("kind", KINDS)
def test_a_photo_without_cells_is_0_with_finite_gradient(kind):
    pool, setting = KINDS[kind]
    nothing = np.zeros((1, 2, 2, 1), bool)
    value, grad = jax.value_and_grad(lambda x: pool(x, setting, inside=nothing).sum())(
        _maps(1, 2, 2, 3)
    )
    assert value == 0 and not np.any(grad)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", [0.0, -50.0, 1e4])
def test_constant_maps_are_their_value(kind, value):
    """Also the gradient is shared out whole."""
    pool, setting = KINDS[kind]
    maps = jnp.full((1, 4, 3, 2), value)
    found, grad = jax.value_and_grad(lambda x: pool(x, setting).sum())(maps)
    np.testing.assert_allclose(found, 2 * value, rtol=1e-6)
    assert np.isfinite(grad).all()
    np.testing.assert_allclose(grad.sum(), 2, rtol=1e-2)


def test_from_the_mean_to_the_maximum():
    maps = _maps(2, 5, 4, 3)
    mean, largest = maps.mean((1, 2)), maps.max((1, 2))
    ends = {"top_k": (1.0, 1e-6), "lse": (1e-4, 1e3), "attention": (1e4, 1e-3)}
    for kind, (low, high) in ends.items():
        pool, _ = KINDS[kind]
        np.testing.assert_allclose(pool(maps, low), mean, atol=3e-3)
        np.testing.assert_allclose(pool(maps, high), largest, atol=1e-2)


class TestCells:
    def test_a_photo_in_the_corner_has_the_cells_of_its_extent(self):
        """As evaluation counts them."""
        canvas, stride = (64, 96), 16
        extent = np.int32([[64, 96], [33, 16], [1, 17], [32, 95]])
        valid = np.concatenate([np.zeros_like(extent), extent], 1)
        grid = tuple(side // stride for side in canvas)
        found = tag_pooling.cells_of(valid, canvas, grid)
        wanted = inside(np.zeros((4, *grid, 1)), shrink(extent, stride))
        np.testing.assert_array_equal(found, wanted)

    def test_anywhere_and_on_a_grid_that_does_not_divide_the_canvas(self):
        found = tag_pooling.cells_of(np.int32([[4, 9, 6, 20]]), (10, 20), (3, 7))
        # Rows of 3.33 pixels from 0, 3.33 and 6.67; columns of 2.86, the fourth to 11.4
        wanted = np.zeros((3, 7), bool)
        wanted[1, 3:] = True
        np.testing.assert_array_equal(found[0, ..., 0], wanted)

    def test_no_photo_has_no_cells(self):
        assert not np.any(
            tag_pooling.cells_of(np.zeros((1, 4), np.int32), (8, 8), (2, 2))
        )
