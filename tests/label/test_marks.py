"""Strokes and boxes as pixels: the same at any size, whatever is drawn."""

import numpy as np
import pytest

from ppcjax.label.marks import composed, drawn, left, passes, shares
from ppcjax.label.state import MARKS
from ppcjax.types import IGNORE

FULL = (60, 100)


def _line(class_id, *points, width=10.0, kind="stroke"):
    points = [list(point) for point in points]
    return {"kind": kind, "class": class_id, "points": points, "width": width}


def _box(class_id, *box):
    return {"kind": "box", "class": class_id, "box": list(box)}


def test_nothing_is_marked():
    assert (drawn([], FULL, FULL, boxes=True) == IGNORE).all()


def test_a_stroke_is_as_wide_as_it_says():
    found = drawn([_line(3, (20, 30), (80, 30))], FULL, FULL, boxes=True) == 3
    rows = np.flatnonzero(found[:, 50])
    assert rows.min() in (24, 25) and rows.max() in (34, 35)
    assert found[30, 16] and not found[30, 13]  # a round end
    assert found.sum() == pytest.approx(60 * 10 + np.pi * 25, rel=0.1)


def test_a_single_point_is_a_disc():
    found = drawn([_line(1, (50, 30), width=20)], FULL, FULL, boxes=True) == 1
    assert found.sum() == pytest.approx(np.pi * 100, rel=0.12)
    ys, xs = np.nonzero(found)
    assert abs(ys.mean() + 0.5 - 30) < 0.6 and abs(xs.mean() + 0.5 - 50) < 0.6


@pytest.mark.parametrize("size", [(30, 50), (120, 200), (61, 99), (7, 11)])
def test_the_same_at_any_size(size):
    items = [_line(1, (20, 20), (70, 45), width=16), _line(0, (5, 50), (95, 50))]
    whole = drawn(items, FULL, FULL, boxes=True)
    other = drawn(items, FULL, size, boxes=True)
    for value in (0, 1):
        share = (other == value).mean()
        assert share == pytest.approx((whole == value).mean(), rel=0.35)


def test_a_thin_stroke_stays_when_it_is_shrunk():
    items = [_line(1, (5, 30), (95, 30), width=1)]
    assert (drawn(items, FULL, (12, 20), boxes=True) == 1).sum() >= 15


def test_what_comes_later_lies_on_top_and_the_eraser_takes_away():
    items = [_line(1, (10, 30), (90, 30)), _line(2, (50, 10), (50, 50))]
    found = drawn(items, FULL, FULL, boxes=True)
    assert found[30, 50] == 2 and found[30, 20] == 1
    items.append(_line(255, (20, 30), (20, 31), width=14))
    found = drawn(items, FULL, FULL, boxes=True)
    assert found[30, 20] == IGNORE and found[30, 80] == 1


def _mark(kind):
    """A mark of a kind from (20, 20) to (50, 40)."""
    if kind == "box":
        return _box(1, 20, 20, 50, 40)
    return _line(1, (24, 30), (46, 30), kind=kind)


@pytest.mark.parametrize("kind", MARKS)
def test_the_eraser_reaches_all_kinds_of_marks(kind):
    mark, eraser = _mark(kind), _line(255, (10, 30), (70, 30), width=30)
    assert (drawn([mark], FULL, FULL, boxes=True) == 1).any()
    found = drawn([mark, eraser], FULL, FULL, boxes=True)
    assert (found == IGNORE).all()  # all else is not background any more either
    again = drawn([mark, eraser, mark], FULL, FULL, boxes=True)
    assert (again == drawn([mark], FULL, FULL, boxes=True)).all()


@pytest.mark.parametrize(
    ("points", "width", "is_passed"),
    [
        ([(30, 30), (40, 30)], 18, False),  # within, and not at its line
        ([(30, 30), (40, 30)], 21, True),
        ([(30, 30), (60, 30)], 1, True),  # from within over a side
        ([(0, 25), (90, 25)], 1, True),  # across, its points outside
        ([(10, 10), (60, 60)], 1, True),  # over two sides
        ([(10, 30)], 18, False),
        ([(10, 30)], 21, True),
        ([(0, 12), (90, 12)], 14, False),
        ([(0, 12), (90, 12)], 17, True),
        ([(10, 20), (20, 10)], 13, False),  # past a corner
        ([(10, 20), (20, 10)], 15, True),
        ([(0, 0), (0, 50), (99, 50), (99, 0)], 4, False),  # around it
    ],
)
def test_what_the_eraser_passes(points, width, is_passed):
    assert passes(_line(255, *points, width=width), _mark("box")) == is_passed


def test_the_eraser_takes_single_boxes():
    items = [_mark("box"), _box(2, 70, 20, 90, 40), _line(255, (60, 30), (75, 30))]
    assert left(items) == items[:1] + items[2:]
    found = drawn(items, FULL, FULL, boxes=True)
    assert found[30, 30] == 1 and found[30, 80] == 0


def test_boxes():
    items = [_line(2, (30, 20), (34, 20), width=4), _box(1, 20, 10, 60.4, 40)]
    found = drawn(items, FULL, FULL, boxes=True)
    assert (found[10:40, 20:60] != 0).all() and found[20, 32] == 2
    assert found[9, 30] == 0 and found[30, 60] == 0 and found[12, 22] == 1
    without = drawn(items, FULL, FULL, boxes=False)
    assert without[12, 22] == IGNORE and without[20, 32] == 2


def test_far_away_and_huge():
    items = [
        _line(1, (-1e6, -1e6), (1e6, 1e6), width=1e6),
        _box(2, -1e6, -1e6, 1e6, 1e6),
        _line(2, (1e6, 5), width=1),
    ]
    assert drawn(items, FULL, FULL, boxes=True).shape == FULL


def test_composing_and_shares():
    marks = drawn([_line(2, (50, 10), (50, 50))], FULL, FULL, boxes=False)
    base = np.zeros(FULL, np.uint8)
    base[:30] = 1
    mask = composed(base, marks)
    assert mask[20, 50] == 2 and mask[5, 5] == 1 and mask[50, 5] == 0
    assert composed(None, marks)[5, 5] == IGNORE
    found = shares(mask)
    assert sum(found.values()) == pytest.approx(1, abs=1e-4) and set(found) == {0, 1, 2}
    assert shares(np.full(FULL, IGNORE, np.uint8)) == {}
