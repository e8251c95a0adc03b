"""A photo with its mask over it."""

import io

import numpy as np
from PIL import Image

from ppcjax.report.palette import class_colours
from ppcjax.types import IGNORE

_DARK = (16, 20, 26)  # of the line around what is drawn


def draw_mask(
    image: np.ndarray,
    mask: np.ndarray,
    *,
    background: bool = True,
    opacity: float = 0.55,
) -> np.ndarray:
    """A photo with its mask's colours over it; a background stays clear.

    The edge of a class has its full colour, with a dark line around it on the
    background, so that it is seen on dark and on bright photos alike.

    Args:
        image: [H, W, 3] uint8 or float RGB in 0..255.
        mask: [H, W] class ids or IGNORE.
        background: whether class 0 is one.
        opacity: share of the colour within a class, in 0..1.

    Returns:
        [H, W, 3] uint8.
    """
    colours = class_colours(background=background)[mask].astype(np.float32)
    drawn = (mask > 0) | (not background)
    width = max(1, round(max(mask.shape) / 400))
    edge, around = _edges(mask, drawn, width)
    share = np.where(edge & (mask != IGNORE), 1.0, opacity) * drawn
    found = image + (colours - image) * share[..., None].astype(np.float32)
    return (
        np.where(around[..., None], np.float32(_DARK), found).round().astype(np.uint8)
    )


def _edges(
    mask: np.ndarray, drawn: np.ndarray, width: int
) -> tuple[np.ndarray, np.ndarray]:
    """Pixels near another class, and of the background near one, both [H, W] bool.

    Args:
        mask: [H, W] class ids or IGNORE.
        drawn: [H, W] bool, what is no background.
        width: how many pixels away the other one is at most.
    """
    near = np.zeros_like(drawn)
    for axis in (0, 1):
        first, last = _apart(mask, axis, 1)
        differ = first != last
        for side in _apart(near, axis, 1):
            side |= differ
    for axis in (0, 1):
        reached = 0
        while reached < width - 1:
            step = min(reached + 1, width - 1 - reached)
            before, wider = near, near.copy()
            low, high = _apart(wider, axis, step)
            first, last = _apart(before, axis, step)
            low |= last
            high |= first
            near, reached = wider, reached + step
    return near & drawn, near & ~drawn


def _apart(array: np.ndarray, axis: int, step: int) -> tuple[np.ndarray, np.ndarray]:
    """Views of what lies `step` before and behind each other along an axis."""
    step = min(step, array.shape[axis])
    before, behind = [slice(None)] * 2, [slice(None)] * 2
    before[axis], behind[axis] = slice(None, -step), slice(step, None)
    return array[tuple(before)], array[tuple(behind)]


def as_jpeg(image: np.ndarray, *, quality: int = 88) -> bytes:
    """The bytes of a JPEG file of an image [H, W, 3] uint8."""
    content = io.BytesIO()
    Image.fromarray(image).save(content, "JPEG", quality=quality)
    return content.getvalue()
