"""Strokes and boxes in the place of masks, as a person in a hurry gives them.

Both are made of the mask and of nothing else, so that every evaluation sees the same.
"""

import numpy as np
from scipy import ndimage

from ppcjax.types import IGNORE

MARKS = ("masks", "scribbles", "boxes")
STROKE = 3  # pixels


def draw(kind: str, mask: np.ndarray) -> np.ndarray:
    """A support's mask, or what a person might have drawn instead.

    Args:
        kind: "masks" leaves it as it is. "scribbles" is a bent stroke through the class
            and one through its background, all else unknown. "boxes" fills the box
            around each connected piece of the class; outside them is background.
        mask: [H, W] int32: 1 the class, 0 its background, IGNORE unknown.

    Returns:
        [H, W] int32 of the same values. Beyond boxes IGNORE stays; a class or a
        background that is not there gets no stroke.
    """
    if kind == "masks":
        return mask
    if kind == "boxes":
        return _boxes(mask)
    drawn = np.full_like(mask, IGNORE)
    for value in (0, 1):
        drawn[_stroke(mask == value)] = value
    return drawn


def _boxes(mask: np.ndarray) -> np.ndarray:
    pieces, _ = ndimage.label(mask == 1, np.ones((3, 3)))
    drawn = mask.copy()
    for box in ndimage.find_objects(pieces):
        drawn[box] = 1
    return drawn


def _stroke(region: np.ndarray) -> np.ndarray:
    """[H, W] bool: from end to end through the deepest point, within the region."""
    if not region.any():
        return region
    depth = ndimage.distance_transform_edt(np.pad(region, 1))[1:-1, 1:-1]
    middle = np.array(np.unravel_index(depth.argmax(), depth.shape))
    inner = np.argwhere(2 * depth >= depth.max())
    first = _farthest(inner, middle)
    line = np.zeros_like(region)
    for end in (first, _farthest(inner, first)):
        count = int(np.abs(end - middle).max()) + 1
        y, x = np.rint(np.linspace(middle, end, count)).astype(int).T
        line[y, x] = True
    return ndimage.binary_dilation(line, np.ones((STROKE, STROKE))) & region


def _farthest(points: np.ndarray, place: np.ndarray) -> np.ndarray:
    return points[np.sum((points - place) ** 2, axis=1).argmax()]
