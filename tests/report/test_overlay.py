"""A mask over a photo: full colours at its edges, a dark line around it."""

import numpy as np
import pytest

from ppcjax.report.overlay import draw_mask
from ppcjax.report.palette import class_colours
from ppcjax.types import IGNORE


def square():
    mask = np.zeros((20, 30), np.uint8)
    mask[5:15, 5:15], mask[5:15, 15:25], mask[18:] = 1, 2, IGNORE
    return mask


@pytest.mark.parametrize("grey", [0, 255])
def test_edges_have_full_colours_on_any_photo(grey):
    photo, mask = np.full((20, 30, 3), grey, np.uint8), square()
    drawn = draw_mask(photo, mask)
    assert drawn.dtype == np.uint8 and drawn.shape == photo.shape
    one, two = class_colours(background=True)[1:3]
    for row, column, colour in ((5, 9, one), (9, 5, one), (9, 14, one), (9, 15, two)):
        np.testing.assert_array_equal(drawn[row, column], colour)
    inside = (0.55 * one + 0.45 * grey).round()
    np.testing.assert_allclose(drawn[9, 9], inside, atol=1)
    assert (drawn[4, 9] < 30).all() and (drawn[9, 25] < 30).all()
    np.testing.assert_array_equal(drawn[1, 1], photo[1, 1])


def test_a_class_of_one_pixel_keeps_its_colour():
    mask = np.zeros((9, 9), np.uint8)
    mask[4, 4] = 3
    drawn = draw_mask(np.full((9, 9, 3), 90, np.uint8), mask)
    np.testing.assert_array_equal(drawn[4, 4], class_colours(background=True)[3])


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (2, 3)])
@pytest.mark.parametrize("background", [True, False])
def test_masks_of_any_shape_are_drawn(shape, background):
    mask = np.random.default_rng(0).integers(0, 3, shape).astype(np.uint8)
    photo = np.full((*shape, 3), 50, np.uint8)
    drawn = draw_mask(photo, mask, background=background)
    assert drawn.shape == photo.shape
    if not background:
        assert (drawn != 50).any(-1).all()


def test_lines_grow_with_the_photo():
    small, large = (np.zeros((n, n), np.uint8) for n in (100, 1200))
    for mask in (small, large):
        mask[: len(mask) // 2] = 1
    dark = [
        (draw_mask(np.full((*m.shape, 3), 200, np.uint8), m)[:, 0] < 30).all(-1).sum()
        for m in (small, large)
    ]
    assert dark == [1, 3]
