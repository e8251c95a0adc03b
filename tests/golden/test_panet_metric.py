"""PANet's scores of recorded predictions."""

import numpy as np
import pytest

from ppcjax.evaluate.episodes.metric import (
    binary_iou,
    class_iou,
    count_query,
    summarize,
    zero_counts,
)
from tests.golden.arrays import load

GOLDEN = load("panet_metric")
CLASSES = len(GOLDEN["fs_nolabels_class_mean_f64"])


def _runs(kind):
    """Counts by run; without labels every class is looked for."""
    golden, runs = GOLDEN, {}
    samples = zip(
        golden.text(f"{kind}_labels"),
        golden[f"{kind}_pred"],
        golden[f"{kind}_target"],
        strict=True,
    )
    for (run, labels), found, truth in samples:
        labels = range(1, CLASSES) if labels is None else labels
        counts = count_query(found, truth, labels, CLASSES)
        runs[run] = runs.get(run, zero_counts(CLASSES)) + counts
    return runs


def test_one_way_over_runs():
    golden, by_run = GOLDEN, _runs("fs")
    runs = list(by_run.values())
    labels = golden["fs_test_labels"].tolist()
    names = [str(c) for c in range(CLASSES)]
    found = summarize(runs, names, labels)
    for name, key in (("mean_iou", "all"), ("fb_iou", "binary")):
        assert found[name]["mean"] == pytest.approx(float(golden[f"fs_{key}_mean_f64"]))
        assert found[name]["std"] == pytest.approx(float(golden[f"fs_{key}_std_f64"]))
    for place, label in enumerate(labels):
        of_class = found["class_iou"][str(label)]
        for statistic in ("mean", "std"):
            wanted = golden[f"fs_all_class_{statistic}_f64"][place]
            assert of_class[statistic] == pytest.approx(float(wanted))
    for run in map(int, golden.having(r"fs_run(\d+)_class_f64")):
        wanted = golden[f"fs_run{run}_class_f64"]
        np.testing.assert_allclose(class_iou(by_run[run])[labels], wanted)
        wanted = golden[f"fs_run{run}_bin_class_f64"].ravel()
        np.testing.assert_allclose(binary_iou(by_run[run]), wanted)
    every = np.array([class_iou(counts) for counts in runs]).mean(0)
    np.testing.assert_allclose(every, golden["fs_nolabels_class_mean_f64"])


def test_two_way():
    (counts,) = _runs("tw").values()
    labels = GOLDEN["fs_test_labels"].tolist()
    np.testing.assert_allclose(class_iou(counts)[labels], GOLDEN["tw_class_f64"])
    np.testing.assert_allclose(binary_iou(counts), GOLDEN["tw_bin_class_f64"])


def test_without_labels():
    (counts,) = _runs("seg").values()
    wanted = GOLDEN["seg_class_f64"]
    np.testing.assert_allclose(class_iou(counts)[: len(wanted)], wanted)
