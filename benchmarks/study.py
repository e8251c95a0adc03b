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
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import study_table
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
    for other in study.needed(name):
        lines += study.rows[other].train
    lines += [*study.rows[name].train, *study.rows[name].evaluate]
    return "\n".join([lines[0], *map(typed, lines[1:])])


def typed(command: str) -> str:
    """A command as it is typed in a shell, with capitals where braces were."""
    names = {name: name.upper() for name in base.of(command)}
    words = [word.format(**names) for word in command.split()]
    return " ".join(["python", *map(shlex.quote, words)])


def _make(name: str, rows: Sequence[str], given: argparse.Namespace) -> None:
    """Makes those rows that are not there."""
    study = STUDIES[name]
    places = _places(study, rows, given)
    folder = study_table.RESULTS / name
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as prepared:
        photos = Path(given.photos).expanduser().resolve()
        places["photos"] = str(study.prepare(photos, Path(prepared)))
        for seed in given.seeds or study.seeds:
            for row in rows:
                file = folder / f"{row}-{seed}.json"
                if file.exists():
                    continue
                work = Path(given.work).expanduser().resolve() / name
                found = made(study, row, seed, places, work)
                said = [name, "--photos", "PHOTOS", "--rows", row, "--seeds", str(seed)]
                found |= facts("benchmarks.study", said)
                file.write_text(json.dumps(found, indent=1) + "\n")
                print(f"{row} {seed}: {found['scores']}", flush=True)


def _places(
    study: Study, rows: Sequence[str], given: argparse.Namespace
) -> dict[str, str]:
    """What stands for the names of places. Raises: SystemExit, one is not given."""
    wanted = {place for row in rows for place in study.places(row)} | {"photos"}
    missing = sorted(p for p in wanted - OPTIONAL if not getattr(given, p))
    if missing:
        raise SystemExit(f"give --{missing[0]}, the {PLACES[missing[0]]}")
    return {
        place: str(Path(value).expanduser().resolve()) if value else ""
        for place in wanted
        for value in [getattr(given, place)]
    }


def made(
    study: Study, name: str, seed: int, places: Mapping[str, str], work: Path
) -> dict[str, Any]:
    """Trains and evaluates a row by the commands that a user has.

    Args:
        study: which has the row.
        name: name of the row.
        seed: fills {seed}.
        places: fills names of PLACES.
        work: folder of runs.

    Returns: scores in percent, seconds, and the commands with their braces.
    """
    row = study.rows[name]
    runs = {other: str(work / f"{other}-{seed}") for other in study.rows}
    filled = {**places, **runs, "seed": seed, "out": f"{runs[name]}-eval"}
    for other in study.needed(name):
        _trained(study, other, {**filled, "run": runs[other]})
    took = _trained(study, name, {**filled, "run": runs[name]})
    begun = time.monotonic()
    for command in row.evaluate:
        _run(command, {**filled, "run": runs[name]})
    evaluated = time.monotonic() - begun
    metrics = json.loads((Path(filled["out"]) / "metrics.json").read_text())
    return {
        "scores": scores(metrics),
        "seconds": {"train": round(took, 1), "evaluate": round(evaluated, 1)},
        "commands": [typed(command) for command in (*row.train, *row.evaluate)],
    }


def _trained(study: Study, name: str, filled: Mapping[str, Any]) -> float:
    """Seconds that the training of a row took, now or before."""
    done = Path(filled["run"]) / _DONE
    if not study.rows[name].train:
        return 0.0
    if not done.exists():
        begun = time.monotonic()
        for command in study.rows[name].train:
            _run(command, filled)
        done.write_text(json.dumps(time.monotonic() - begun))
    return json.loads(done.read_text())


def _run(command: str, filled: Mapping[str, Any]) -> None:
    """Runs a command, whose words may get blanks where places have them."""
    words = [word.format(**filled) for word in command.split()]
    subprocess.run([sys.executable, *words], cwd=_ROOT, check=True)


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
