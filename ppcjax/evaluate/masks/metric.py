"""Mean IoU at every background threshold at once, from counts that add up.

A pixel is foreground where its best class score exceeds the threshold. One pass
over the data therefore needs only a histogram of (how many thresholds the score
exceeds, true class, best class); the confusion matrix at each threshold is a
cumulative sum of it, exact and in integers.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ppcjax.types import IGNORE, Metric, UserError

# The sweep of the published systems: 0.00, 0.01, ..., 0.59.
SWEEP = tuple(k / 100 for k in range(60))


def mean_iou_sweep(
    num_classes: int,
    *,
    thresholds: Sequence[float] = SWEEP,
    report_classes: Sequence[int] | None = None,
    absent: str = "skip",
) -> Metric:
    """Mean IoU of argmax([t, scores]) for every background threshold t.

        IoU_c = TP_c / (T_c + P_c - TP_c + 1e-10)

    `count(prediction, example)` reads prediction["scores"] [H, W, C] (channel 0 is
    not read) and `example.mask` [H, W]; IGNORE pixels count nowhere. Counts are
    int64: "pixels" [K + 1, C, C] over (number of the K thresholds below the score,
    true class, best foreground class) and "images" [].

    `summarize(counts)` gives "thresholds" [K], "mean_iou" [K] and "class_iou"
    [K, C] in 0..1 (NaN where undefined), "best" (index of the highest mean IoU,
    the lowest threshold among equals) and "images".

    Args:
        num_classes: C, background included.
        thresholds: ascending, in score units. A score equal to one is background.
        report_classes: classes that the mean is taken over; None for all.
        absent: a class neither in the masks nor predicted is left out of the mean
            ("skip") or counts as 0 ("zero").

    Returns:
        The metric.

    Source: evaluation.py of SEAM, whose sweep this is.
    Deviations: the original is absent="zero". The two differ only where a data set
        lacks a class altogether, which PASCAL VOC does not.
    """
    if absent not in ("skip", "zero"):
        raise UserError(f"absent={absent!r}: choose 'skip' or 'zero'")
    levels = np.asarray(thresholds, np.float32)
    chosen = list(range(num_classes) if report_classes is None else report_classes)

    def count(prediction: dict[str, Any], example: Any) -> dict[str, np.ndarray]:
        level, best = score_levels(np.asarray(prediction["scores"]), levels)
        mask = np.asarray(example.mask)
        keep = mask != IGNORE
        truth = mask[keep].astype(np.int64)
        if truth.size and not 0 <= truth.min() <= truth.max() < num_classes:
            raise UserError(
                f"the mask of {example.id!r} holds class {truth.max()}, but there are "
                f"only the {num_classes} classes 0 to {num_classes - 1}"
            )
        cell = (level[keep] * num_classes + truth) * num_classes + best[keep]
        shape = (len(levels) + 1, num_classes, num_classes)
        pixels = np.bincount(cell, minlength=np.prod(shape)).reshape(shape)
        return {"pixels": pixels.astype(np.int64), "images": np.asarray(1, np.int64)}

    def summarize(counts: dict[str, np.ndarray]) -> dict[str, Any]:
        matrices = confusion_matrices(counts["pixels"])  # [K, C, C]
        hit = np.einsum("kcc->kc", matrices).astype(np.float64)
        union = matrices.sum(1) + matrices.sum(2) - hit
        empty = 0.0 if absent == "zero" else np.nan
        class_iou = np.where(union > 0, hit / (union + 1e-10), empty)  # [K, C]
        mean = _mean_defined(class_iou[:, chosen])
        defined = bool(np.isfinite(mean).any())
        return {
            "thresholds": levels,
            "mean_iou": mean,
            "class_iou": class_iou,
            "best": int(np.nanargmax(mean)) if defined else 0,
            "images": int(counts["images"]),
        }

    return Metric(count, summarize)


def score_levels(
    scores: np.ndarray, thresholds: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """How many thresholds each pixel's best foreground score exceeds, and its class.

    The pixel is foreground at `thresholds[k]` exactly where level > k.

    Args:
        scores: [..., C] float32; channel 0, the background, is not read.
        thresholds: [K] float32, ascending.

    Returns:
        level [...] int64 in 0..K and class [...] int64 in 1..C-1; ties go to the
        lower class.
    """
    best = scores[..., 1:].argmax(-1) + 1
    score = np.take_along_axis(scores, best[..., None], -1)[..., 0]
    return np.searchsorted(thresholds, score, side="left"), best


def predict_mask(scores: np.ndarray, threshold: float) -> np.ndarray:
    """Class of each pixel: argmax([threshold, scores]), ties to background.

    Args:
        scores: [..., C] float32; channel 0 is not read.
        threshold: in score units.

    Returns:
        [...] uint8 class ids.
    """
    level, best = score_levels(scores, np.asarray([threshold], np.float32))
    return np.where(level > 0, best, 0).astype(np.uint8)


def confusion_matrices(pixels: np.ndarray) -> np.ndarray:
    """Pixel counts (true class, predicted class) at each threshold.

    Args:
        pixels: [K + 1, C, C] as counted by `mean_iou_sweep`.

    Returns:
        [K, C, C] int64.
    """
    below = np.cumsum(pixels, 0)[:-1]  # pixels at or below threshold k
    matrices = pixels.sum(0) - below
    matrices[:, :, 0] += below.sum(-1)
    return matrices


def add_counts(
    a: dict[str, np.ndarray] | None, b: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Counts of the union of two disjoint sets of examples; None is empty."""
    return b if a is None else {name: a[name] + b[name] for name in b}


def _mean_defined(values: np.ndarray) -> np.ndarray:
    """Mean over the last axis of the values that are not NaN; NaN if none is."""
    defined = ~np.isnan(values)
    total = np.where(defined, values, 0).sum(-1)
    return np.where(defined.any(-1), total / np.maximum(defined.sum(-1), 1), np.nan)
