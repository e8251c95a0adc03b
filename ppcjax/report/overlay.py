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
    """Pixels by another class, and pixels of the background by one, both [H, W] bool.

    Args:
        mask: [H, W] class ids or IGNORE.
        drawn: [H, W] bool, what is no background.
        width: how many pixels away the other one is at most, along rows and columns.
    """
    edge, around = np.zeros_like(drawn), np.zeros_like(drawn)
    for axis in (0, 1):
        for step in range(1, min(width, mask.shape[axis] - 1) + 1):
            first, last = [slice(None)] * 2, [slice(None)] * 2
            first[axis], last[axis] = slice(None, -step), slice(step, None)
            first, last = tuple(first), tuple(last)
            differ = mask[first] != mask[last]
            for here in (first, last):
                edge[here] |= differ & drawn[here]
                around[here] |= differ & ~drawn[here]
    return edge, around


def as_jpeg(image: np.ndarray, *, quality: int = 88) -> bytes:
    """The bytes of a JPEG file of an image [H, W, 3] uint8."""
    content = io.BytesIO()
    Image.fromarray(image).save(content, "JPEG", quality=quality)
    return content.getvalue()
