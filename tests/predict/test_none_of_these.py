"""Photos that show none of the classes: similarities, thresholds, what is taken out."""

import numpy as np
import pytest

from ppcjax.predict import by_examples
from ppcjax.predict import none_of_these as rule

SCALE = 20.0


def cosines(found, similar, ways=2, size=(6, 8)):
    """A photo whose left columns are found to be a class; the rest is background."""
    values = np.full((*size, 1 + ways), 0.1, np.float32)
    values[..., 0] = 0.3
    values[:, : size[1] // 2, found] = similar
    return values


def test_similarity_is_that_of_the_nearer_half_of_what_is_found():
    values = cosines(1, 0.5)
    values[:3, :4, 1] = 0.7
    found = rule.found_similarity(values)
    assert found[0] == pytest.approx(0.7) and np.isnan(found[1])


@pytest.mark.parametrize(
    ("values", "mean"), [([1], 1), ([1, 3], 3), ([1, 2, 6], 4), ([4, 4, 0, 0], 4)]
)
def test_upper_half_has_one_value_at_least(values, mean):
    assert rule.upper_half(np.array(values, float)) == mean


def test_upper_half_of_nothing_is_undefined():
    assert np.isnan(rule.upper_half(np.zeros(0)))


@pytest.mark.parametrize("found", [1, 2])
@pytest.mark.parametrize(("least", "stays"), [(0.59, True), (0.61, False)])
def test_class_is_taken_out_where_it_is_not_similar_enough(found, least, stays):
    logits = SCALE * cosines(found, 0.6)
    left = rule.take_out(logits, SCALE, (least, least))
    mask = left.argmax(-1)
    assert (mask == found).any() == stays and set(np.unique(mask)) <= {0, found}
    if stays:
        np.testing.assert_array_equal(left, logits)
    else:
        assert (left[..., found] <= logits[..., 0] - SCALE + 1e-4).all()


def test_what_a_class_leaves_is_looked_at_again():
    values = cosines(1, 0.6)
    values[:, :4, 2] = 0.5  # second best, and no less unlike
    assert not rule.take_out(SCALE * values, SCALE, (0.9, 0.9)).argmax(-1).any()
    left = rule.take_out(SCALE * values, SCALE, (0.9, 0.4)).argmax(-1)
    assert set(np.unique(left)) == {0, 2}


def test_threshold_lies_between_background_and_class():
    held = rule.between([0.8, 0.6], [0.2, 0.4], held_out=True)
    own = rule.between([0.8, 0.6], [0.2, 0.4], held_out=False)
    assert held == pytest.approx(0.3 + rule.HELD_OUT * 0.4)
    assert own == pytest.approx(0.3 + rule.OWN * 0.4)


@pytest.mark.parametrize(("found", "ground"), [([], [0.1]), ([0.5], [])])
def test_no_threshold_without_what_it_lies_between(found, ground):
    assert rule.between(found, ground, held_out=True) == rule.NEVER


def examples(shown):
    """Examples of which each shows some classes, as a batch without pixels of use."""
    images = [np.zeros((16, 16, 3), np.uint8) for _ in shown]
    masks = []
    for ways in shown:
        mask = np.zeros((16, 16), np.uint8)
        for way in ways:
            mask[:, 4 * way : 4 * way + 4] = way
        masks.append(mask)
    return by_examples.Examples.of(images, masks, (), 16, 1)


def test_photos_are_held_out_of_classes_that_have_others():
    found = examples([(1,), (1, 2), (1,)])
    assert found.shots == ((0, 1, 2), (1,))
    valid, held_out = rule.without(found, [1])
    assert held_out == [True, False]
    np.testing.assert_array_equal(valid[0], [[1, 0, 1], [1, 0, 0]])


def test_what_was_found_in_own_pixels_counts_only_without_others():
    rows = [(0, True, 0.6, 0.2), (0, False, 0.9, 0.2), (1, False, 0.8, 0.1)]
    expected = rule.between([0.6], [0.2], held_out=True)
    assert rule._of_class(rows, 0) == expected
    assert rule._of_class(rows, 1) == rule.between([0.8], [0.1], held_out=False)
