import numpy as np
import pytest
from PIL import Image

from ppcjax.data_pipelines import geometry
from ppcjax.data_pipelines.order import Draws
from ppcjax.types import IGNORE

SIZES = [(40, 60), (60, 40), (50, 50), (7, 90), (200, 10), (1, 1)]


def windows(height, width, count=40, crop=32, long_side=(20, 64)):
    for n in range(count):
        draws = Draws(5, n)
        yield geometry.draw_window(height, width, draws, crop=crop, long_side=long_side)


@pytest.mark.parametrize("size", SIZES)
def test_window_fits_canvas_and_image(size):
    for w in windows(*size):
        assert 20 <= max(w.height, w.width) <= 64
        assert abs(w.height / w.width - size[0] / size[1]) <= 1 / min(w[:2]) * max(
            1, size[0] / size[1]
        )
        assert w.rows == min(w.height, 32) and w.columns == min(w.width, 32)
        assert 0 <= w.y <= w.height - w.rows and 0 <= w.x <= w.width - w.columns
        assert 0 <= w.top <= 32 - w.rows and 0 <= w.left <= 32 - w.columns


def test_draws_cover_their_range():
    drawn = list(windows(40, 60, count=600))
    assert {max(w.height, w.width) for w in drawn} == set(range(20, 65))
    assert 250 < sum(w.flip for w in drawn) < 350
    large = [w for w in drawn if w.width == 64]
    assert len({w.x for w in large}) > len(large) // 2


def test_scale_one_keeps_every_pixel():
    mask = np.arange(2700, dtype=np.int32).reshape(45, 60) % 200
    for n in range(20):
        w = geometry.draw_window(45, 60, Draws(5, n), crop=32, scale=(1.0, 1.0))
        assert (w.height, w.width) == (45, 60)
        part = mask[w.y : w.y + 32, w.x : w.x + 32]
        part = part[:, ::-1] if w.flip else part
        np.testing.assert_array_equal(geometry.cut_mask(mask, w, 32), part)


def test_scale_covers_its_range():
    drawn = [
        geometry.draw_window(400, 600, Draws(5, n), crop=32, scale=(0.5, 1.5))
        for n in range(300)
    ]
    widths = np.array([w.width for w in drawn])
    assert 300 <= widths.min() < 310 and 890 < widths.max() <= 900
    assert abs(widths.mean() - 600) < 30
    assert all(abs(w.height * 1.5 - w.width) <= 1.25 for w in drawn)


@pytest.mark.parametrize("size", SIZES)
def test_crop_equals_resize_then_flip_then_crop(size):
    # Middling values: Pillow clips overshoots between its two passes, whose order may
    # depend on the size of the result.
    pixels = np.random.default_rng(0).integers(90, 160, (*size, 3), np.uint8)
    for w in windows(*size):
        whole = np.asarray(
            Image.fromarray(pixels).resize(
                (w.width, w.height), Image.Resampling.BICUBIC
            )
        )
        expected = np.zeros((32, 32, 3), int)
        part = whole[w.y : w.y + w.rows, w.x : w.x + w.columns]
        part = part[:, ::-1] if w.flip else part
        expected[w.top : w.top + w.rows, w.left : w.left + w.columns] = part
        np.testing.assert_allclose(geometry.cut_image(pixels, w, 32), expected, atol=1)


@pytest.mark.parametrize("size", SIZES[:3])
def test_mask_follows_image(size):
    """An image whose brightness is its mask stays so, but for pixels on an edge."""
    y, x = np.indices(size)
    mask = ((y * 3 // size[0] + x * 3 // size[1]) % 2).astype(np.int32)
    pixels = np.repeat((mask * 255).astype(np.uint8)[:, :, None], 3, axis=2)
    for w in windows(*size):
        image, cut = geometry.cut_image(pixels, w, 32), geometry.cut_mask(mask, w, 32)
        inside = np.zeros((32, 32), bool)
        inside[w.top : w.top + w.rows, w.left : w.left + w.columns] = True
        np.testing.assert_array_equal(cut == IGNORE, ~inside)
        assert (image[~inside] == 0).all()
        bright = image[..., 0].astype(int)
        sure = inside & (abs(bright - 127) > 110)
        assert (cut[sure] == (bright[sure] > 127)).all()
        assert sure.sum() >= 0.3 * inside.sum()


def test_mask_keeps_its_pixels_without_resizing():
    mask = np.arange(12, dtype=np.int32).reshape(3, 4)
    w = geometry.Window(3, 4, y=1, x=1, top=0, left=2, rows=2, columns=3, flip=True)
    cut = geometry.cut_mask(mask, w, 5)
    assert cut[:2, 2:].tolist() == [[7, 6, 5], [11, 10, 9]]
    assert (cut == IGNORE).sum() == 25 - 6


def test_aspect_stretches_one_axis_and_squeezes_the_other():
    drawn = [
        geometry.draw_window(
            400, 600, Draws(5, n), crop=(30, 50), scale=(1.0, 1.0), aspect=(0.9, 1.1)
        )
        for n in range(300)
    ]
    ratios = np.array([w.width / w.height / 1.5 for w in drawn])
    assert 0.895 <= ratios.min() < 0.91 and 1.09 < ratios.max() <= 1.105
    assert all(abs(w.width * w.height / 240_000 - 1) < 0.01 for w in drawn)
    assert all((w.rows, w.columns) == (30, 50) for w in drawn)


def test_rectangular_canvas():
    mask = np.arange(40 * 60, dtype=np.int32).reshape(40, 60) % 200
    for n in range(10):
        w = geometry.draw_window(40, 60, Draws(1, n), crop=(48, 32), scale=(1.0, 1.0))
        assert (w.rows, w.columns) == (40, 32)
        image = np.repeat(mask[..., None], 3, -1).astype(np.uint8)
        canvas = geometry.cut_image(image, w, (48, 32))
        labels = geometry.cut_mask(mask, w, (48, 32))
        assert canvas.shape == (48, 32, 3) and labels.shape == (48, 32)
        there = labels != IGNORE
        np.testing.assert_array_equal(canvas[..., 0][there], labels[there])
        assert there.sum() == 40 * 32
