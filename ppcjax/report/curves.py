"""Curves of training: losses and scores over the steps, as sections of a report."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from markupsafe import Markup

from ppcjax.report.html import render
from ppcjax.report.page import section
from ppcjax.report.plots import line_plot
from ppcjax.runs import checked

Curve = tuple[list[int], list[float]]  # steps and values

SMOOTHED = 30  # points, above which a curve is shown with its mean
DECADES = 1.5  # above which a curve of positive values is on a log scale


def read_curves(path: Path, prefix: str) -> dict[str, Curve]:
    """Steps and values of the scalars in a metrics.jsonl; empty without one.

    Where a run was resumed and wrote a step twice, the later line counts.

    Args:
        path: metrics.jsonl of a run.
        prefix: what the scalars' names begin with, such as "train/loss/"; it is cut.
    """
    terms: dict[str, dict[int, float]] = {}
    for row in checked.lines(path):
        # No line: the last one of a run that was killed while writing.
        if not isinstance(row, dict) or not checked.is_step(row.get("step")):
            continue
        for name, value in row.items():
            if name.startswith(prefix) and checked.is_number(value):
                term = terms.setdefault(name.removeprefix(prefix), {})
                term[row["step"]] = value
    ordered = sorted(terms, key=lambda name: (name != "total", name))
    return {
        name: tuple(map(list, zip(*sorted(terms[name].items()), strict=True)))
        for name in ordered
    }


def losses(terms: Mapping[str, Curve]) -> Markup | str:
    """A small plot of every loss term over the steps; "" without one."""
    return _curves(
        "Loss terms while training",
        "Over optimizer steps; where two lines, the dark one is smoothed.",
        terms,
        what="Loss",
    )


def scores(terms: Mapping[str, Curve]) -> Markup | str:
    """A small plot of every score that was taken while training; "" without one."""
    return _curves(
        "Scores while training",
        "On the split by which a checkpoint is chosen, not the one reported here.",
        terms,
        what="Score",
    )


class _Drawn(NamedTuple):
    """A curve with its plot; `last` is its value at `step`, the last one, as text."""

    name: str
    last: str
    step: int
    log: bool
    plot: Markup


def _curves(
    title: str, note: str, terms: Mapping[str, Curve], *, what: str
) -> Markup | str:
    if not terms:
        return ""
    curves = [_drawn(name, curve, what) for name, curve in terms.items()]
    return section(title, render("curves.html", note=note, curves=curves, what=what))


def _drawn(name: str, curve: Curve, what: str) -> _Drawn:
    steps, values = curve
    lines: list[tuple[str, Any]] = [("main", values)]
    if len(values) > SMOOTHED:
        lines = [("raw", values), ("smooth", _smooth(values))]
    log = spans_decades(values)
    plot = line_plot(
        steps,
        lines,
        title=f"{what} {name} over the steps",
        size=(320, 180),
        log=log,
    )
    return _Drawn(name, f"{values[-1]:.4g}", steps[-1], log, plot)


def spans_decades(values: Sequence[float]) -> bool:
    """Whether a curve is flat but for its start, so that only a log scale shows it."""
    known = np.asarray(values, float)
    known = known[np.isfinite(known)]
    if not known.size or known.min() <= 0:
        return False
    return bool(np.log10(known.max() / known.min()) > DECADES)


def _smooth(values: Sequence[float]) -> list[float]:
    """Centred mean over a tenth of the curve, less towards its ends."""
    reach = max(len(values) // 20, 1)
    return [
        float(np.mean(values[max(i - reach, 0) : i + reach + 1]))
        for i in range(len(values))
    ]
