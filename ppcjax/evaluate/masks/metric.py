"""Mean IoU at every background threshold at once, from counts that add up.

A pixel is foreground where its best class score exceeds the threshold. One pass
over the data therefore needs only a histogram of (how many thresholds the score
exceeds, true class, best class); the confusion matrix at each threshold is a
cumulative sum of it, exact and in integers.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ppcjax.predict.prediction import score_levels
from ppcjax.types import IGNORE, Metric, UserError

# The sweep of the published systems: 0.00, 0.01, ..., 0.59.
SWEEP = tuple(k / 100 for k in range(60))


def mean_iou_sweep(
    num_classes: int,
    *,
    thresholds: Sequence[float] = SWEEP,
    report_classes: Sequence[int] | None = None,
    absent: str = "skip",
    background: bool = True,
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
        background: whether class 0 is what the others leave. Then the mean is NaN where
            the masks show no other class that it is taken over.

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
        shown = counts["pixels"].sum((0, 2)) > 0
        mean = mean_of_classes(class_iou, shown, chosen, background=background)
        defined = bool(np.isfinite(mean).any())
        return {
            "thresholds": levels,
            "mean_iou": mean,
            "class_iou": class_iou,
            "best": int(np.nanargmax(mean)) if defined else 0,
            "images": int(counts["images"]),
        }

    return Metric(count, summarize)


def sweep_with(*thresholds: float) -> tuple[float, ...]:
    """The thresholds of the published sweep and others, ascending."""
    for threshold in thresholds:
        if not 0 <= threshold < 1:
            raise UserError(
                f"threshold {threshold}: give a score in [0, 1), such as 0.26"
            )
    return tuple(sorted({*SWEEP, *thresholds}))


def make_metric(
    classes: Sequence[str],
    thresholds: Sequence[float] = SWEEP,
    *,
    report_classes: Sequence[str] = (),
    absent: str = "skip",
    background: bool = True,
) -> Metric:
    """Mean IoU over classes that are given by name.

    Args:
        classes: names, background first.
        thresholds: ascending.
        report_classes: names that the mean is taken over; empty for all.
        absent: how the mean counts classes that never occur, see `mean_iou_sweep`.
        background: whether class 0 is what the others leave.

    Raises:
        UserError: a name is no class.
    """
    unknown = [name for name in report_classes if name not in classes]
    if unknown:
        raise UserError(
            f"eval.report_classes: there is no class {unknown[0]!r}; the classes are "
            + ", ".join(classes)
        )
    reported = [classes.index(name) for name in report_classes] or None
    return mean_iou_sweep(
        len(classes),
        thresholds=thresholds,
        report_classes=reported,
        absent=absent,
        background=background,
    )


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


def mean_of_classes(
    values: np.ndarray,
    shown: np.ndarray,
    chosen: Sequence[int],
    *,
    background: bool,
) -> np.ndarray:
    """Mean of a figure over classes; NaN where the masks show none but the background.

    Args:
        values: [..., C], NaN where undefined.
        shown: [C] bool, whether the true masks show the class.
        chosen: classes that the mean is taken over.
        background: whether class 0 is what the others leave.

    Returns:
        [...] float64.
    """
    mean = _mean_defined(values[..., chosen])
    scored = [c for c in chosen if c or not background]
    return mean if shown[scored].any() else np.full_like(mean, np.nan)


def _mean_defined(values: np.ndarray) -> np.ndarray:
    """Mean over the last axis of the values that are not NaN; NaN if none is."""
    defined = ~np.isnan(values)
    total = np.where(defined, values, 0).sum(-1)
    return np.where(defined.any(-1), total / np.maximum(defined.sum(-1), 1), np.nan)
