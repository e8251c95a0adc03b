"""Resize, flip and crop of an image together with its mask.

As in the published recipes: long side drawn uniformly from a range of whole pixels, or
a factor drawn uniformly from a range, and maybe an aspect; antialiased bicubic resize
(Pillow's, a = -0.5), flip, crop; along an axis shorter than the crop the image is
pasted at a random offset. Only the crop's pixels are resized.
"""

import math
from typing import NamedTuple

import numpy as np
from PIL import Image

from ppcjax.data_pipelines.order import Draws
from ppcjax.types import IGNORE


class Window(NamedTuple):
    """Where the crop lies: source pixels, canvas pixels, mirror.

    height, width: size of the whole resized image.
    y, x: top left of the crop in the resized (unmirrored) image.
    top, left: where that point goes on the canvas.
    rows, columns: size of what is copied.
    flip: whether the copied part is mirrored left to right.
    """

    height: int
    width: int
    y: int
    x: int
    top: int
    left: int
    rows: int
    columns: int
    flip: bool


# Factors are whole multiples of 1 / _UNIT, so that every machine agrees.
_UNIT = 1 << 20


def crop_size(crop: int | tuple[int, int]) -> tuple[int, int]:
    """(rows, columns) of a canvas that is given so, or by the side of a square."""
    return (crop, crop) if isinstance(crop, int) else (crop[0], crop[1])


def draw_window(
    height: int,
    width: int,
    draws: Draws,
    *,
    crop: int | tuple[int, int],
    long_side: tuple[int, int] | None = None,
    scale: tuple[float, float] | None = None,
    aspect: tuple[float, float] | None = None,
) -> Window:
    """Draws resize, flip and crop of an image of the given size in pixels.

    Either `long_side` (pixels) or `scale` (factor of both sides) is given. With
    `aspect`, a range of a, columns are multiplied by sqrt(a) and rows divided by it.
    """
    if scale is None:
        factor, unit = draws.integer(*long_side), max(height, width)
    else:
        unit = _UNIT
        factor = draws.integer(*(round(bound * unit) for bound in scale))
    flip = draws.integer(0, 1) == 1
    root = _UNIT
    if aspect is not None:
        drawn = draws.integer(*(round(bound * _UNIT) for bound in aspect))
        root = math.isqrt(drawn * _UNIT)
    new_height = _scaled(height, factor * _UNIT, unit * root)
    new_width = _scaled(width, factor * root, unit * _UNIT)
    crop_rows, crop_columns = crop_size(crop)
    y, top, rows = _place(new_height, crop_rows, draws)
    x, left, columns = _place(new_width, crop_columns, draws)
    return Window(new_height, new_width, y, x, top, left, rows, columns, flip)


def _scaled(side: int, factor: int, unit: int) -> int:
    """Whole pixels of side * factor / unit; halves round up."""
    return max((2 * side * factor + unit) // (2 * unit), 1)


def _place(size: int, crop: int, draws: Draws) -> tuple[int, int, int]:
    """Offset in the image, offset in the canvas, length; along one axis."""
    offset = draws.integer(0, abs(size - crop))
    return (offset, 0, crop) if size > crop else (0, offset, size)


def cut_image(
    pixels: np.ndarray, window: Window, crop: int | tuple[int, int]
) -> np.ndarray:
    """A window of an image [h, w, ...] on a canvas [*crop_size(crop), ...]; else 0."""
    height, width = pixels.shape[:2]
    scale_y, scale_x = height / window.height, width / window.width
    box = (
        window.x * scale_x,
        window.y * scale_y,
        min((window.x + window.columns) * scale_x, width),
        min((window.y + window.rows) * scale_y, height),
    )
    part = np.asarray(
        Image.fromarray(pixels).resize(
            (window.columns, window.rows), Image.Resampling.BICUBIC, box
        )
    )
    return _paste(part, window, np.zeros((*crop_size(crop), *part.shape[2:]), np.uint8))


def cut_mask(
    mask: np.ndarray, window: Window, crop: int | tuple[int, int]
) -> np.ndarray:
    """An int32 canvas with the window of an [H, W] mask; else IGNORE."""
    rows = _nearest(mask.shape[0], window.height, window.y, window.rows)
    columns = _nearest(mask.shape[1], window.width, window.x, window.columns)
    part = mask[rows[:, None], columns[None, :]]
    return _paste(part, window, np.full(crop_size(crop), IGNORE, np.int32))


def _nearest(size: int, new_size: int, start: int, count: int) -> np.ndarray:
    """Source index under the centre of each of `count` resized pixels."""
    centres = 2 * np.arange(start, start + count, dtype=np.int64) + 1
    return centres * size // (2 * new_size)


def _paste(part: np.ndarray, window: Window, canvas: np.ndarray) -> np.ndarray:
    bottom, right = window.top + window.rows, window.left + window.columns
    canvas[window.top : bottom, window.left : right] = (
        part[:, ::-1] if window.flip else part
    )
    return canvas
