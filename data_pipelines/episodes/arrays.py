"""What an episode is made of: photos on canvases, and masks as evidence."""

import dataclasses
from typing import Any, Literal, NamedTuple

import numpy as np

from ppcjax.data_pipelines.episodes.plans import Row, Shape
from ppcjax.data_pipelines.geometry import Window, cut_image, cut_mask
from ppcjax.types import IGNORE

_NO_WINDOW = Window(1, 1, 0, 0, 0, 0, 1, 1, False)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evidence:
    """What a pixel of a photo says in an episode.

    support_void: whether void pixels of a support count as "background" (PANet) or
        "ignore".
    other_ways: whether pixels of the episode's other classes in a support count as
        "ignore", which PANet does on VOC, or "background", which it does on COCO.
    """

    support_void: Literal["background", "ignore"] = "ignore"
    other_ways: Literal["background", "ignore"] = "ignore"

    def support(self, mask: np.ndarray, classes: np.ndarray, way: int) -> np.ndarray:
        """[H, W] class ids -> 1 the class of the way, 0 its background, IGNORE."""
        others = IGNORE if self.other_ways == "ignore" else 0
        void = IGNORE if self.support_void == "ignore" else 0
        found = np.where(np.isin(mask, classes), others, 0)
        found = np.where(mask == IGNORE, void, found)
        return np.where(mask == classes[way], 1, found).astype(np.int32)

    def query(self, mask: np.ndarray, classes: np.ndarray) -> np.ndarray:
        """[H, W] class ids -> 0 background, j the j-th way, or IGNORE."""
        found = np.where(mask == IGNORE, IGNORE, 0)
        for way, class_id in enumerate(classes, start=1):
            found = np.where(mask == class_id, way, found)
        return found.astype(np.int32)


def layout(shape: Shape, side: int) -> dict[str, tuple[tuple[int, ...], Any]]:
    """Name -> shape and type of the arrays of one episode."""
    supports, queries = (shape.way, shape.shot), (shape.query,)
    return {
        "support_image": ((*supports, side, side, 3), np.uint8),
        "support_valid": ((*supports, 4), np.int32),
        "support_mask": ((*supports, side, side), np.int32),
        "shot_valid": (supports, np.bool_),
        "query_image": ((*queries, side, side, 3), np.uint8),
        "query_valid": ((*queries, 4), np.int32),
        "query_mask": ((*queries, side, side), np.int32),
        "class_id": ((shape.way,), np.int32),
    }


class Shot(NamedTuple):
    """A photo on its canvas.

    image: [S, S, 3] uint8 RGB.
    valid: [4] int32 rectangle that holds the photo.
    mask: [S, S] int32 class ids, IGNORE outside the rectangle.
    """

    image: np.ndarray
    valid: np.ndarray
    mask: np.ndarray


def assemble(row: Row, side: int, evidence: Evidence, shot_of) -> dict[str, np.ndarray]:
    """The arrays of one episode.

    Args:
        row: which photos make it.
        side: pixels along a side of the canvases.
        evidence: how masks are read.
        shot_of: photo -> Shot.
    """
    way, shot = row.supports.shape
    shape = Shape(way, shot, len(row.queries))
    arrays = {k: np.zeros(s, t) for k, (s, t) in layout(shape, side).items()}
    arrays["support_mask"][:] = IGNORE
    arrays["support_valid"][:] = arrays["query_valid"][:] = (0, 0, 1, 1)
    arrays["class_id"][:] = row.classes
    arrays["shot_valid"][:] = row.supports >= 0
    for c, k in zip(*np.nonzero(row.supports >= 0), strict=True):
        found = shot_of(int(row.supports[c, k]))
        arrays["support_image"][c, k] = found.image
        arrays["support_valid"][c, k] = found.valid
        y0, x0, y1, x1 = found.valid
        arrays["support_mask"][c, k, y0:y1, x0:x1] = evidence.support(
            found.mask[y0:y1, x0:x1], row.classes, c
        )
    for q, photo in enumerate(row.queries.tolist()):
        found = shot_of(photo)
        arrays["query_image"][q] = found.image
        arrays["query_valid"][q] = found.valid
        arrays["query_mask"][q] = evidence.query(found.mask, row.classes)
    return arrays


def cut(photo: np.ndarray, mask: np.ndarray, window: Window, side: int) -> Shot:
    """A photo [h, w, 3] and its mask [H, W] through a window, on a square canvas."""
    bottom, right = window.top + window.rows, window.left + window.columns
    valid = np.array([window.top, window.left, bottom, right], np.int32)
    return Shot(cut_image(photo, window, side), valid, cut_mask(mask, window, side))


def whole(height: int, width: int, *, flip: bool = False) -> Window:
    """The window that resizes a photo to the given size at the canvas's corner."""
    return _NO_WINDOW._replace(
        height=height, width=width, rows=height, columns=width, flip=flip
    )
