"""report.html: one page that holds all of an evaluation and loads nothing."""

import base64
import json
import re
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ppcjax.report.plots import line_plot
from ppcjax.runs.files import write_file


class Page(NamedTuple):
    """What an evaluation shows.

    title: heading, in plain text.
    lead: what was evaluated, in a line of plain text.
    sections: HTML text of each; empty ones are left out.
    script: JavaScript that draws.
    data: JSON text that it draws from.
    """

    title: str
    lead: str
    sections: Sequence[str]
    script: str = ""
    data: str = ""


def write_page(path: Path, page: Page) -> None:
    """Writes a page as one file that needs no other.

    Args:
        path: where the .html file is written.
        page: what it shows.
    """
    parts = {
        "title": escape(page.title),
        "lead": escape(page.lead),
        "sections": "\n".join(filter(None, page.sections)),
        "style": template("report.css"),
        "enlarge": template("enlarge.js"),
        "script": page.script,
        "data": page.data or "null",
    }
    # One pass, so that nothing inside the parts is taken for a placeholder.
    text = re.sub(
        r"\{\{(\w+)\}\}", lambda found: parts[found[1]], template("report.html")
    )
    write_file(path, text.encode())


def template(name: str) -> str:
    """Text of a file in templates/."""
    return (Path(__file__).parent / "templates" / name).read_text("utf-8")


def as_script_data(content: Any) -> str:
    """JSON that may stand inside a <script>."""
    return json.dumps(content, separators=(",", ":")).replace("<", "\\u003c")


Curve = tuple[list[int], list[float]]  # steps and values


def read_curves(path: Path, prefix: str) -> dict[str, Curve]:
    """Steps and values of the scalars in a metrics.jsonl; empty without one.

    Where a run was resumed and wrote a step twice, the later line counts.

    Args:
        path: metrics.jsonl of a run.
        prefix: what the scalars' names begin with, such as "train/loss/"; it is cut.
    """
    if not path.is_file():
        return {}
    terms: dict[str, dict[int, float]] = {}
    for line in path.read_text("utf-8").splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue  # the last line of a run that was killed while writing
        if not isinstance(row, dict) or "step" not in row:
            continue
        for name, value in row.items():
            if name.startswith(prefix) and value is not None:
                term = terms.setdefault(name.removeprefix(prefix), {})
                term[row["step"]] = value
    ordered = sorted(terms, key=lambda name: (name != "total", name))
    return {
        name: tuple(map(list, zip(*sorted(terms[name].items()), strict=True)))
        for name in ordered
    }


def losses(terms: Mapping[str, Curve]) -> str:
    """A small plot of every loss term over the steps."""
    return _curves(
        "Loss terms while training",
        "Over optimizer steps; where two lines, the dark one is smoothed.",
        terms,
        what="Loss",
    )


def scores(terms: Mapping[str, Curve]) -> str:
    """A small plot of every score that was taken while training."""
    return _curves(
        "Scores while training",
        "On the split by which a checkpoint is chosen, not the one reported here.",
        terms,
        what="Score",
    )


def _curves(title: str, note: str, terms: Mapping[str, Curve], *, what: str) -> str:
    if not terms:
        return ""
    figures = []
    for name, (steps, values) in terms.items():
        lines = [("main", values)]
        if len(values) > 30:
            lines = [("raw", values), ("smooth", _smooth(values))]
        plot = line_plot(
            steps, lines, title=f"{what} {name} over the steps", size=(320, 180)
        )
        caption = f"{escape(name)}: {values[-1]:.4g} at step {steps[-1]}"
        figures.append(f"<figure><figcaption>{caption}</figcaption>{plot}</figure>")
    return section(
        title,
        f"<p class='note'>{note}</p><div class='losses'>{''.join(figures)}</div>",
    )


def _smooth(values: Sequence[float]) -> list[float]:
    """Centred mean over a tenth of the curve, less towards its ends."""
    reach = max(len(values) // 20, 1)
    return [
        float(np.mean(values[max(i - reach, 0) : i + reach + 1]))
        for i in range(len(values))
    ]


def skipped(reasons: Mapping[str, str]) -> str:
    """The images that were left out, and why."""
    if not reasons:
        return ""
    items = "".join(f"<li>{escape(reason)}</li>" for reason in reasons.values())
    return section("Skipped images", f"<ul>{items}</ul>")


def image(jpeg: bytes, alt: str, kind: str = "") -> str:
    """An <img> that holds its own bytes.

    Args:
        jpeg: content of a JPEG file.
        alt: what it shows, in plain text.
        kind: its CSS class.
    """
    source = "data:image/jpeg;base64," + base64.b64encode(jpeg).decode()
    alt = escape(alt, quote=True)
    return f"<img class='{kind}' src='{source}' alt='{alt}' loading='lazy'>"


def section(title: str, content: str) -> str:
    """A titled box; `content` is HTML."""
    return f"<section><h2>{title}</h2>{content}</section>"
