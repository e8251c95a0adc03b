"""Values of rows as dots on a line each, drawn without a library for plots."""

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

_SHARP = 2  # a picture is drawn so many times as large
_ROW = 22  # pixels, of a row
_WIDTH = 420  # pixels, of the axis
_EDGES = (18, 20, 34)  # pixels: above, right, below
_DOT = 4  # pixels, radius
_GREY, _DARK, _COLOUR = "#cccccc", "#000000", "#0072b2"
_TICK = 10


def draw(rows: Mapping[str, Sequence[float]], file: Path, *, across: str) -> None:
    """Writes a PNG: a row for each name, a dot for each value, a bar at their mean.

    Args:
        rows: values in 0 to 100 by names; the axis holds all of them.
        file: where the picture goes.
        across: what the values are.
    """
    font = ImageFont.load_default(11 * _SHARP)
    left = max(int(font.getlength(name)) for name in rows) + 14 * _SHARP
    above, right, below = (_SHARP * edge for edge in _EDGES)
    height = above + len(rows) * _ROW * _SHARP + below
    size = left + _WIDTH * _SHARP + right, height
    image = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(image)
    every = [value for values in rows.values() for value in values]
    low = _TICK * int(min(every) // _TICK)
    high = _TICK * int(-(-max(every) // _TICK)) or _TICK
    high = max(high, low + _TICK)

    def at(value: float) -> float:
        return left + (value - low) / (high - low) * _WIDTH * _SHARP

    for tick in range(low, high + 1, _TICK):
        pen.line((at(tick), above, at(tick), height - below), _GREY, _SHARP)
        pen.text((at(tick), height - below + 4 * _SHARP), f"{tick}", _DARK, font, "mt")
    pen.text((at((low + high) / 2), height - 2), across, _DARK, font, "mb")
    for number, (name, values) in enumerate(rows.items()):
        y = above + (number + 0.5) * _ROW * _SHARP
        pen.text((left - 8 * _SHARP, y), name, _DARK, font, "rm")
        if not values:
            continue
        mean = at(statistics.mean(values))
        pen.line((mean, y - 8 * _SHARP, mean, y + 8 * _SHARP), _DARK, 2 * _SHARP)
        for value in values:
            _dot(pen, at(value), y)
    image = image.resize((size[0] // _SHARP, size[1] // _SHARP), Image.Resampling.BOX)
    image.quantize(48, dither=Image.Dither.NONE).save(file, optimize=True)


def _dot(pen: ImageDraw.ImageDraw, x: float, y: float) -> None:
    r = _DOT * _SHARP
    pen.ellipse((x - r, y - r, x + r, y + r), outline=_COLOUR, width=_SHARP)
