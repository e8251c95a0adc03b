import numpy as np
import pytest

from ppcjax.evaluate.episodes.metric import (
    binary_iou,
    class_iou,
    count_query,
    spread,
    zero_counts,
)
from ppcjax.types import IGNORE


def test_counts_leave_out_void_and_absent_classes():
    found, truth = np.array([[1, 1, 0, 0]]), np.array([[1, 0, IGNORE, 0]])
    counts = count_query(found, truth, [3], 5)
    np.testing.assert_allclose(class_iou(counts)[[0, 3]], [0.5, 0.5])
    assert np.isnan(class_iou(counts)[1])
    absent = np.zeros_like(truth)
    assert count_query(found, absent, [3], 5).false_alarms[3] == 0
    counted = count_query(found, absent, [3], 5, absent="count")
    assert counted.false_alarms[3] == 2


def test_void_alone_is_nothing():
    void = np.full((2, 2), IGNORE)
    counts = count_query(np.ones((2, 2), int), void, [1], 3)
    assert not any(part.any() for part in counts)
    assert np.isnan(binary_iou(zero_counts(3))).all()


def test_counts_add_up():
    rng = np.random.default_rng(0)
    found, truth = rng.integers(0, 3, (2, 4, 8, 8))
    parts = [count_query(f, t, [2, 1], 4) for f, t in zip(found, truth, strict=True)]
    whole = count_query(found, truth, [2, 1], 4)
    total = sum(parts[1:], start=parts[0])
    for part, expected in zip(total, whole, strict=True):
        np.testing.assert_array_equal(part, expected)


def test_interval_is_students():
    found = spread([0.4, 0.5, 0.6])
    assert found["mean"] == pytest.approx(0.5)
    assert found["interval"] == pytest.approx(4.302653 * 0.1 / 3**0.5, rel=1e-4)
    assert spread([0.4])["interval"] is None
