"""What is told of each photo beside its mask: areas, how uncertain it is, its IoU."""

from typing import Any

import numpy as np

from ppcjax.predict.prediction import Prediction
from ppcjax.types import IGNORE


def row(
    prediction: Prediction, mask: np.ndarray, *, uncertainty: float | None = None
) -> dict[str, Any]:
    """One photo in a table, as JSON types.

    Args:
        prediction: what the network says of the photo.
        mask: [H, W] uint8 class ids that the prediction came to, at the size of
            `prediction.example.image`.
        uncertainty: how uncertain the mask is, in 0..1; None where nobody says.

    Returns:
        "id"; "size", rows and columns of `mask`; "photo_size", those of the photo,
        where it was reduced they are more; "areas", pixels of `mask` by class id as
        text, of the classes that it shows; "uncertainty", with four digits; "iou", see
        `photo_iou`, None where there is no true mask.
    """
    truth, full = prediction.example.mask, prediction.example.full_size or mask.shape
    counts = np.bincount(mask.ravel(), minlength=1)
    return {
        "id": prediction.example.id,
        "size": [int(length) for length in mask.shape],
        "photo_size": [int(length) for length in full],
        "areas": {str(c): int(counts[c]) for c in np.flatnonzero(counts)},
        "uncertainty": None if uncertainty is None else round(float(uncertainty), 4),
        "iou": None if truth is None else photo_iou(mask, truth),
    }


def photo_iou(mask: np.ndarray, truth: np.ndarray) -> float | None:
    """Mean IoU over the classes that either mask of one photo shows, in 0..1.

    The mean over many photos is another number than the mean IoU of a data set, whose
    pixels are counted together.

    Args:
        mask: [H, W] class ids.
        truth: [H, W] class ids or IGNORE, which counts nowhere.

    Returns:
        The mean with four digits; None where all of `truth` is IGNORE.
    """
    keep = np.asarray(truth) != IGNORE
    ours, true = mask[keep].astype(np.int64), np.asarray(truth)[keep].astype(np.int64)
    if not ours.size:
        return None
    hit = np.bincount(ours[ours == true], minlength=IGNORE)
    either = np.bincount(ours, minlength=IGNORE) + np.bincount(true, minlength=IGNORE)
    shown = either > 0
    return round(float(np.mean(hit[shown] / (either - hit)[shown])), 4)
