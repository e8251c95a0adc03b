"""A whole table of results: all rows, all seeds, and the page that shows them.

    python -m benchmarks.study
    python -m benchmarks.study NAME --photos DIR [--vit FILE] [--rows ROW ...]
    python -m benchmarks.study NAME --commands

Without a name it lists the studies; with --commands it prints what a reader would type.
Each row and seed is kept as benchmarks/results/studies/NAME/ROW-SEED.json as soon as it
is known, and not made again; runs lie in --work, and go on where they were killed. At
the end the table in docs/results.md and its plot are written anew, of all rows that are
there.
"""

import argparse
import json
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import study_grid, study_table
from benchmarks.facts import facts
from benchmarks.studies import STUDIES, base
from benchmarks.studies.base import OPTIONAL, PLACES, Study

_ROOT = Path(__file__).parents[1]
_DONE = "seconds.json"  # in a run folder: its training came to its end


def main(argv: Sequence[str] | None = None) -> None:
    """Makes the rows that are missing, and writes the table."""
    given = _parser().parse_args(argv)
    if given.name is None:
        print("\n".join(STUDIES))
        return
    study = STUDIES[given.name]
    rows = given.rows or list(study.rows)
    unknown = [row for row in rows if row not in study.rows]
    if unknown:
        raise SystemExit(
            f"{given.name} has no row {unknown[0]}; it has {', '.join(study.rows)}"
        )
    if given.commands:
        print("\n\n".join(commands(study, row) for row in rows))
        return
    _make(given.name, rows, given)
    print(study_table.write(given.name))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", nargs="?", choices=STUDIES, help="the study")
    parser.add_argument("--photos", default="", help=PLACES["photos"])
    parser.add_argument("--unlabelled", default="", help=PLACES["unlabelled"])
    parser.add_argument("--vit", default="", help=PLACES["vit"])
    parser.add_argument("--mobilenet", default="", help=PLACES["mobilenet"])
    parser.add_argument("--cache", default="", help=PLACES["cache"])
    parser.add_argument("--rows", nargs="+", default=[], help="all, if not given")
    parser.add_argument("--seeds", nargs="+", type=int, default=[])
    parser.add_argument("--work", default="runs/studies", help="folder of runs")
    parser.add_argument("--commands", action="store_true", help="print and end")
    return parser


def commands(study: Study, name: str) -> str:
    """What a reader would type for a row, and for those that it uses."""
    lines = [f"# {name}: {study.rows[name].label}"]
    chooser = study_grid.chooser(study, name)
    if chooser:
        tried = ", ".join(f'"{words}"' for words in study.rows[chooser].grid)
        lines[0] += f"; CHOICE is one of {tried}"
    for other in study.needed(name):
        lines += study.rows[other].train
    lines += [*study.rows[name].train, *study.rows[name].evaluate]
    return "\n".join([lines[0], *map(typed, lines[1:])])


def typed(command: str, choice: str = "CHOICE") -> str:
    """A command as it is typed in a shell, with capitals where braces were."""
    names = {name: name.upper() for name in base.of(command)} | {"choice": choice}
    return " ".join(["python", *map(shlex.quote, _words(command, names))])


def _make(name: str, rows: Sequence[str], given: argparse.Namespace) -> None:
    """Makes those rows that are not there."""
    study = STUDIES[name]
    places = _places(study, rows, given)
    folder = study_table.RESULTS / name
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as prepared:
        if "photos" in places:
            places["photos"] = str(
                study.prepare(Path(places["photos"]), Path(prepared))
            )
        work = Path(given.work).expanduser().resolve() / name
        making = Making(study, name, places, work, folder)
        for seed in given.seeds or study.seeds:
            for row in rows:
                file = folder / f"{row}-{seed}.json"
                if file.exists():
                    continue
                found = making.made(row, seed)
                _keep(file, found, [name, "--rows", row, "--seeds", str(seed)])
                print(f"{row} {seed}: {found['scores']}", flush=True)


def _places(
    study: Study, rows: Sequence[str], given: argparse.Namespace
) -> dict[str, str]:
    """What stands for the names of places. Raises: SystemExit, one is not given."""
    wanted = {place for row in rows for place in study.places(row)}
    missing = sorted(p for p in wanted - OPTIONAL if not getattr(given, p))
    if missing:
        raise SystemExit(f"give --{missing[0]}, the {PLACES[missing[0]]}")
    return {
        place: str(Path(value).expanduser().resolve()) if value else ""
        for place in wanted
        for value in [getattr(given, place)]
    }


class Making(NamedTuple):
    """How rows are made, by the commands that a user has.

    study: which has the rows.
    name: its name.
    places: fills names of PLACES.
    work: folder of runs.
    folder: where results and choices are kept.
    """

    study: Study
    name: str
    places: Mapping[str, str]
    work: Path
    folder: Path

    def made(self, name: str, seed: int) -> dict[str, Any]:
        """Scores in percent, seconds, and the commands with their braces, of a row."""
        row, choice = self.study.rows[name], self.choice(name)
        filled = self._filled(name, seed, choice)
        for other in self.study.needed(name):
            self._trained(other, self._filled(other, seed, self.choice(other)))
        took = self._trained(name, filled)
        begun = time.monotonic()
        for command in row.evaluate:
            _run(command, filled)
        evaluated = time.monotonic() - begun
        return {
            "scores": _read(filled["out"]),
            "seconds": {"train": round(took, 1), "evaluate": round(evaluated, 1)},
            "commands": [
                typed(command, choice) for command in (*row.train, *row.evaluate)
            ],
        }

    def choice(self, name: str) -> str:
        """Words of a row's grid, or that of another, chosen now or before."""
        chooser = study_grid.chooser(self.study, name)
        if not chooser:
            return ""
        file = self.folder / study_table.GRID.format(row=chooser)
        if not file.exists():
            found = study_grid.choose(self.study, chooser, self._tried(chooser))
            _keep(file, found._asdict(), [self.name, "--rows", chooser])
            print(f"{chooser}: {found.words} of {found.tried}", flush=True)
        return json.loads(file.read_text())["words"]

    def _tried(self, name: str) -> Callable[[str, str], dict[str, float]]:
        def score(words: str, folder: str) -> dict[str, float]:
            filled = self._filled(name, study_grid.SEED, words)
            run = f"{self.work / folder}-{study_grid.SEED}"
            filled |= {"run": run, "out": f"{run}-eval"}
            self._trained(name, filled)
            _run(self.study.rows[name].judge, filled)
            return _read(filled["out"])

        return score

    def _filled(self, name: str, seed: int, choice: str) -> dict[str, Any]:
        runs = {other: str(self.work / f"{other}-{seed}") for other in self.study.rows}
        own = {"seed": seed, "run": runs[name], "out": f"{runs[name]}-eval"}
        return {**self.places, **runs, **own, "choice": choice}

    def _trained(self, name: str, filled: Mapping[str, Any]) -> float:
        """Seconds that the training of a row took, now or before."""
        done = Path(filled["run"]) / _DONE
        if not self.study.rows[name].train:
            return 0.0
        if not done.exists():
            begun = time.monotonic()
            for command in self.study.rows[name].train:
                _run(command, filled)
            done.write_text(json.dumps(time.monotonic() - begun))
        return json.loads(done.read_text())


def _keep(file: Path, found: dict[str, Any], words: Sequence[str]) -> None:
    """Writes what was found, with the facts that a reader needs."""
    found = found | facts("benchmarks.study", words)
    file.write_text(json.dumps(found, indent=1) + "\n")


def _read(folder: str) -> dict[str, float]:
    return scores(json.loads((Path(folder) / "metrics.json").read_text()))


def _run(command: str, filled: Mapping[str, Any]) -> None:
    """Runs a command, whose words may get blanks where places have them."""
    words = _words(command, filled)
    subprocess.run([sys.executable, *words], cwd=_ROOT, check=True)


def _words(command: str, filled: Mapping[str, Any]) -> list[str]:
    """Words of a command; what fills {choice} is several, all else is one."""
    return [
        part
        for word in command.split()
        for part in (
            filled["choice"].split() if word == "{choice}" else [word.format(**filled)]
        )
    ]


def scores(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Mean IoU in percent: by threshold, by shots, or of the arg-max."""
    if "thresholds" in metrics:
        found = metrics["thresholds"]
        kinds = ("chosen", "fixed", "oracle")
        return {k: round(100 * found[k]["mean_iou"], 2) for k in kinds if found.get(k)}
    if "shots" in metrics:
        means = {n: of["mean_iou"]["mean"] for n, of in metrics["shots"].items()}
        return {f"{n}-shot": round(100 * mean, 2) for n, mean in means.items()}
    return {"mean_iou": round(100 * metrics["mean_iou"], 2)}


if __name__ == "__main__":
    main()
