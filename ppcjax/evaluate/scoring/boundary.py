"""Contours of masks: pixels near them, and pixels of two contours that match.

Labels are class ids; `UNKNOWN` marks pixels of which nothing is known. All classes of a
mask are treated in one pass.
"""

import math

import numpy as np
from scipy import ndimage, spatial

UNKNOWN = -1  # in labels, where the truth is void
# Shares of the photo's diagonal.
BAND = 0.02
TOLERANCE = 0.0075

_BELOW, _ABOVE = np.iinfo(np.int16).min, np.iinfo(np.int16).max
# Neighbours of a pixel, one of each pair of opposite ones: rows and columns away.
_STEPS = ((0, 1), (1, 0), (1, 1), (1, -1))


def band_width(shape: tuple[int, int]) -> int:
    """Width d of the band along contours, pixels: 2 % of the diagonal, at least 1."""
    return max(1, round(BAND * math.hypot(*shape)))


def tolerance(shape: tuple[int, int]) -> float:
    """Distance at which contours match, pixels: 0.75 % of the diagonal, at least 1."""
    return max(1.0, TOLERANCE * math.hypot(*shape))


def band(labels: np.ndarray, width: int) -> np.ndarray:
    """Which pixels of each class lie near its contour.

        near(x) = some y with |y - x|_inf <= d is of another class or outside the photo

    Of class c these are the pixels that d erosions with a 3 x 3 square take from its
    mask, in which the edge of the photo is a contour, too. Unknown pixels are of no
    class and make no contour: what lies behind them within the distance counts.

    Args:
        labels: [H, W] int16 class ids, or UNKNOWN.
        width: distance d, pixels.

    Returns:
        [H, W] bool; False where unknown.

    Source: Cheng et al., "Boundary IoU", CVPR 2021, and its released mask_to_boundary.
    """
    unknown = labels == UNKNOWN
    low = np.where(unknown, _ABOVE, labels)
    high = np.where(unknown, _BELOW, labels)
    for axis in (0, 1):
        size = 2 * width + 1
        low = ndimage.minimum_filter1d(low, size, axis, mode="constant", cval=_BELOW)
        high = ndimage.maximum_filter1d(high, size, axis, mode="constant", cval=_BELOW)
    return ~unknown & ((low != labels) | (high != labels))


def contour(labels: np.ndarray, *, known: bool = False) -> np.ndarray:
    """Which pixels have a neighbour, of their eight, of another label.

    Args:
        labels: [H, W] int16 class ids, or UNKNOWN, which is a label here.
        known: whether neighbours that are unknown do not count.

    Returns:
        [H, W] bool; the edge of the photo is no contour.
    """
    found = np.zeros(labels.shape, bool)
    for rows, columns in _STEPS:
        here, there = _shifted(labels.shape, rows, columns)
        differs = labels[here] != labels[there]
        if known:
            differs &= (labels[here] != UNKNOWN) & (labels[there] != UNKNOWN)
        found[here] |= differs
        found[there] |= differs
    return found


def _shifted(shape: tuple[int, int], rows: int, columns: int):
    """Slices of all pixels that have a neighbour so far away, and of the neighbours."""
    height, width = shape
    left, right = max(-columns, 0), width - max(columns, 0)
    here = slice(0, height - rows), slice(left, right)
    there = slice(rows, height), slice(left + columns, right + columns)
    return here, there


def match(
    truth: np.ndarray, pred: np.ndarray, *, num_classes: int, within: float
) -> np.ndarray:
    """Pixels of the contours of each class in two masks, and those that match.

    A pixel of one contour matches where the other mask has a contour of that class
    within a distance (Euclidean, between pixel centres). Where the truth is void nobody
    knows the contour, so that these are left out:

    - pixels of the predicted contour in the void that match nothing;
    - pixels of the true contour whose only other neighbours are void, where the
      prediction shows the class and no contour.

    Two masks that agree wherever something is known therefore match in full.

    Args:
        truth: [H, W] int16 class ids in 0..C-1, or UNKNOWN.
        pred: [H, W] int16 in 0..C, where C is none of the classes; known everywhere.
        num_classes: C.
        within: distance, pixels.

    Returns:
        [4, C] int64: true contour matched, all of it, predicted matched, all of it.
    """
    edges = contour(truth), contour(pred)
    spared = edges[0] & ~contour(truth, known=True) & ~edges[1] & (pred == truth)
    of_truth, of_pred = (
        _by_class(edge, labels, num_classes)
        for edge, labels in zip(edges, (truth, pred), strict=True)
    )
    counts = np.zeros((4, num_classes), np.int64)
    for c in of_truth.keys() | of_pred.keys():
        here, there = of_truth.get(c, _NONE), of_pred.get(c, _NONE)
        matched = _near(here, there, within)
        counted = matched | ~spared[tuple(here.T)]
        counts[0, c], counts[1, c] = matched.sum(), counted.sum()
        matched = _near(there, here, within)
        counted = matched | (truth[tuple(there.T)] != UNKNOWN)
        counts[2, c], counts[3, c] = matched.sum(), counted.sum()
    return counts


_NONE = np.zeros((0, 2), np.int64)


def _by_class(edge, labels, num_classes: int) -> dict[int, np.ndarray]:
    """Places [n, 2] of the contour of each class that has one."""
    places = np.argwhere(edge)
    classes = labels[edge]
    found = np.unique(classes).tolist()
    return {c: places[classes == c] for c in found if 0 <= c < num_classes}


def _near(places: np.ndarray, others: np.ndarray, within: float) -> np.ndarray:
    """[n] bool: which places have one of the others within a distance."""
    if not len(places) or not len(others):
        return np.zeros(len(places), bool)
    # Squares of distances are whole numbers; the bound itself is excluded.
    bound = math.sqrt(math.floor(within**2 + 1e-9) + 0.5)
    tree = spatial.cKDTree(others, balanced_tree=False, compact_nodes=False)
    return np.isfinite(tree.query(places, distance_upper_bound=bound)[0])
