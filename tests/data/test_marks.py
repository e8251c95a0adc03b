import numpy as np
import pytest

from ppcjax import data_pipelines
from ppcjax.data_pipelines.episodes import marks, plans
from ppcjax.data_pipelines.episodes.arrays import Evidence
from ppcjax.data_pipelines.episodes.examples import make_eval
from ppcjax.types import IGNORE


def _mask():
    """Two pieces of a class, one of them bent, and void beside them."""
    mask = np.zeros((40, 60), np.int32)
    mask[5:30, 5:12] = mask[22:30, 5:35] = 1
    mask[10:14, 45:50] = 1
    mask[30:32, 5:35] = IGNORE
    return mask


def test_masks_stay():
    np.testing.assert_array_equal(marks.draw("masks", _mask()), _mask())


def test_boxes_are_around_the_pieces():
    golden = np.zeros((40, 60), np.int32)
    golden[5:30, 5:35] = golden[10:14, 45:50] = 1
    golden[30:32, 5:35] = IGNORE
    np.testing.assert_array_equal(marks.draw("boxes", _mask()), golden)


def test_scribbles_say_the_truth_in_a_few_pixels():
    mask = _mask()
    found = marks.draw("scribbles", mask)
    drawn = found != IGNORE
    np.testing.assert_array_equal(found[drawn], mask[drawn])
    assert {*np.unique(found)} == {0, 1, IGNORE}
    assert 0 < drawn.mean() < 0.25
    assert np.array_equal(found, marks.draw("scribbles", mask))


@pytest.mark.parametrize("value", [0, 1, IGNORE])
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (9, 5)])
def test_of_one_kind(value, size):
    mask = np.full(size, value, np.int32)
    np.testing.assert_array_equal(marks.draw("boxes", mask), mask)
    found = marks.draw("scribbles", mask)
    assert {*np.unique(found)} - {IGNORE} == {value} - {IGNORE}


def test_single_pixels():
    mask = np.zeros((8, 8), np.int32)
    mask[3, 3] = 1
    assert marks.draw("scribbles", mask)[3, 3] == 1
    np.testing.assert_array_equal(marks.draw("boxes", mask), mask)


@pytest.mark.parametrize("kind", marks.MARKS)
def test_supports_have_them_and_queries_do_not(kind):
    source = data_pipelines.make_source(
        {"source": "shapes", "size": 32, "train_size": 40}, "train"
    )
    counts = plans.count_pixels(source)
    index = plans.class_index(source, counts, (1, 2))
    shape = plans.Shape(1, 2, 1)
    plan = plans.draw_plan(index, shape, episodes=2, seed=0, sampling="class")
    common = dict(fit="pad", size=32, score="input", evidence=Evidence())
    common["canvas"] = lambda side: side
    plain = make_eval(source, plan, shape, **common)
    marked = make_eval(source, plan, shape, **common, marks=kind)
    for one, other in zip(plain, marked, strict=True):
        np.testing.assert_array_equal(one.truths[0], other.truths[0])
        masks = one.arrays["support_mask"][0], other.arrays["support_mask"][0]
        for mask, found in zip(*masks, strict=True):
            np.testing.assert_array_equal(found, marks.draw(kind, mask))
