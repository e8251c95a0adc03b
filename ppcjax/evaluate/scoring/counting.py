"""What two masks of a photo count, and the figures that counts come to.

All figures are of the whole set: counts are added over the photos first.

    IoU_c            TP_c / (T_c + P_c - TP_c)
    precision_c      TP_c / P_c                       P_c pixels predicted as c
    recall_c         TP_c / T_c                       T_c pixels that are c
    boundary IoU_c   |T_c' & P_c'| / |T_c' | P_c'|    X' the band along the contour of X
    boundary F_c     2 p r / (p + r)                  p share of the predicted contour
                                                      that matches, r of the true one
    pixel accuracy   sum_c TP_c / sum_c T_c
    weighted IoU     sum_c T_c IoU_c / sum_c T_c

Pixels that are void in TRUTH count nowhere. Where the prediction is void it is none of
the classes, so that a pixel counts in T and not in P.

Sources: Cheng et al., "Boundary IoU: Improving Object-Centric Image Segmentation
    Evaluation", CVPR 2021 (band of 2 % of the diagonal, `boundary.band`); Csurka et
    al., "What is a good evaluation measure for semantic segmentation?", BMVC 2013
    (contours that match within 0.75 % of the diagonal, `boundary.match`).
Deviations: Csurka et al. take the mean of F over the photos that show a class; here the
    contours of all photos are counted together, as pixels are for IoU. What is void is
    of no class and makes no contour for the band; see `boundary` for both.
"""

from typing import Any, NamedTuple

import numpy as np

from ppcjax.evaluate.masks.metric import mean_of_classes
from ppcjax.evaluate.scoring import boundary
from ppcjax.evaluate.scoring.boundary import UNKNOWN

FIGURES = ("iou", "precision", "recall", "boundary_iou", "boundary_f")


class Counts(NamedTuple):
    """What masks count; those of several photos add up.

    confusion: [C, C + 1] int64 pixels by (true class, predicted class); the last is
        none of the classes.
    bands: [3, C] int64 pixels of the bands of both, of the truth, of the prediction.
    contours: [4, C] int64, see `boundary.match`.
    """

    confusion: np.ndarray
    bands: np.ndarray
    contours: np.ndarray

    @classmethod
    def none(cls, num_classes: int) -> "Counts":
        """Those of no photo."""
        shapes = (num_classes, num_classes + 1), (3, num_classes), (4, num_classes)
        return cls(*(np.zeros(shape, np.int64) for shape in shapes))

    def plus(self, other: "Counts") -> "Counts":
        """The sum."""
        return Counts(*(a + b for a, b in zip(self, other, strict=True)))


def count(truth: np.ndarray, pred: np.ndarray, num_classes: int) -> Counts:
    """What two masks of a photo count.

    Args:
        truth: [H, W] int16 class ids in 0..C-1, or UNKNOWN.
        pred: [H, W] int16 in 0..C, where C is none of the classes.
        num_classes: C.
    """
    known = truth != UNKNOWN
    cells = truth[known].astype(np.int64) * (num_classes + 1) + pred[known]
    pixels = np.bincount(cells, minlength=num_classes * (num_classes + 1))
    width = boundary.band_width(truth.shape)
    seen = np.where(known, pred, np.int16(UNKNOWN))
    near_truth, near_pred = boundary.band(truth, width), boundary.band(seen, width)
    both = near_truth & near_pred & (truth == pred)
    bands = [
        np.bincount(labels[where], minlength=num_classes + 1)[:num_classes]
        for labels, where in ((truth, both), (truth, near_truth), (pred, near_pred))
    ]
    return Counts(
        pixels.reshape(num_classes, num_classes + 1),
        np.stack(bands),
        boundary.match(
            truth,
            pred,
            num_classes=num_classes,
            within=boundary.tolerance(truth.shape),
        ),
    )


def class_figures(counts: Counts, absent: str = "skip") -> dict[str, np.ndarray]:
    """The figures of each class.

    Args:
        counts: sums over photos.
        absent: "zero" where classes that are in no mask count as 0.

    Returns:
        FIGURES, each [C] float64 in 0..1; NaN where undefined: a class that is in no
        mask, and boundaries of one that has none.
    """
    hit = np.diagonal(counts.confusion).astype(np.float64)
    true, predicted = counts.confusion.sum(1), counts.confusion.sum(0)[:-1]
    inner, of_truth, of_pred = counts.bands
    matched_truth, all_truth, matched_pred, all_pred = counts.contours
    # A contour that only one side has matches nothing: 0, not undefined.
    recall = _ratio(matched_truth, all_truth, 0.0)
    precision = _ratio(matched_pred, all_pred, 0.0)
    contoured = all_truth + all_pred > 0
    found = {
        "iou": _ratio(hit, true + predicted - hit),
        "precision": _ratio(hit, predicted),
        "recall": _ratio(hit, true),
        "boundary_iou": _ratio(inner, of_truth + of_pred - inner),
        "boundary_f": np.where(
            contoured, _ratio(2 * precision * recall, precision + recall, 0.0), np.nan
        ),
    }
    if absent == "zero":
        gone = true + predicted == 0
        found = {name: np.where(gone, 0.0, value) for name, value in found.items()}
    return found


def means(
    counts: Counts, figures: dict[str, np.ndarray], *, background: bool
) -> dict[str, float]:
    """The figures of the whole set: means over classes, and shares of pixels.

    NaN where undefined, and means also where the truth shows nothing but background.
    """
    true = counts.confusion.sum(1)
    total, chosen = true.sum(), range(len(true))
    found: dict[str, Any] = {
        f"mean_{name}": mean_of_classes(
            values, true > 0, list(chosen), background=background
        )
        for name, values in figures.items()
    }
    hit = np.diagonal(counts.confusion)
    found["pixel_accuracy"] = _ratio(hit.sum(), total)
    found["weighted_iou"] = _ratio(np.nansum(true * figures["iou"]), total)
    return {name: float(value) for name, value in found.items()}


def photo_iou(counts: Counts) -> float:
    """Mean IoU over the classes that one photo shows or is said to show."""
    iou = class_figures(counts)["iou"]
    return float(np.nanmean(iou)) if np.isfinite(iou).any() else float("nan")


def _ratio(part: Any, whole: Any, empty: float = np.nan) -> np.ndarray:
    """Ratio of two numbers or arrays; `empty` where the whole is 0."""
    part, whole = np.asarray(part, np.float64), np.asarray(whole, np.float64)
    return np.where(whole > 0, part / np.where(whole > 0, whole, 1.0), empty)
