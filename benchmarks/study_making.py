"""How the rows of a study are made: steps, by the commands that a user has."""

import json
import shlex
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import study_grid, study_table
from benchmarks.facts import facts
from benchmarks.studies import base
from benchmarks.studies.base import Study
from benchmarks.study_jobs import Step

_ROOT = Path(__file__).parents[1]
_DONE = "seconds.json"  # in a run folder: its training came to its end


class Making(NamedTuple):
    """How rows are made.

    study: which has the rows.
    name: its name.
    places: fills names of PLACES.
    work: folder of runs.
    folder: where results and choices are kept.
    logs: whether what commands say goes to a file beside their run.
    """

    study: Study
    name: str
    places: Mapping[str, str]
    work: Path
    folder: Path
    logs: bool = False

    def steps(self, rows: Iterable[str], seeds: Iterable[int]) -> Iterator[Step]:
        """What is to be done for rows whose results are not there, in order.

        Steps that several rows need come once for each.
        """
        for seed in seeds:
            for row in rows:
                if not self._result(row, seed).exists():
                    yield from self._of_row(row, seed)

    def _of_row(self, row: str, seed: int) -> Iterator[Step]:
        runs = [*self.study.needed(row), row]
        for name in runs:
            yield from self._of_choice(name)
            needs = [
                *self._choice_step(name),
                *self._runs(self.study.needed(name), seed),
            ]
            yield Step(
                f"{self.name}/{name}-{seed} run",
                tuple(needs),
                lambda name=name: self._trained(name, self._filled(name, seed)),
            )
        yield Step(
            f"{self.name}/{row}-{seed}",
            tuple(self._runs(runs, seed)),
            lambda: self._score(row, seed),
        )

    def _of_choice(self, row: str) -> Iterator[Step]:
        chooser = study_grid.chooser(self.study, row)
        if not chooser or self._choice_file(chooser).exists():
            return
        tries = [f"{self.name}/{chooser}-grid{i}" for i in self._places_of(chooser)]
        for i, name in enumerate(tries):
            yield Step(name, (), lambda i=i: self._try(chooser, i))
        yield Step(*self._choice_step(row), tuple(tries), lambda: self._choose(chooser))

    def _choice_step(self, row: str) -> list[str]:
        chooser = study_grid.chooser(self.study, row)
        return [f"{self.name}/{chooser}-grid"] if chooser else []

    def _runs(self, rows: Iterable[str], seed: int) -> Iterator[str]:
        return (f"{self.name}/{row}-{seed} run" for row in rows)

    def _places_of(self, row: str) -> range:
        return range(len(self.study.rows[row].grid))

    def _result(self, row: str, seed: int) -> Path:
        return self.folder / f"{row}-{seed}.json"

    def _choice_file(self, row: str) -> Path:
        return self.folder / study_table.GRID.format(row=row)

    def _score(self, name: str, seed: int) -> None:
        """Scores in percent, seconds, and the commands with their braces, of a row."""
        row, filled = self.study.rows[name], self._filled(name, seed)
        begun = time.monotonic()
        for command in row.evaluate:
            self._run(command, filled)
        evaluated = time.monotonic() - begun
        commands = (*row.train, *row.evaluate)
        found = {
            "scores": _read(filled["out"]),
            "seconds": {
                "train": round(self._trained(name, filled), 1),
                "evaluate": round(evaluated, 1),
            },
            "commands": [typed(command, filled["choice"]) for command in commands],
        }
        said = [self.name, "--rows", name, "--seeds", str(seed)]
        _keep(self._result(name, seed), found, said)
        print(f"{self.name}, {name} {seed}: {found['scores']}", flush=True)

    def _try(self, row: str, place: int) -> None:
        filled = self._tried(row, place)
        self._trained(row, filled)
        self._run(self.study.rows[row].judge, filled)

    def _choose(self, row: str) -> None:
        grid = self.study.rows[row].grid
        tried = {
            words: study_grid.best(_read(self._tried(row, i)["out"]))
            for i, words in enumerate(grid)
        }
        found = {"words": max(tried, key=tried.get), "tried": tried}
        _keep(self._choice_file(row), found, [self.name, "--rows", row])
        print(f"{self.name}, {row}: {found['words']} of {tried}", flush=True)

    def _tried(self, row: str, place: int) -> dict[str, Any]:
        """What fills commands for words of a grid."""
        seed = study_grid.SEED
        run = str(self.work / f"{row}-grid{place}-{seed}")
        own = {"seed": seed, "run": run, "out": f"{run}-eval"}
        return {**self.places, **own, "choice": self.study.rows[row].grid[place]}

    def _filled(self, name: str, seed: int) -> dict[str, Any]:
        """What fills commands of a row."""
        chooser = study_grid.chooser(self.study, name)
        told = json.loads(self._choice_file(chooser).read_text()) if chooser else {}
        runs = {other: str(self.work / f"{other}-{seed}") for other in self.study.rows}
        own = {"seed": seed, "run": runs[name], "out": f"{runs[name]}-eval"}
        return {**self.places, **runs, **own, "choice": told.get("words", "")}

    def _trained(self, name: str, filled: Mapping[str, Any]) -> float:
        """Seconds that the training of a row took, now or before."""
        done = Path(filled["run"]) / _DONE
        if not self.study.rows[name].train:
            return 0.0
        if not done.exists():
            begun = time.monotonic()
            for command in self.study.rows[name].train:
                self._run(command, filled)
            done.write_text(json.dumps(time.monotonic() - begun))
        return json.loads(done.read_text())

    def _run(self, command: str, filled: Mapping[str, Any]) -> None:
        run_command(command, filled, f"{filled['run']}.log" if self.logs else None)


def run_command(command: str, filled: Mapping[str, Any], log: str | None) -> None:
    """Runs a command.

    Args:
        command: words of a program, with braces.
        filled: what fills them.
        log: file to which what it says is added; None for this terminal.

    Raises: subprocess.CalledProcessError.
    """
    words = [sys.executable, *words_of(command, filled)]
    if log is None:
        subprocess.run(words, cwd=_ROOT, check=True)
        return
    Path(log).parent.mkdir(parents=True, exist_ok=True)
    with open(log, "a") as file:
        subprocess.run(words, cwd=_ROOT, check=True, stdout=file, stderr=file)


def words_of(command: str, filled: Mapping[str, Any]) -> list[str]:
    """Words of a command, which may get blanks where places have them.

    What fills {choice} is several words, all else is one.
    """
    return [
        part
        for word in command.split()
        for part in (
            filled["choice"].split() if word == "{choice}" else [word.format(**filled)]
        )
    ]


def typed(command: str, choice: str = "CHOICE") -> str:
    """A command as it is typed in a shell, with capitals where braces were."""
    names = {name: name.upper() for name in base.of(command)} | {"choice": choice}
    return " ".join(["python", *map(shlex.quote, words_of(command, names))])


def _keep(file: Path, found: dict[str, Any], words: Sequence[str]) -> None:
    """Writes what was found and where, whole or not at all."""
    found = found | facts("benchmarks.study", words)
    beside = file.with_suffix(".tmp")
    beside.write_text(json.dumps(found, indent=1) + "\n")
    beside.replace(file)


def _read(folder: str) -> dict[str, float]:
    return scores(json.loads((Path(folder) / "metrics.json").read_text()))


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
