"""Bilinear resizing against hand values and against a loop over pixels."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ppcjax.ops.resize import (
    bilinear_matrix,
    resize,
    resized_mean,
    shrink_nearest,
)

SIZES = [(5, 3), (3, 7), (8, 8), (1, 4), (4, 1), (7, 5), (2, 9)]


def _position(i, out_size, in_size, align_corners):
    """Source position of output pixel i, as torch.nn.functional.interpolate."""
    if align_corners:
        return i * (in_size - 1) / (out_size - 1) if out_size > 1 else 0.0
    return max((i + 0.5) * in_size / out_size - 0.5, 0.0)


def _resize_by_loops(x, size, align_corners):
    out = np.zeros((x.shape[0], *size, x.shape[3]))
    for i in range(size[0]):
        y = _position(i, size[0], x.shape[1], align_corners)
        top, bottom = int(y), min(int(y) + 1, x.shape[1] - 1)
        for j in range(size[1]):
            u = _position(j, size[1], x.shape[2], align_corners)
            left, right = int(u), min(int(u) + 1, x.shape[2] - 1)
            a, b = y - top, u - left
            upper = (1 - b) * x[:, top, left] + b * x[:, top, right]
            lower = (1 - b) * x[:, bottom, left] + b * x[:, bottom, right]
            out[:, i, j] = (1 - a) * upper + a * lower
    return out


def _random(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def test_hand_values():
    aligned = bilinear_matrix(3, 2, align_corners=True)
    np.testing.assert_array_equal(aligned, [[1, 0], [0.5, 0.5], [0, 1]])
    areas = bilinear_matrix(4, 2, align_corners=False)
    np.testing.assert_array_equal(areas, [[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]])
    # Halving takes the mean of the two middle pixels only: no antialiasing.
    halved = bilinear_matrix(1, 4, align_corners=False)
    np.testing.assert_array_equal(halved, [[0, 0.5, 0.5, 0]])


@pytest.mark.parametrize("align_corners", [True, False])
@pytest.mark.parametrize("size", SIZES)
def test_equals_loops(size, align_corners):
    x = _random(2, 5, 4, 3)
    out = resize(x, size, align_corners=align_corners)
    expected = _resize_by_loops(x, size, align_corners)
    np.testing.assert_allclose(out, expected, atol=2e-6)


@pytest.mark.parametrize("align_corners", [True, False])
def test_one_pixel_spreads_everywhere(align_corners):
    x = _random(1, 1, 1, 2)
    out = resize(x, (3, 5), align_corners=align_corners)
    np.testing.assert_array_equal(out, np.broadcast_to(x, (1, 3, 5, 2)))


@pytest.mark.parametrize("align_corners", [True, False])
def test_extents_equal_unpadded(align_corners):
    """Canvases of one size, images of three, resized to three sizes."""
    ins = np.array([[5, 7], [1, 4], [6, 2]], np.int32)
    outs = np.array([[9, 3], [4, 4], [1, 8]], np.int32)
    canvas = _random(3, 6, 7, 2)
    out = jax.jit(
        lambda x, i, o: resize(
            x, (9, 8), align_corners=align_corners, in_extent=i, out_extent=o
        )
    )(canvas, ins, outs)
    for row, (h, w), (h_out, w_out) in zip(range(3), ins, outs, strict=True):
        alone = resize(
            canvas[row : row + 1, :h, :w], (h_out, w_out), align_corners=align_corners
        )
        np.testing.assert_allclose(out[row : row + 1, :h_out, :w_out], alone, atol=2e-6)
        assert not np.any(out[row, h_out:]) and not np.any(out[row, :, w_out:])


def test_resized_mean_is_the_mean_of_the_resized():
    x = _random(2, 5, 3, 4)
    expected = resize(x, (11, 24), align_corners=True).mean(axis=(1, 2))
    np.testing.assert_allclose(resized_mean(x, (11, 24)), expected, atol=1e-6)


def test_aligned_corners_halve_the_weight_of_border_cells():
    """The published sizes: maps of 56 or 16 cells, views of 448 or 128 pixels."""
    large = 56 * bilinear_matrix(448, 56, align_corners=True).mean(axis=0)
    np.testing.assert_allclose(large[[0, -1]], 0.57131, atol=5e-6)
    # A cell counts slightly more where eight pixels do not divide its surroundings.
    np.testing.assert_allclose(np.median(large), 1.01566, atol=5e-6)
    assert np.all((large[1:-1] > 1.0156) & (large[1:-1] < 1.0175))
    small = 16 * bilinear_matrix(128, 16, align_corners=True).mean(axis=0)
    np.testing.assert_allclose(small[[0, -1]], 0.59350, atol=5e-6)
    assert np.all((small[1:-1] > 1.055) & (small[1:-1] < 1.0615))


def test_traced_extents_give_the_bits_of_fixed_ones():
    traced = jax.jit(
        lambda o, i: bilinear_matrix(
            448, 56, align_corners=True, out_extent=o, in_extent=i
        )
    )
    fixed = bilinear_matrix(448, 56, align_corners=True)
    np.testing.assert_allclose(traced(448, 56), fixed, rtol=0, atol=6e-8)


def test_gradient_is_the_transpose():
    x = _random(1, 4, 3, 2)
    g = _random(1, 5, 6, 2)
    _, vjp = jax.vjp(lambda x: resize(x, (5, 6), align_corners=True), x)
    rows = bilinear_matrix(5, 4, align_corners=True)
    columns = bilinear_matrix(6, 3, align_corners=True)
    expected = np.einsum("ih,jw,bijd->bhwd", rows, columns, g)
    np.testing.assert_allclose(vjp(jnp.asarray(g))[0], expected, atol=1e-6)


def test_nearest_cells_of_a_photo_on_a_canvas():
    mask = np.random.default_rng(0).integers(0, 2, (1, 24, 32))
    exact = shrink_nearest(mask[:, :19, :25], (3, 4))
    extents = {"in_extent": np.int32([[19, 25]]), "out_extent": np.int32([[3, 4]])}
    padded = shrink_nearest(mask, (5, 6), **extents)
    np.testing.assert_array_equal(padded[:, :3, :4], exact)
    assert np.sum(padded) == np.sum(exact)
    np.testing.assert_array_equal(exact, mask[:, [0, 6, 12]][:, :, [0, 6, 12, 18]])
