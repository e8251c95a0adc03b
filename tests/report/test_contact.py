"""Contact sheets: everything is on the picture, and nothing on something else."""

import numpy as np
import pytest

from ppcjax.report import contact
from ppcjax.report.palette import class_colours
from ppcjax.types import IGNORE


def shot(number, height=30, width=40, *, masked=True, tags="cow"):
    photo = np.full((height, width, 3), (250, 20, 240), np.uint8)
    mask = np.zeros((height, width), np.int32)
    mask[:, width // 2 :] = 1 + number % 2
    mask[0] = IGNORE
    return contact.Shot(f"p{number}", photo, mask if masked else None, tags)


CLASSES = ("background", "cow", "grass", "tree")


@pytest.mark.parametrize("count", [0, 1, 2, 5, 24])
@pytest.mark.parametrize("masked", [True, False])
def test_all_photos_are_on_a_white_sheet(count, masked):
    shots = [shot(i, masked=masked) for i in range(count)]
    picture = np.asarray(contact.sheet("six photos", shots, CLASSES, background=True))
    border = np.ones(picture.shape[:2], bool)
    border[20:-20, 20:-20] = False
    assert (picture[border] == 255).all() and picture.shape[1] <= contact.WIDTH
    # A photo of one colour fills its cell but for the line around it.
    width, height = contact.SIDE
    inner = (width - 2) * (height - 2)
    assert (picture == (250, 20, 240)).all(-1).sum() == count * inner
    for c in (1, 2):
        shown = (picture == class_colours(background=True)[c]).all(-1).sum() >= 100
        assert shown == (masked and count >= c), "the legend has what masks show"


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (300, 400), (7, 5)])
def test_pictures_of_any_shape_fit(size):
    one = shot(0, *size)
    photo, mask = contact.fit(one.photo, one.mask)
    assert photo.shape[:2] == mask.shape
    width, height = contact.SIDE
    assert photo.shape[0] <= height and photo.shape[1] <= width
    assert photo.shape[0] == height or photo.shape[1] == width
    assert set(np.unique(mask)) <= set(np.unique(one.mask))
    contact.sheet("one", [one], CLASSES, background=False)


def test_masks_without_a_background_colour_every_class():
    one = shot(0)._replace(mask=np.zeros((30, 40), np.int32))
    clear, full = (
        np.asarray(contact.sheet("", [one], CLASSES, background=b))
        for b in (True, False)
    )
    first = class_colours(background=True)[1]
    assert not (clear == first).all(-1).any() and (full == first).all(-1).any()


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("Grüße, Ñandú", "Grusse, Nandu"),
        ("日本", "??"),
        ("a\x1b[31m\nb", "a?[31m?b"),
        ("", ""),
    ],
)
def test_names_come_in_the_letters_of_the_font(text, plain):
    assert contact.plain(text) == plain


@pytest.mark.parametrize("length", [1, 30, 300])
@pytest.mark.parametrize("room", [40, 208, 420])
def test_long_names_lose_their_middle(length, room):
    text = contact.cut("W" * length + "end", room)
    assert contact.width_of(text) <= room
    assert text == "W" * length + "end" or "..." in text


def test_a_legend_of_many_classes_takes_several_lines():
    places, lines = contact.flow([100] * 10, 350)
    assert lines == 4 and places[3] == (0, 1) and len(set(places)) == 10
    assert contact.flow([500], 350) == ([(0, 0)], 1) and contact.flow([], 9) == ([], 0)
