"""Line plots as inline SVG, for pages that must not load anything."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from markupsafe import Markup

from ppcjax.report.html import render


class Box(NamedTuple):
    """Size of a plot and edges of the area within its axes, in SVG units."""

    width: int
    height: int
    left: int
    right: int
    top: int
    bottom: int

    @classmethod
    def of(
        cls, size: tuple[int, int], ticks: Sequence[str], x_label: str, y_label: str
    ) -> "Box":
        """The box of a plot of a size, with room for ticks and labels around it.

        A wide plot shrinks on a phone, where its letters are larger for it.
        """
        (width, height), letter = size, 8 if size[0] < 480 else 11
        left = 10 + letter * max(map(len, ticks)) + (22 if y_label else 0)
        return cls(
            width, height, left, width - 14, 14, height - (40 if x_label else 24)
        )


def line_plot(
    x: Sequence[float],
    lines: Sequence[tuple[str, Sequence[float]]],
    *,
    title: str,
    x_label: str = "",
    y_label: str = "",
    size: tuple[int, int] = (640, 300),
    markers: Sequence[tuple[str, float, float]] = (),
    zero: bool = False,
    log: bool = False,
) -> Markup:
    """A plot of one or more lines over the same x.

    Args:
        x: positions, ascending.
        lines: (CSS class, values) of each; values that are not finite leave gaps.
        title: what a reader who cannot see it is told.
        x_label: under the axis.
        y_label: beside the axis.
        size: (width, height) in SVG units; the page scales it.
        markers: (name, x, y); the name is a key of the three thresholds.
        zero: whether the y axis begins at 0.
        log: whether the y axis is logarithmic; then values are positive.

    Returns:
        An <svg> element. Its data attributes x0, x1 (values) and left, right, top,
        bottom (units) let a script place things, such as its empty path .cursor.
    """
    values = np.concatenate([np.asarray(v, float) for _, v in lines])
    values = values[np.isfinite(values)]
    low, high = (values.min(), values.max()) if values.size else (1.0, 2.0)
    many = log_ticks if log else ticks
    y_ticks = many(0.0 if zero else float(low), float(high), 4)
    box = Box.of(size, list(map(number, y_ticks)), x_label, y_label)
    x_ticks = ticks(x[0], x[-1], min(6, box.width // 80))
    x_ticks = [t for t in x_ticks if x[0] <= t <= x[-1] + 1e-9]
    place_x = _scale((x[0], x[-1]), (box.left, box.right))
    place_y = _scale((y_ticks[0], y_ticks[-1]), (box.bottom, box.top), log=log)
    return render(
        "plot.html",
        box=box,
        title=title,
        x=(x[0], x[-1]),
        x_label=x_label,
        y_label=y_label,
        x_ticks=[(_units(place_x(t)), number(t)) for t in x_ticks],
        y_ticks=[(_units(place_y(t)), number(t)) for t in y_ticks],
        lines=[
            (name, *_path([place_x(v) for v in x], [place_y(v) for v in values]))
            for name, values in lines
        ],
        markers=[
            (name, _units(place_x(at)), _units(place_y(value)))
            for name, at, value in markers
            if math.isfinite(value)
        ],
    )


def _scale(
    values: tuple[float, float], units: tuple[float, float], *, log: bool = False
) -> Callable[[float], float]:
    """Where a value stands between two that stand at `units`; NaN where nowhere."""
    bend = _log10 if log else float
    low, high = map(bend, values)

    def place(value: float) -> float:
        share = (bend(value) - low) / (high - low) if high > low else 0.5
        return units[0] + share * (units[1] - units[0])

    return place


def _log10(value: float) -> float:
    return math.log10(value) if value > 0 else math.nan


def _units(place: float) -> str:
    return f"{place:.1f}"


def marker(name: str) -> Markup:
    """The marker of a threshold on its own, for a legend."""
    return render("marker.html", name=name)


def ticks(low: float, high: float, count: int) -> list[float]:
    """About `count` round numbers, evenly spaced, from below low to above high."""
    if not high > low:
        low, high = low - (abs(low) or 1) / 2, low + (abs(low) or 1) / 2
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * m for m in (1, 2, 2.5, 5, 10) if power * m >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(k * step, 12) for k in range(first, last + 1)]


def log_ticks(low: float, high: float, count: int) -> list[float]:
    """About `count` powers of ten, from below low to above high, both positive."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    step = max(math.ceil((last - first) / count), 1)
    last = first + step * max(math.ceil((last - first) / step), 1)
    return [10.0**k for k in range(first, last + 1, step)]


def number(value: float) -> str:
    """A tick as text: few digits, thousands apart."""
    if 1000 <= abs(value) < 1e6:
        return f"{value:,.0f}".replace(",", "\u202f")
    return f"{value:.3g}"


def _path(
    xs: Sequence[float], ys: Sequence[float]
) -> tuple[str, list[tuple[str, str]]]:
    """A polyline that is broken where y is not finite, and its points without a line.

    Args:
        xs: units.
        ys: units, or NaN.

    Returns:
        Commands of a path, and (x, y) of every point that has no neighbour.
    """
    parts, alone, pen = [], [], "M"
    known = [False, *map(math.isfinite, ys), False]
    for place, (x, y) in enumerate(zip(xs, ys, strict=True), 1):
        if known[place]:
            parts.append(f"{pen}{x:.1f} {y:.1f}")
            if not (known[place - 1] or known[place + 1]):
                alone.append((_units(x), _units(y)))
        pen = "L" if known[place] else "M"
    return "".join(parts), alone
