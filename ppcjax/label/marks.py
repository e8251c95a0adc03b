"""Strokes and boxes as pixels, at any size of the photo.

What a person drew is given in pixels of the whole photo, and drawn wherever it is
needed: as large as the network looks at it, as the page shows it, or in full.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from ppcjax.label.actions import ERASER
from ppcjax.types import IGNORE

_ROWS = 256  # of a mask that are counted at a time


def drawn(
    items: Iterable[Mapping[str, Any]],
    full: tuple[int, int],
    size: tuple[int, int],
    *,
    boxes: bool,
) -> np.ndarray:
    """Marks as an array of classes.

    What comes later lies on top. The eraser takes away what it passes of strokes and
    corrections, and boxes as `left` says. Strokes and corrections lie above boxes,
    whenever these were drawn, and are one pixel wide at least. A photo with a box has
    all its objects in boxes: outside them is background.

    Args:
        items: strokes, corrections and boxes as `State` has them.
        full: (height, width) of the photo.
        size: (height, width) of the array.
        boxes: whether boxes are drawn; a mask is not made of them.

    Returns:
        [height, width] uint8, IGNORE where nothing is marked.
    """
    items = left(items)
    scale = size[1] / full[1], size[0] / full[0]
    ground = [item for item in items if item["kind"] == "box"] if boxes else []
    image = Image.new("L", size[::-1], 0 if ground else IGNORE)
    draw = ImageDraw.Draw(image)
    for item in ground:
        draw.rectangle(_corners(item["box"], scale), fill=item["class"])
    lines = Image.new("L", size[::-1], IGNORE)
    draw = ImageDraw.Draw(lines)
    for item in items:
        if item["kind"] != "box":
            _line(draw, item, scale)
    found = np.asarray(lines)
    return np.where(found == IGNORE, np.asarray(image), found)


def left(items: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Marks without the boxes that the eraser took away.

    A box whose line the eraser passes goes as a whole: a part of it would still say
    that all else is background. Within a box it reaches strokes alone.

    Args:
        items: strokes, corrections and boxes as `State` has them.

    Returns:
        Those that count, in their order; the eraser's own strokes are among them.
    """
    found: list[Mapping[str, Any]] = []
    for item in items:
        if item["class"] == ERASER:
            found = [
                one for one in found if one["kind"] != "box" or not passes(item, one)
            ]
        found.append(item)
    return found


def passes(stroke: Mapping[str, Any], box: Mapping[str, Any]) -> bool:
    """Whether any part of a stroke, which is as wide as it says, touches a box's line.

    Args:
        stroke: stroke as `State` has it.
        box: box as `State` has it.
    """
    points = np.array(stroke["points"], np.float64)
    low, high = np.reshape(box["box"], (2, 2))
    starts, steps = points, np.diff(points, axis=0, append=points[-1:])
    # Nearest to the line is an end of a piece, where a piece crosses the line of a
    # side, or the foot of a corner.
    corners = np.array([(x, y) for x in (low[0], high[0]) for y in (low[1], high[1])])
    length = np.maximum((steps**2).sum(-1, keepdims=True), 1e-12)
    feet = ((corners - starts[:, None]) * steps[:, None]).sum(-1) / length
    going = np.where(steps == 0, 1, steps)
    crossings = [(side - starts) / going for side in (low, high)]
    at = np.concatenate([np.zeros_like(length), feet, *crossings], -1).clip(0, 1)
    places = starts[:, None] + at[..., None] * steps[:, None]
    away = np.maximum(np.maximum(low - places, places - high), 0)
    inside = np.minimum(places - low, high - places).min(-1).clip(0)
    return bool(((away**2).sum(-1) + inside**2).min() <= (stroke["width"] / 2) ** 2)


def composed(base: np.ndarray | None, marks: np.ndarray) -> np.ndarray:
    """A mask with what is marked on it.

    Args:
        base: [H, W] uint8; None where there is none, and all else is unknown.
        marks: [H, W] uint8 of `drawn`.

    Returns:
        [H, W] uint8.
    """
    return marks if base is None else np.where(marks == IGNORE, base, marks)


def shares(mask: np.ndarray) -> dict[int, float]:
    """Share of the pixels of each class that a mask holds, the background's too."""
    counts = np.zeros(256, np.int64)
    for top in range(0, len(mask), _ROWS):  # what counts them makes them 8 times larger
        counts += np.bincount(mask[top : top + _ROWS].ravel(), minlength=256)
    return {
        int(value): round(float(counts[value]) / mask.size, 6)
        for value in np.flatnonzero(counts[:IGNORE])
    }


def _corners(box, scale) -> tuple[int, int, int, int]:
    """First and last pixels of a box, at least one."""
    x0, x1 = (round(x * scale[0]) for x in (box[0], box[2]))
    y0, y1 = (round(y * scale[1]) for y in (box[1], box[3]))
    return x0, y0, max(x1 - 1, x0), max(y1 - 1, y0)


def _line(draw: ImageDraw.ImageDraw, item: Mapping[str, Any], scale) -> None:
    # Between the middles of pixels, which PIL counts from 0 and a page from 0.5.
    points = [(x * scale[0] - 0.5, y * scale[1] - 0.5) for x, y in item["points"]]
    width = max(item["width"] * sum(scale) / 2, 1.0)
    if len(points) > 1:
        draw.line(points, fill=item["class"], width=max(round(width), 1))
    if width < 2:
        draw.point([(round(x), round(y)) for x, y in points], fill=item["class"])
        return
    radius = width / 2 - 0.5
    for x, y in points:
        corners = (x - radius, y - radius, x + radius, y + radius)
        draw.ellipse(corners, fill=item["class"])
