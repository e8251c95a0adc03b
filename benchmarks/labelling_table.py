"""The table and the plot of `benchmarks.labelling`, of what it wrote to a folder."""

import json
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks import curves

COUNTS = (1, 3, 5, 10)  # photos that are marked
_MARKS = {"scribbles": "strokes", "boxes": "boxes"}
COMPARED = 5  # of these, where `ppcjax.fewshot` gets the same


def read(out: Path) -> list[dict[str, Any]]:
    """All that `benchmarks.labelling` wrote to a folder."""
    files = [file for file in out.glob("*.json") if not file.name.startswith("eval-")]
    return [json.loads(file.read_text()) for file in sorted(files)]


def means(found: dict[str, Any], what: str = "iou") -> dict[int, list[float]]:
    """Values of all seeds by the number of marked photos; shares in percent."""
    values: dict[int, list[float]] = {}
    for row in found["rows"]:
        if what in row:
            values.setdefault(row["marked"], []).append(100 * row[what])
    return values


def cells(found: dict[str, Any]) -> str:
    """The cells of a row behind those that say what it is of."""
    iou, other = means(found), means(found, "fewshot")
    said = [f"{statistics.mean(v):.1f} +- {_spread(v):.1f}" for v in iou.values()]
    ahead = [a - b for a, b in zip(iou[COMPARED], other[COMPARED], strict=True)]
    said += [f"{statistics.mean(other[COMPARED]):.1f}", f"{min(ahead):+.2f}"]
    fit = statistics.median(r["fit"] for r in found["rows"] if r["marked"] == COMPARED)
    photo = statistics.median(row["photo"] for row in found["rows"])
    return " | ".join([*said, f"{fit:.2f}", f"{photo:.3f}"])


def _spread(values: Sequence[float]) -> float:
    return statistics.stdev(values) if len(values) > 1 else 0.0


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Means and deviations over seeds, as Markdown."""
    numbers = " | ".join(map(str, COUNTS))
    lines = [
        "| network | photos | class | marks | held out "
        f"| {numbers} | few-shot, {COMPARED} | label less it | fit, s | photo, s |",
        "| --- " * (9 + len(COUNTS)) + "|",
    ]
    for found in rows:
        keys = ("backbone", "photos", "class", "marks", "held_out")
        head = " | ".join(str(found[key]) for key in keys)
        lines.append(f"| {head} | {cells(found)} |")
    for kinds in dict.fromkeys(map(_kinds, rows)):
        group = [found for found in rows if _kinds(found) == kinds]
        network, photos, marks = kinds
        values = [statistics.mean(map(_at(n), group)) for n in COUNTS]
        others = statistics.mean(map(_at(COMPARED, "fewshot"), group))
        said = " | ".join(f"{value:.1f}" for value in (*values, others))
        name = f"mean of {len(group)}"
        lines.append(f"| {network} | {photos} | {name} | {marks} | | {said} | | | |")
    return "\n".join(lines)


def section(rows: Sequence[dict[str, Any]]) -> str:
    """What stands in docs/results.md: a line for each class and network, and means."""
    counts = " | ".join(str(n) for n in COUNTS[1:])
    head = " | ".join(f"{_MARKS[kind]}, {COUNTS[0]} | {counts}" for kind in _MARKS)
    lines = [
        f"| class | network | {head} |",
        "| --- " * (2 + len(_MARKS) * len(COUNTS)) + "|",
    ]
    for (kind, network), group in _grouped(rows, "class", "backbone").items():
        cells = [
            f"{statistics.mean(values):.1f} +- {_spread(values):.1f}"
            for marks in _MARKS
            for values in means(group[marks][0]).values()
        ]
        lines.append(f"| {kind} | {network} | {' | '.join(cells)} |")
    for (photos, network), group in _grouped(rows, "photos", "backbone").items():
        cells = [
            f"{statistics.mean(map(_at(n), group[marks])):.1f}"
            for marks in _MARKS
            for n in COUNTS
        ]
        name = f"*mean of {len(group['boxes'])}, {photos}*"
        lines.append(f"| {name} | {network} | {' | '.join(cells)} |")
    return "\n\n".join(["\n".join(lines), _made(rows)])


def _grouped(rows, *keys) -> dict[tuple[str, ...], dict[str, list[dict[str, Any]]]]:
    """Rows by what they have in common, and by the kind of marks."""
    groups: dict[tuple[str, ...], dict[str, list[dict[str, Any]]]] = {}
    for found in rows:
        group = groups.setdefault(tuple(found[key] for key in keys), {})
        group.setdefault(found["marks"], []).append(found)
    return groups


def _made(rows: Sequence[dict[str, Any]]) -> str:
    """Seconds, and where the numbers are from."""
    took = []
    for network in dict.fromkeys(found["backbone"] for found in rows):
        each = [
            r for found in rows if found["backbone"] == network for r in found["rows"]
        ]
        fits = [
            statistics.median(r["fit"] for r in each if r["marked"] == n)
            for n in (COMPARED, COUNTS[-1])
        ]
        photo = statistics.median(r["photo"] for r in each)
        took.append(f"{network} {fits[0]:.2f}, {fits[1]:.2f} and {photo:.3f}")
    commits = dict.fromkeys(found["commit"] for found in rows)
    machines = dict.fromkeys(found["machine"] for found in rows)
    return (
        f"Seconds, medians, features being kept: a fit on {COMPARED} photos, on "
        f"{COUNTS[-1]}, and a proposal of one: {'; '.join(took)}. Commits "
        f"{', '.join(commits)}; {'; '.join(machines)}, busy with other work, one "
        "thread of BLAS."
    )


def _kinds(found: dict[str, Any]) -> tuple[str, str, str]:
    return found["backbone"], found["photos"], found["marks"]


def _at(count: int, what: str = "iou") -> Callable[[dict[str, Any]], float]:
    """The mean over seeds at a number of photos, of what is found of a class."""
    return lambda found: statistics.mean(means(found, what)[count])


def plot(rows: Sequence[dict[str, Any]], file: Path) -> None:
    """Draws IoU against the number of marked photos, a panel for each kind of both."""
    panels: dict[str, dict[str, list[tuple[int, float]]]] = {}
    for found in rows:
        title = " ".join(found[key] for key in ("photos", "marks", "backbone"))
        line = [(n, statistics.mean(v)) for n, v in means(found).items()]
        panels.setdefault(title, {})[found["class"]] = line
    curves.draw(panels, file, across="photos that were marked", up="IoU, %")
