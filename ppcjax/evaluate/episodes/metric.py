"""Mean IoU and FB-IoU of episodes, and their spread over runs.

IoU_c = TP_c / (TP_c + FP_c + FN_c), summed over the episodes of a run
mean IoU = mean of IoU_c over the classes asked for
FB-IoU = mean of the IoU of the background and of all classes taken together
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.special import stdtrit

from ppcjax.types import IGNORE


class Counts(NamedTuple):
    """Pixels of each class [C] int64, background first; they add up over episodes."""

    hits: np.ndarray
    false_alarms: np.ndarray
    misses: np.ndarray

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(*(a + b for a, b in zip(self, other, strict=True)))


def zero_counts(num_classes: int) -> Counts:
    """Counts of no episode."""
    return Counts(*(np.zeros(num_classes, np.int64) for _ in Counts._fields))


def count_query(
    found: np.ndarray,
    truth: np.ndarray,
    class_ids: Sequence[int],
    num_classes: int,
    *,
    absent: str = "skip",
) -> Counts:
    """Counts of one query.

    Args:
        found: [H, W] in 0..N, the ways from 1.
        truth: [H, W] likewise, or IGNORE, which counts nowhere.
        class_ids: [N] class of each way.
        num_classes: C.
        absent: whether a class that the truth does not show counts nowhere ("skip", as
            in PANet) or its false alarms count ("count").

    Returns:
        Counts over classes of the data set.
    """
    counts = zero_counts(num_classes)
    known = truth != IGNORE
    for way, class_id in enumerate((0, *class_ids)):
        is_true, is_found = truth == way, (found == way) & known
        if absent == "skip" and not is_true.any():
            continue
        hits = np.count_nonzero(is_true & is_found)
        counts.hits[class_id] += hits
        counts.false_alarms[class_id] += np.count_nonzero(is_found) - hits
        counts.misses[class_id] += np.count_nonzero(is_true) - hits
    return counts


def class_iou(counts: Counts) -> np.ndarray:
    """[C] in 0..1; NaN for a class that was never seen."""
    union = sum(counts)
    return np.where(union > 0, counts.hits / np.maximum(union, 1), np.nan)


def binary_iou(counts: Counts) -> np.ndarray:
    """[2] IoU of the background, and of all other classes taken together."""
    pooled = Counts(*(np.array([part[0], part[1:].sum()]) for part in counts))
    return class_iou(pooled)


def mean_defined(values: np.ndarray) -> float:
    """Mean of the values that are not NaN; NaN if none is."""
    values = np.asarray(values, np.float64)
    values = values[~np.isnan(values)]
    return float(values.mean()) if values.size else float("nan")


def spread(values: Sequence[float]) -> dict[str, Any]:
    """Mean, standard deviation and 95 % interval of a score over runs.

    Args:
        values: one per run.

    Returns:
        "mean"; "std" over the runs (population, as published); "interval", the half
        width of Student's 95 % confidence interval of the mean, None for one run;
        "runs", the values.
    """
    values = np.asarray(values, np.float64)
    interval = None
    if len(values) > 1:
        error = values.std(ddof=1) / np.sqrt(len(values))
        interval = float(stdtrit(len(values) - 1, 0.975) * error)
    return {
        "mean": float(values.mean()),
        "std": float(values.std()),
        "interval": interval,
        "runs": values.tolist(),
    }


def summarize(
    runs: Sequence[Counts], classes: Sequence[str], report: Sequence[int]
) -> dict[str, Any]:
    """Scores of several runs of episodes.

    Args:
        runs: counts of each run.
        classes: names, background first.
        report: ids of the classes that the mean is taken over.

    Returns:
        "mean_iou" and "fb_iou" as `spread` gives them, and "class_iou", a dict of
        them by name.
    """
    per_class = np.array([class_iou(counts) for counts in runs])  # [runs, C]
    return {
        "mean_iou": spread([mean_defined(row[list(report)]) for row in per_class]),
        "fb_iou": spread([mean_defined(binary_iou(counts)) for counts in runs]),
        "class_iou": {classes[c]: spread(per_class[:, c]) for c in report},
    }
