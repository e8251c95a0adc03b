"""The page of a study: its table and plot, of the rows that are there."""

import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import dots
from benchmarks.studies import STUDIES
from benchmarks.studies.base import Study

_ROOT = Path(__file__).parents[1]
RESULTS = _ROOT / "benchmarks" / "results" / "studies"
PAGE = _ROOT / "docs" / "results.md"
PICTURES = _ROOT / "docs" / "studies"


class Found(NamedTuple):
    """What is known of a row.

    label: what it is.
    scores: lists of a value for each seed, by name.
    seconds: means over seeds, to train and to evaluate.
    seeds: which.
    commits: those of the program that made it.
    machines: those that made it.
    """

    label: str
    scores: Mapping[str, Sequence[float]]
    seconds: tuple[float, float]
    seeds: Sequence[int]
    commits: Sequence[str]
    machines: Sequence[str]


def read(name: str, results: Path = RESULTS) -> list[Found]:
    """Rows of a study that are there, in its order."""
    found = []
    for row, what in STUDIES[name].rows.items():
        files = sorted((results / name).glob(f"{row}-*.json"))
        told = {
            int(f.stem.rpartition("-")[2]): json.loads(f.read_text()) for f in files
        }
        if told:
            found.append(_row(what.label, dict(sorted(told.items()))))
    return found


def _row(label: str, told: Mapping[int, Mapping[str, Any]]) -> Found:
    each = list(told.values())
    kinds = dict.fromkeys(kind for one in each for kind in one["scores"])
    return Found(
        label,
        {k: [one["scores"][k] for one in each if k in one["scores"]] for k in kinds},
        tuple(
            statistics.mean(one["seconds"][what] for one in each)
            for what in ("train", "evaluate")
        ),
        list(told),
        list(dict.fromkeys(one["commit"] or "unknown" for one in each)),
        list(dict.fromkeys(one["machine"] for one in each)),
    )


def as_text(values: Sequence[float]) -> str:
    """Mean, and the sample deviation where there are several."""
    if not values:
        return ""
    mean = f"{statistics.mean(values):.1f}"
    return mean if len(values) == 1 else f"{mean} +- {statistics.stdev(values):.1f}"


def section(name: str, found: Sequence[Found]) -> str:
    """What a study's place on the page holds, as Markdown."""
    study = STUDIES[name]
    if not found:
        return f"{study.about}\n\nNo row of it is made yet."
    head = " | ".join(study.scores.values())
    columns = 4 + len(study.scores)
    lines = [
        f"| row | {head} | seeds | train, s | evaluate, s |",
        "| --- " * columns + "|",
    ]
    for row in found:
        cells = " | ".join(as_text(row.scores.get(kind, [])) for kind in study.scores)
        seeds = ", ".join(map(str, row.seeds))
        train, evaluate = row.seconds
        lines.append(
            f"| {row.label} | {cells} | {seeds} | {train:.0f} | {evaluate:.0f} |"
        )
    commits = dict.fromkeys(commit for row in found for commit in row.commits)
    machines = dict.fromkeys(machine for row in found for machine in row.machines)
    made = (
        f"Mean IoU in percent, mean and sample deviation over seeds. Any row again: "
        f"`python -m benchmarks.study {name} {_options(study)} --rows ROW`; what each "
        f"runs: `--commands`. Commits {', '.join(commits)}; {'; '.join(machines)}."
    )
    heading = next(iter(study.scores.values()))
    picture = (
        f"![{heading}: each row's seeds as dots, and their mean](studies/{name}.png)"
    )
    return "\n\n".join([study.about, "\n".join(lines), made, picture])


def _options(study: Study) -> str:
    places = sorted({place for row in study.rows for place in study.places(row)})
    named = [place for place in places if place not in ("photos", "cache")]
    return " ".join(["--photos PHOTOS", *(f"--{place} FILE" for place in named)])


def write(name: str, results: Path = RESULTS, page: Path = PAGE) -> str:
    """Writes a study's place on the page anew, and its plot; returns what it wrote.

    Raises: SystemExit, the page has no place for it.
    """
    found = read(name, results)
    told = section(name, found)
    page.write_text(replaced(page.read_text(), name, told))
    if found:
        kind, heading = next(iter(STUDIES[name].scores.items()))
        pictures = page.parent / PICTURES.name
        pictures.mkdir(exist_ok=True)
        values = {row.label: row.scores.get(kind, []) for row in found}
        dots.draw(values, pictures / f"{name}.png", across=f"{heading}, percent")
    return told


def replaced(text: str, name: str, told: str) -> str:
    """A page with what a study tells between its marks."""
    begin, end = f"<!-- study {name} -->\n", f"<!-- end of study {name} -->"
    if text.count(begin) != 1 or text.count(end) != 1:
        raise SystemExit(
            f"the page needs the lines {begin.strip()} and {end}, once each"
        )
    before, _, rest = text.partition(begin)
    return f"{before}{begin}\n{told}\n\n{end}{rest.partition(end)[2]}"
