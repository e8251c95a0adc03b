from typing import NamedTuple

import numpy as np
import pytest

from ppcjax.evaluate.masks import metric as metrics
from ppcjax.evaluate.protocol import added
from ppcjax.predict.prediction import predict_mask
from ppcjax.types import IGNORE, UserError


class Masked(NamedTuple):
    id: str
    mask: np.ndarray


def naive_confusion(scores, mask, threshold):
    """One pixel at a time, as the published evaluation does it."""
    num_classes = scores.shape[-1]
    matrix = np.zeros((num_classes, num_classes), np.int64)
    for y, x in np.ndindex(mask.shape):
        if mask[y, x] != IGNORE:
            row = scores[y, x].copy()
            row[0] = threshold
            matrix[mask[y, x], row.argmax()] += 1
    return matrix


def random_case(seed, *, num_classes=5, size=(11, 13)):
    rng = np.random.default_rng(seed)
    scores = rng.random((*size, num_classes), np.float32) * 0.7
    # Scores that sit exactly on thresholds, or on one another.
    on_grid = rng.integers(0, 60, scores.shape).astype(np.float32) / np.float32(100)
    scores = np.where(rng.random(scores.shape) < 0.5, on_grid, scores)
    scores[:2] = 0
    scores[2, :, 1:] = -1
    mask = rng.integers(0, num_classes, size).astype(np.int32)
    mask[rng.random(size) < 0.1] = IGNORE
    return scores.astype(np.float32), mask


def test_sweep_equals_a_loop_over_pixels():
    metric = metrics.mean_iou_sweep(5)
    scores, mask = random_case(0)
    counts = metric.count({"scores": scores}, Masked("a", mask))
    result = metric.summarize(counts)
    assert len(result["thresholds"]) == 60
    matrices = metrics.confusion_matrices(counts["pixels"])
    for k in range(0, 60, 7):
        expected = naive_confusion(scores, mask, np.float32(k / 100))
        np.testing.assert_array_equal(matrices[k], expected)
        hit = np.diag(expected)
        iou = hit / (expected.sum(0) + expected.sum(1) - hit + 1e-10)
        np.testing.assert_allclose(result["class_iou"][k], iou)
        np.testing.assert_allclose(result["mean_iou"][k], iou.mean())
    assert result["best"] == np.argmax(result["mean_iou"])
    assert result["images"] == 1


def test_counts_add_up():
    metric = metrics.mean_iou_sweep(5)
    cases = [random_case(seed) for seed in range(3)]
    total = {}
    for scores, mask in cases:
        total = added(total, metric.count({"scores": scores}, Masked("a", mask)))
    together = [np.concatenate(parts) for parts in zip(*cases, strict=True)]
    union = metric.count({"scores": together[0]}, Masked("a", together[1]))
    np.testing.assert_array_equal(total["pixels"], union["pixels"])
    assert total["images"] == 3


@pytest.mark.parametrize("threshold", [0.26, 0.07, 0.59])
def test_score_equal_to_the_threshold_is_background(threshold):
    t = np.float32(threshold)
    up = np.nextafter(t, np.float32(1))
    scores = np.array([[[0, t, 0], [0, 0, up]]], np.float32)
    np.testing.assert_array_equal(predict_mask(scores, threshold), [[0, 2]])


def test_masks_agree_with_the_counts():
    scores, mask = random_case(4)
    metric = metrics.mean_iou_sweep(5, thresholds=(0.1, 0.26, 0.3))
    counts = metric.count({"scores": scores}, Masked("a", mask))
    predicted = predict_mask(scores, 0.26)
    keep = mask != IGNORE
    matrix = np.zeros((5, 5), np.int64)
    np.add.at(matrix, (mask[keep], predicted[keep]), 1)
    np.testing.assert_array_equal(
        metrics.confusion_matrices(counts["pixels"])[1], matrix
    )


def test_absent_classes_are_left_out_or_zero():
    scores = np.zeros((2, 2, 4), np.float32)
    scores[0, :, 1] = 1
    mask = np.array([[1, 1], [0, 0]], np.int32)
    example = Masked("a", mask)
    results = {}
    for absent in ("skip", "zero"):
        metric = metrics.mean_iou_sweep(4, absent=absent)
        results[absent] = metric.summarize(metric.count({"scores": scores}, example))
    assert results["skip"]["mean_iou"][20] == pytest.approx(1)
    assert np.isnan(results["skip"]["class_iou"][20, 3])
    assert results["zero"]["mean_iou"][20] == pytest.approx(0.5)
    subset = metrics.mean_iou_sweep(4, absent="zero", report_classes=(0, 1))
    result = subset.summarize(subset.count({"scores": scores}, example))
    assert result["mean_iou"][20] == pytest.approx(1)


def test_nothing_to_score_is_not_a_number():
    metric = metrics.mean_iou_sweep(3)
    mask = np.full((2, 2), IGNORE, np.int32)
    counts = metric.count(
        {"scores": np.zeros((2, 2, 3), np.float32)}, Masked("a", mask)
    )
    result = metric.summarize(counts)
    assert np.isnan(result["mean_iou"]).all() and result["best"] == 0


@pytest.mark.parametrize("absent", ["skip", "zero"])
@pytest.mark.parametrize("predicted", [0.0, 1.0])
@pytest.mark.parametrize("reported", [None, (0,), (0, 2)])
def test_the_mean_is_never_over_the_background_alone(absent, predicted, reported):
    scores = np.zeros((2, 2, 3), np.float32)
    scores[0, 0, 1] = predicted
    example = Masked("a", np.zeros((2, 2), np.int32))
    given = {"absent": absent, "report_classes": reported}
    metric = metrics.mean_iou_sweep(3, **given)
    counts = metric.count({"scores": scores}, example)
    assert np.isnan(metric.summarize(counts)["mean_iou"]).all()
    # Without a background the first class is one like all others.
    plain = metrics.mean_iou_sweep(3, **given, background=False)
    assert np.isfinite(plain.summarize(counts)["mean_iou"]).all()
    shown = metric.count({"scores": scores}, Masked("b", np.full((2, 2), 2, np.int32)))
    both = {name: counts[name] + shown[name] for name in counts}
    found = metric.summarize(both)["mean_iou"]
    assert np.isnan(found).all() == (reported == (0,))


def test_class_out_of_range_names_the_image():
    metric = metrics.mean_iou_sweep(3)
    mask = np.full((2, 2), 3, np.int32)
    with pytest.raises(UserError, match="'photo7' holds class 3"):
        metric.count(
            {"scores": np.zeros((2, 2, 3), np.float32)}, Masked("photo7", mask)
        )


def test_settings_that_cannot_work():
    with pytest.raises(UserError, match="no class 'horse'"):
        metrics.make_metric(("background", "red"), report_classes=("red", "horse"))
    with pytest.raises(UserError, match="choose 'skip' or 'zero'"):
        metrics.mean_iou_sweep(3, absent="drop")


@pytest.mark.parametrize("threshold", [-0.1, 1.0, float("nan")])
def test_threshold_beyond_the_scores_is_refused(threshold):
    with pytest.raises(UserError, match="threshold"):
        metrics.sweep_with(threshold)
