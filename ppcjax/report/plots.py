"""Line plots as inline SVG text, for pages that must not load anything."""

import math
from collections.abc import Sequence
from html import escape

import numpy as np

_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 14, 14, 40  # margins in SVG units

# Outlines of 6 units around the origin: told apart without colour, too.
_SHAPES = {
    "fixed": '<circle r="5.5"/>',
    "chosen": '<rect x="-5" y="-5" width="10" height="10"/>',
    "oracle": '<path d="M0 -7 L7 0 L0 7 L-7 0 Z"/>',
}


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
) -> str:
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

    Returns:
        An <svg> element. Its data attributes x0, x1 (values) and left, right, top,
        bottom (units) let a script place things.
    """
    width, height = size
    values = np.concatenate([np.asarray(v, float) for _, v in lines])
    values = values[np.isfinite(values)]
    low, high = (values.min(), values.max()) if values.size else (0.0, 1.0)
    y_ticks = ticks(0.0 if zero else float(low), float(high), 4)
    x_ticks = [t for t in ticks(x[0], x[-1], 6) if x[0] <= t <= x[-1] + 1e-9]
    right, bottom = width - _RIGHT, height - _BOTTOM

    def place_x(value):
        return _LEFT + (value - x[0]) / ((x[-1] - x[0]) or 1) * (right - _LEFT)

    def place_y(value):
        share = (value - y_ticks[0]) / (y_ticks[-1] - y_ticks[0])
        return bottom - share * (bottom - _TOP)

    parts = [
        f'<svg class="plot" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="{escape(title)}" data-x0="{x[0]:g}" data-x1="{x[-1]:g}" '
        f'data-left="{_LEFT}" data-right="{right}" data-top="{_TOP}" '
        f'data-bottom="{bottom}"><title>{escape(title)}</title>'
    ]
    for tick in y_ticks:
        y = place_y(tick)
        parts.append(
            f'<path class="grid" d="M{_LEFT} {y:.1f}H{right}"/><text class="tick end" '
            f'x="{_LEFT - 8}" y="{y + 4:.1f}">{number(tick)}</text>'
        )
    for tick in x_ticks:
        parts.append(
            f'<text class="tick mid" x="{place_x(tick):.1f}" y="{bottom + 17}">'
            f"{number(tick)}</text>"
        )
    parts.append(f'<path class="axis" d="M{_LEFT} {bottom}H{right}"/>')
    if x_label:
        middle = (_LEFT + right) / 2
        parts.append(
            f'<text class="label mid" x="{middle:.0f}" y="{height - 5}">'
            f"{escape(x_label)}</text>"
        )
    if y_label:
        middle = (_TOP + bottom) / 2
        parts.append(
            f'<text class="label mid" transform="translate(12 {middle:.0f}) '
            f'rotate(-90)">{escape(y_label)}</text>'
        )
    for name, values in lines:
        path = _path([place_x(v) for v in x], [place_y(v) for v in values])
        parts.append(f'<path class="line {name}" d="{path}"/>')
    for name, at, value in markers:
        if math.isfinite(value):
            parts.append(
                f'<g class="marker {name}" transform="translate({place_x(at):.1f} '
                f'{place_y(value):.1f})">{_SHAPES[name]}</g>'
            )
    return "".join([*parts, "</svg>"])


def marker(name: str) -> str:
    """The marker of a threshold on its own, for a legend."""
    return (
        f'<svg class="key" viewBox="-8 -8 16 16" aria-hidden="true">'
        f'<g class="marker {name}">{_SHAPES[name]}</g></svg>'
    )


def ticks(low: float, high: float, count: int) -> list[float]:
    """About `count` round numbers, evenly spaced, from below low to above high."""
    if not high > low:
        low, high = low - (abs(low) or 1) / 2, low + (abs(low) or 1) / 2
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * m for m in (1, 2, 2.5, 5, 10) if power * m >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(k * step, 12) for k in range(first, last + 1)]


def number(value: float) -> str:
    """A tick as text: few digits, thousands apart."""
    if abs(value) >= 1000:
        return f"{value:,.0f}".replace(",", "\u202f")
    return f"{value:.3g}"


def _path(xs: Sequence[float], ys: Sequence[float]) -> str:
    """A polyline that is broken where y is not finite."""
    parts, pen = [], "M"
    for x, y in zip(xs, ys, strict=True):
        if math.isfinite(y):
            parts.append(f"{pen}{x:.1f} {y:.1f}")
        pen = "L" if math.isfinite(y) else "M"
    return "".join(parts)
