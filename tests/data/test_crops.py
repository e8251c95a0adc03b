import itertools

import numpy as np
import pytest
from PIL import Image

from ppcjax.data_pipelines.crops import (
    Crop,
    crop_box,
    cut_crop,
    draw_crop,
    pixels_needed,
)
from ppcjax.data_pipelines.order import Draws
from tests.data import fake_data

PUBLISHED = {"scale": (0.08, 1.0), "ratio": (3 / 4, 4 / 3)}


def test_box_of_the_published_example():
    """Normalised by the last pixel's index, not by the size."""
    crop = Crop(top=30, left=50, rows=200, columns=250, flip=False)
    expected = [0.1002004, 0.0802139, 0.5991984, 0.6122995]
    np.testing.assert_allclose(crop_box(crop, 375, 500), expected, atol=1e-7)
    mirrored = crop_box(crop._replace(flip=True), 375, 500)
    np.testing.assert_allclose(mirrored, np.take(expected, [2, 1, 0, 3]), atol=1e-7)


@pytest.mark.parametrize(("height", "width"), [(1, 9), (9, 1), (1, 1)])
def test_photos_of_one_pixel_a_side(height, width):
    for position in range(20):
        crop = draw_crop(height, width, Draws(0, position), **PUBLISHED)
        box = crop_box(crop._replace(flip=False), height, width)
        assert np.isfinite(box).all() and (box >= 0).all() and (box <= 1).all()
        if width == 1:
            assert (box[0], box[2]) == (0, 1)
        if height == 1:
            assert (box[1], box[3]) == (0, 1)
        pixels = np.full((height, width, 3), 7, np.uint8)
        square = cut_crop(pixels, crop, 8, height=height, width=width)
        assert square.shape == (8, 8, 3) and (square == 7).all()


def test_crops_have_the_drawn_area_and_shape():
    crops = [draw_crop(375, 500, Draws(3, i), **PUBLISHED) for i in range(2000)]
    top, left, rows, columns, flip = np.array(crops).T
    assert (top >= 0).all() and (top + rows <= 375).all()
    assert (left >= 0).all() and (left + columns <= 500).all()
    share, ratio = rows * columns / (375 * 500), columns / rows
    assert 0.078 < share.min() < 0.09 and share.max() <= 1
    assert ratio.min() > 0.73 and ratio.max() < 1.36
    # Log-uniform: as many upright as lying, but for the large ones that do not fit.
    small = share < 0.4
    assert abs((ratio[small] > 1).mean() - 0.5) < 0.05
    assert abs(flip.mean() - 0.5) < 0.05
    # Both ends of the offsets occur.
    assert {0, 1} <= set(top.tolist()) and (left + columns == 500).any()


def test_a_shape_that_never_fits_falls_back_to_the_centre():
    lying = draw_crop(10, 100, Draws(0, 0), scale=(1.0, 1.0), ratio=(3 / 4, 4 / 3))
    assert lying[:4] == (0, 43, 10, 13)
    upright = draw_crop(100, 10, Draws(0, 0), scale=(1.0, 1.0), ratio=(3 / 4, 4 / 3))
    assert upright[:4] == (43, 0, 13, 10)
    whole = draw_crop(100, 110, Draws(0, 1), scale=(1.0, 1.0), ratio=(0.75, 0.76))
    assert whole[:4] == (0, (110 - 76) // 2, 100, 76)


def test_cut_is_pillows_crop_then_resize():
    pixels = fake_data.picture(60, 90, seed=2)
    for crop in (Crop(5, 11, 41, 33, False), Crop(5, 11, 41, 33, True)):
        found = cut_crop(pixels, crop, 16, height=60, width=90)
        part = Image.fromarray(pixels).crop((11, 5, 44, 46))
        expected = np.asarray(part.resize((16, 16), Image.Resampling.BILINEAR))
        expected = expected[:, ::-1] if crop.flip else expected
        np.testing.assert_array_equal(found, expected)


def test_a_photo_decoded_smaller_gives_nearly_the_same_crop():
    pixels = fake_data.picture(240, 320)
    half = np.asarray(Image.fromarray(pixels).reduce(2))
    crop = Crop(31, 57, 121, 143, True)
    full, small = (
        cut_crop(array, crop, 24, height=240, width=320).astype(int)
        for array in (pixels, half)
    )
    assert abs(full - small).max() <= 3


def test_photos_of_the_usual_size_are_read_in_full():
    """A JPEG is only ever halved, and never below what the smallest crop needs."""
    needed = pixels_needed(224, **PUBLISHED)
    assert 1000 < needed < 1400
    for height, aspect in itertools.product((700, 1000), (1.0, 1.5, 2.0)):
        width = height * aspect
        short = np.sqrt(0.08 * height * width * 0.75)
        assert short >= 224 or max(height, width) < needed
