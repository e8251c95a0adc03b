"""Crops of a random area and shape, and where in the photo they lie.

The RandomResizedCrop of Szegedy et al. (CVPR 2015) in torchvision's form, with the
crop's place as PixPro (Xie et al., CVPR 2021) reads it. Order: crop, resize to a
square (bilinear, antialiased where it shrinks), mirror.
"""

import math
from typing import NamedTuple

import numpy as np
from PIL import Image

from ppcjax.data_pipelines.order import Draws

_TRIES = 10


class Crop(NamedTuple):
    """A rectangle of a photo in whole pixels, and whether it is mirrored."""

    top: int
    left: int
    rows: int
    columns: int
    flip: bool


def draw_crop(
    height: int,
    width: int,
    draws: Draws,
    *,
    scale: tuple[float, float],
    ratio: tuple[float, float],
) -> Crop:
    """Draws a crop of a photo of the given size in pixels, and its mirror.

        area = U(scale) * width * height,  aspect = exp(U(log ratio))
        columns = round(sqrt(area * aspect)),  rows = round(sqrt(area / aspect))

    where halves round to even. Up to ten times, until it fits into the photo; else the
    largest crop at the centre whose aspect is within `ratio`, the whole photo if it is.

    Args:
        height: rows of the photo.
        width: its columns.
        draws: random numbers of this photo; more are taken where more tries are.
        scale: range of the share of the area, in (0, 1].
        ratio: range of columns / rows.
    """
    logs = [math.log(bound) for bound in ratio]
    for _ in range(_TRIES):
        area = draws.uniform(*scale) * width * height
        aspect = math.exp(draws.uniform(*logs))
        columns, rows = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < columns <= width and 0 < rows <= height:
            top = draws.integer(0, height - rows)
            left = draws.integer(0, width - columns)
            return Crop(top, left, rows, columns, draws.integer(0, 1) == 1)
    columns, rows = width, height
    if width < ratio[0] * height:
        rows = max(round(width / ratio[0]), 1)
    elif width > ratio[1] * height:
        columns = max(round(height * ratio[1]), 1)
    top, left = (height - rows) // 2, (width - columns) // 2
    return Crop(top, left, rows, columns, draws.integer(0, 1) == 1)


def crop_box(crop: Crop, height: int, width: int) -> np.ndarray:
    """Where a crop lies in its photo, by its outermost pixels.

        (left / (W - 1), top / (H - 1), right / (W - 1), bottom / (H - 1))

    with the indices of the last column and row as right and bottom. These are corners
    of pixels' centres, not of edges, as released. A side of a single pixel, where that
    is 0 / 0, spans 0 to 1.

    Args:
        crop: rectangle of the photo.
        height: H, rows of the photo.
        width: W, its columns.

    Returns:
        [4] float32 (x0, y0, x1, y1) in [0, 1]; x0 > x1 where the crop is mirrored.
    """
    x0, x1 = _span(crop.left, crop.columns, width)
    y0, y1 = _span(crop.top, crop.rows, height)
    x0, x1 = (x1, x0) if crop.flip else (x0, x1)
    return np.array([x0, y0, x1, y1], np.float32)


def _span(first: int, count: int, size: int) -> tuple[float, float]:
    if size == 1:
        return 0.0, 1.0
    return first / (size - 1), (first + count - 1) / (size - 1)


def cut_crop(
    pixels: np.ndarray, crop: Crop, size: int, *, height: int, width: int
) -> np.ndarray:
    """A crop as a square picture.

    Args:
        pixels: [h, w, 3] uint8, the photo in full or decoded smaller.
        crop: in pixels of the photo in full.
        size: side of the result.
        height: rows of the photo in full.
        width: its columns.

    Returns:
        [size, size, 3] uint8.
    """
    top, bottom = (y * pixels.shape[0] / height for y in _ends(crop.top, crop.rows))
    left, right = (x * pixels.shape[1] / width for x in _ends(crop.left, crop.columns))
    # Cut first, so that the resize sees no pixel outside the crop.
    y, x = math.floor(top), math.floor(left)
    part = pixels[y : math.ceil(bottom), x : math.ceil(right)]
    box = (
        *(left - x, top - y),
        *(min(right - x, part.shape[1]), min(bottom - y, part.shape[0])),
    )
    square = np.asarray(
        Image.fromarray(part).resize((size, size), Image.Resampling.BILINEAR, box)
    )
    return square[:, ::-1] if crop.flip else square


def _ends(first: int, count: int) -> tuple[int, int]:
    return first, first + count


def pixels_needed(
    size: int, scale: tuple[float, float], ratio: tuple[float, float]
) -> int:
    """The longer side at which even the smallest crop has `size` pixels a side.

    Of photos up to twice as long as wide. A photo decoded at this size or larger loses
    nothing that a crop of `size` pixels could show.
    """
    narrowest = min(ratio[0], 1 / ratio[1])
    return math.ceil(size * math.sqrt(2 / (scale[0] * narrowest)))
