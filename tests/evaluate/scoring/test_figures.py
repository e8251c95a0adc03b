"""The figures: by hand, and what must hold of all masks."""

import os
import tempfile

import numpy as np
import pytest

import ppcjax
from ppcjax.evaluate.scoring import counting
from ppcjax.evaluate.scoring.boundary import UNKNOWN
from ppcjax.evaluate.scoring.counting import FIGURES, Counts, count
from ppcjax.types import UserError
from tests.evaluate.scoring.test_boundary import labels


def figures(truth, pred, classes=3):
    return counting.class_figures(count(truth, pred, classes))


def square(top, left, side=20, shape=(60, 80)):
    mask = np.zeros(shape, np.int16)
    mask[top : top + side, left : left + side] = 1
    return mask


def test_a_square_that_lies_two_pixels_off():
    """The diagonal is 100: the band is 2 pixels wide, contours match within 1."""
    truth, pred = square(20, 20), square(20, 22)
    found = figures(truth, pred, 2)
    assert found["iou"][1] == 18 * 20 / (22 * 20)
    assert found["precision"][1] == found["recall"][1] == 18 / 20
    # Frames of 20 x 20 less 16 x 16; they share rows 2 + 2 of 18, and 2 x 16 no column.
    frame = 20 * 20 - 16 * 16
    both = 4 * 18
    assert found["boundary_iou"][1] == pytest.approx(both / (2 * frame - both))
    # Of the contour, 76 pixels, match 18 + 1 of each row, and the pixel of the side
    # that lies next to the other's row.
    matched = 2 * (19 + 1)
    assert found["boundary_f"][1] == pytest.approx(matched / 76)


@pytest.mark.parametrize("seed", range(4))
def test_masks_that_agree_where_something_is_known_score_one(seed):
    truth = labels(seed, (40, 50), void=True)
    pred = np.where(truth == UNKNOWN, labels(seed + 9, (40, 50)), truth)
    found = figures(truth, pred)
    for name in FIGURES:
        np.testing.assert_array_equal(found[name], 1, err_msg=name)


@pytest.mark.parametrize("seed", range(3))
def test_truth_and_prediction_may_change_places(seed):
    one, two = labels(seed, (40, 50)), labels(seed + 5, (40, 50))
    found, other = figures(one, two), figures(two, one)
    for name, swapped in dict(zip(FIGURES, FIGURES, strict=True)).items():
        swapped = {"precision": "recall", "recall": "precision"}.get(name, swapped)
        np.testing.assert_allclose(found[name], other[swapped], err_msg=name)


def test_classes_may_be_numbered_otherwise():
    truth, pred = labels(1, (40, 50), void=True), labels(2, (40, 50))
    order = np.array([2, 0, 1, UNKNOWN], np.int16)
    found, other = figures(truth, pred), figures(order[truth], order[pred])
    for name in FIGURES:
        np.testing.assert_allclose(found[name], other[name][order[:3]])


def test_counts_of_photos_add_up():
    photos = [(labels(i, (20, 30)), labels(i + 3, (20, 30))) for i in range(3)]
    total = Counts.none(3)
    for truth, pred in photos:
        total = total.plus(count(truth, pred, 3))
    whole = np.concatenate([truth for truth, _ in photos])
    other = np.concatenate([pred for _, pred in photos])
    np.testing.assert_array_equal(
        total.confusion, count(whole, other, 3).confusion
    )  # pixels know no photo; contours do


def test_void_in_the_prediction_is_wrong_and_in_the_truth_nothing():
    truth = np.array([[0, 0, 1, 1]])
    found = ppcjax.score([np.array([[0, 0, 1, 255]])], [truth])
    assert found.classes["1"]["iou"] == 0.5 and found.pixel_accuracy == 0.75
    assert any("1 pixels are void in PRED" in line for line in found.warnings)
    found = ppcjax.score([truth], [np.array([[0, 0, 1, 255]])])
    assert found.mean_iou == found.mean_boundary_f == 1


def test_absent_classes_are_left_out_or_count_as_zero():
    truth, names = [np.array([[0, 1]])], ("cat", "dog")
    assert ppcjax.score(truth, truth, classes=names).mean_iou == 1
    zero = ppcjax.score(truth, truth, classes=names, absent="zero")
    assert zero.mean_iou == pytest.approx(2 / 3) and zero.classes["dog"]["iou"] == 0


def test_truth_of_background_alone_has_no_mean():
    found = ppcjax.score([np.array([[0, 1]])], [np.array([[0, 0]])])
    assert np.isnan(found.mean_iou) and np.isnan(found.mean_boundary_iou)
    assert found.pixel_accuracy == 0.5
    assert "no class but the background" in found.warnings[-1]
    assert found.as_json()["mean_iou"] is None
    both = ppcjax.score(
        [np.array([[0, 1]])], [np.array([[0, 0]])], background=False, classes=("a", "b")
    )
    assert both.mean_iou == 0.25


def test_photos_that_agree_least_come_first():
    truth = np.zeros((3, 10, 10), np.uint8)
    truth[:, :5] = 1
    pred = truth.copy()
    pred[1, :2], pred[2] = 0, 0
    void = np.full((10, 10), 255)
    found = ppcjax.score([*pred, pred[0]], [*truth, void])
    assert [name for name, _ in found.worst()] == ["000002", "000001", "000000"]
    assert (found.photos, found.void) == (3, 1)
    assert found.as_csv().splitlines()[1] == "000000,1.000000"
    text = found.as_text()
    assert "000002" in text and "000000" not in text  # what is right needs no look
    assert str(found) == text


@pytest.mark.parametrize(
    ("pred", "truth", "message"),
    [
        ([], [], "no mask"),
        ([[[0, 1]]], [], "1 predicted masks and 0 true ones"),
        (np.zeros((2, 2), int), [np.zeros((2, 2), int)], r"pred is one mask.*\[mask\]"),
        (3, [], "pred is of type int"),
        ("somewhere", [np.zeros((2, 2), int)], "one of PRED and TRUTH is a folder"),
        (
            [np.zeros((2, 2, 3), int)],
            [np.zeros((2, 2), int)],
            "mask 0 of pred is int64",
        ),
        ([np.full((2, 2), 0.5)], [np.eye(2)], "pred/000000.npy: .*whole numbers"),
        ([np.eye(2)], [np.eye(3)], "000000: its mask in PRED is 2x2 pixels, in TRUTH"),
        ([np.eye(2)], [np.full((2, 2), 255)], "true masks are void"),
        ([np.eye(2) * 300], [np.eye(2)], "holds class id 300.*--void"),
        ([np.eye(2)], [-np.eye(2)], "truth/000000.npy: holds class id -1"),
    ],
)
def test_arrays_that_do_not_fit_are_one_line(pred, truth, message):
    with pytest.raises(UserError, match=message) as caught:
        ppcjax.score(pred, truth)
    said, made = str(caught.value), os.path.join(tempfile.gettempdir(), "tmp")
    assert "\n" not in said and made not in said


def test_settings_are_checked():
    masks = [np.eye(2)]
    with pytest.raises(UserError, match="absent='never': give one of skip, zero"):
        ppcjax.score(masks, masks, absent="never")
    with pytest.raises(UserError, match="give names that are distinct"):
        ppcjax.score(masks, masks, classes=["a", "A"])


def test_arrays_may_come_from_a_generator_and_be_of_other_sizes():
    pred = (np.eye(4, dtype=bool) for _ in range(2))
    found = ppcjax.score(pred, [np.eye(8)[::2, ::2], np.eye(8)], resize="nearest")
    assert found.photos == 2 and "1 masks of PRED were resized" in found.warnings[-1]
