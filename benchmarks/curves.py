"""Curves as a picture, drawn without a library for plots."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

_COLOURS = (
    *("#0072b2", "#d55e00", "#009e73", "#cc79a7"),
    *("#e69f00", "#56b4e9", "#000000", "#8c564b"),
)
_PANEL = (390, 270)  # pixels
_EDGES = (44, 30, 92, 40)  # of a panel around its axes: left, top, right, bottom
_SHARP = 2  # a picture is drawn so many times as large
_GREY = "#bbbbbb"


def draw(
    panels: Mapping[str, Mapping[str, Sequence[tuple[float, float]]]],
    file: Path,
    *,
    across: str,
    up: str,
    columns: int = 2,
) -> None:
    """Writes a PNG of panels with curves, each with its name at its end.

    Args:
        panels: by their titles, points (x, y) of curves by their names; y in 0 to 100.
        file: where the picture goes.
        across: what x is.
        up: what y is.
        columns: panels beside each other.
    """
    rows = -(-len(panels) // columns)
    size = columns * _PANEL[0] * _SHARP, rows * _PANEL[1] * _SHARP
    image = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(image)
    for place, (title, lines) in enumerate(panels.items()):
        row, column = divmod(place, columns)
        _Panel(pen, column, row, lines).draw(title, lines, across, up)
    image = image.resize((size[0] // _SHARP, size[1] // _SHARP), Image.Resampling.BOX)
    image.quantize(48, dither=Image.Dither.NONE).save(file, optimize=True)


class _Panel:
    """A panel at its place in a picture."""

    def __init__(self, pen: ImageDraw.ImageDraw, column: int, row: int, lines):
        left, top, right, bottom = (_SHARP * edge for edge in _EDGES)
        x, y = column * _PANEL[0] * _SHARP, row * _PANEL[1] * _SHARP
        self._pen = pen
        self._left, self._top = x + left, y + top
        self._right = x + _PANEL[0] * _SHARP - right
        self._bottom = y + _PANEL[1] * _SHARP - bottom
        self._ticks = sorted({x for line in lines.values() for x, _ in line})

    def _at(self, x: float, y: float) -> tuple[float, float]:
        share = x / max(self._ticks)
        across = self._left + share * (self._right - self._left)
        return across, self._bottom - y / 100 * (self._bottom - self._top)

    def _say(self, at, text, anchor, fill="black", size=11) -> None:
        font = ImageFont.load_default(size * _SHARP)
        self._pen.text(at, text, fill, font, anchor)

    def draw(self, title: str, lines, across: str, up: str) -> None:
        """Axes, curves and names."""
        self._say((self._left, self._top - 12 * _SHARP), title, "ls", size=12)
        self._say((self._left - 6 * _SHARP, self._top - 8 * _SHARP), up, "rs", size=9)
        for y in range(0, 101, 20):
            (x0, height), (x1, _) = self._at(0, y), self._at(max(self._ticks), y)
            self._pen.line((x0, height, x1, height), _GREY, 1)
            self._say((x0 - 5 * _SHARP, height), f"{y}", "rm")
        for x in self._ticks:
            self._say(self._shifted(self._at(x, 0), 5), f"{x:g}", "mt")
        middle = (self._left + self._right) / 2
        self._say((middle, self._bottom + 20 * _SHARP), across, "mt")
        for colour, line in zip(_COLOURS, lines.values(), strict=False):
            points = [self._at(*point) for point in line]
            self._pen.line(points, colour, 2 * _SHARP)
            for x, y in points:
                r = 3 * _SHARP
                self._pen.ellipse((x - r, y - r, x + r, y + r), colour)
        self._names(lines)

    def _names(self, lines) -> None:
        """The name of each curve near its end, none upon another."""
        step, below = 13 * _SHARP, float("inf")
        ends = sorted(
            (self._at(*line[-1])[1], name, colour)
            for colour, (name, line) in zip(_COLOURS, lines.items(), strict=False)
        )
        for y, name, colour in reversed(ends):
            below = min(y, below - step)
            self._say((self._right + 8 * _SHARP, below), name, "lm", colour)

    @staticmethod
    def _shifted(at, down) -> tuple[float, float]:
        return at[0], at[1] + down * _SHARP
