"""The page of a study: its table and plot, of the rows that are there."""

import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import dots, study_grid
from benchmarks.studies import STUDIES
from benchmarks.studies.base import FOLDERS, OPTIONAL, Study

_ROOT = Path(__file__).parents[1]
RESULTS = _ROOT / "benchmarks" / "results" / "studies"
PAGE = _ROOT / "docs" / "results.md"
PICTURES = _ROOT / "docs" / "studies"
GRID = "{row}-grid.json"  # what was chosen for a row
TIMED = ", 2 cores"  # machines whose seconds are shown


class Found(NamedTuple):
    """What is known of a row.

    label: what it is.
    scores: lists of a value for each seed, by name.
    seconds: means over what two cores without an accelerator made, to train and to
        evaluate; empty where they made none.
    seeds: which.
    commits: those of the program that made it.
    machines: those that made it.
    """

    label: str
    scores: Mapping[str, Sequence[float]]
    seconds: Sequence[float]
    seeds: Sequence[int]
    commits: Sequence[str]
    machines: Sequence[str]


def read(name: str, results: Path = RESULTS) -> list[Found]:
    """Rows of a study that are there, in its order."""
    found = []
    for row, what in STUDIES[name].rows.items():
        files = (results / name).glob(f"{row}-*.json")
        seeds = {int(n): f for f in files if (n := f.stem.rpartition("-")[2]).isdigit()}
        if seeds:
            told = {seed: json.loads(seeds[seed].read_text()) for seed in sorted(seeds)}
            found.append(_row(what.label, told))
    return found


def _row(label: str, told: Mapping[int, Mapping[str, Any]]) -> Found:
    each = list(told.values())
    kinds = dict.fromkeys(kind for one in each for kind in one["scores"])
    timed = [one["seconds"] for one in each if one["machine"].endswith(TIMED)]
    return Found(
        label,
        {k: [one["scores"][k] for one in each if k in one["scores"]] for k in kinds},
        [
            statistics.mean(seconds[what] for seconds in timed)
            for what in ("train", "evaluate")
            if timed
        ],
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


def section(name: str, found: Sequence[Found], results: Path = RESULTS) -> str:
    """What a study's place on the page holds, as Markdown."""
    study = STUDIES[name]
    if not found:
        return f"{study.about}\n\nNo row of it is made yet."
    commits = dict.fromkeys(commit for row in found for commit in row.commits)
    machines = dict.fromkeys(machine for row in found for machine in row.machines)
    made = (
        f"Mean IoU in percent, mean and sample deviation over seeds; seconds of two "
        f"cores. Any row again: "
        f"`python -m benchmarks.study {name}{_options(study)} --rows ROW`; what each "
        f"runs: `--commands`. Commits {', '.join(commits)}; {'; '.join(machines)}."
    )
    heading = next(iter(study.scores.values()))
    picture = (
        f"![{heading}: each row's seeds as dots, and their mean](studies/{name}.png)"
    )
    lines = "\n".join(_lines(study, found))
    chosen = _choices(name, results)
    return "\n\n".join(filter(None, [study.about, lines, chosen, made, picture]))


def _lines(study: Study, found: Sequence[Found]) -> list[str]:
    """The table."""
    head = list(study.scores.values())
    kind = next(iter(study.scores))
    others = _by_seed(study, found, kind)
    if others:
        head.append(f"{study.scores[kind]}, less {study.rows[study.against].label}")
    lines = [
        f"| row | {' | '.join(head)} | seeds | train, s | evaluate, s |",
        "| --- " * (4 + len(head)) + "|",
    ]
    for row in found:
        cells = [as_text(row.scores.get(kind, [])) for kind in study.scores]
        if others:
            cells.append(_gain(row, kind, others))
        cells += [", ".join(map(str, row.seeds))]
        cells += [f"{seconds:.0f}" for seconds in row.seconds] or ["", ""]
        lines.append(f"| {row.label} | {' | '.join(cells)} |")
    return lines


def _by_seed(study: Study, found: Sequence[Found], kind: str) -> dict[int, float]:
    """Scores of the row that others are compared with."""
    label = study.rows[study.against].label if study.against else None
    for row in found:
        if row.label == label:
            return dict(zip(row.seeds, row.scores[kind], strict=True))
    return {}


def _gain(row: Found, kind: str, others: Mapping[int, float]) -> str:
    """What a row has more than that of the same seed, its own cell being empty."""
    own = dict(zip(row.seeds, row.scores.get(kind, []), strict=False))
    if own == others:
        return ""
    return as_text([own[seed] - others[seed] for seed in own if seed in others])


def _choices(name: str, results: Path) -> str:
    """What the grids of rows chose, and what they tried; "" without grids."""
    said = []
    for row, what in STUDIES[name].rows.items():
        file = results / name / GRID.format(row=row)
        if file.exists():
            told = json.loads(file.read_text())
            tried = ", ".join(f"{_code(w)} {s:.1f}" for w, s in told["tried"].items())
            said.append(f"- {what.label}: {_code(told['words'])}, of {tried}")
    if not said:
        return ""
    return (
        f"Chosen with seed {study_grid.SEED} on photos that no row reports, by their "
        "score there:\n\n" + "\n".join(said)
    )


def _options(study: Study) -> str:
    places = sorted({place for row in study.rows for place in study.places(row)})
    kinds = {p: "DIR" if p in FOLDERS else "FILE" for p in places if p not in OPTIONAL}
    return "".join(f" --{place} {kind}" for place, kind in kinds.items())


def write(name: str, results: Path = RESULTS, page: Path = PAGE) -> str:
    """Writes a study's place on the page anew, and its plot; returns what it wrote.

    Raises: SystemExit, the page has no place for it.
    """
    found = read(name, results)
    told = section(name, found, results)
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


def _code(words: str) -> str:
    return f"`{words}`" if words else "as it is"
