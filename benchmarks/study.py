"""A whole table of results: all rows, all seeds, and the page that shows them.

    python -m benchmarks.study
    python -m benchmarks.study NAME ... --photos DIR [--vit FILE] [--rows ROW ...]
    python -m benchmarks.study NAME ... --photos DIR --jobs 14 [--minutes 60]
    python -m benchmarks.study NAME --commands

Without a name it lists the studies; with --commands it prints what a reader would type.
With --jobs so many commands run at a time, on one GPU, too, and what they say goes to
files beside their runs. Each row and seed is kept as soon as it is known, as
benchmarks/results/studies/NAME/ROW-SEED.json, and not made again; runs lie in --work,
and go on where they were killed. At the end the tables in docs/results.md and their
plots are written anew, of all rows that are there.
"""

import argparse
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks import study_grid, study_jobs, study_table
from benchmarks.studies import STUDIES
from benchmarks.studies.base import OPTIONAL, PLACES, Study
from benchmarks.study_making import Making, typed


def main(argv: Sequence[str] | None = None) -> None:
    """Makes the rows that are missing, and writes the tables."""
    given = _parser().parse_args(argv)
    if not given.names:
        print("\n".join(STUDIES))
        return
    _check(given)
    if given.commands:
        for name in given.names:
            rows = given.rows or STUDIES[name].rows
            print("\n\n".join(commands(STUDIES[name], row) for row in rows))
        return
    if given.jobs > 1:  # none may take a whole GPU
        os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    with tempfile.TemporaryDirectory() as prepared:
        steps = _steps(given, Path(prepared))
        left = study_jobs.run(steps, given.jobs, given.minutes)
    for name in given.names:
        print(study_table.write(name))
    if left:
        raise SystemExit(f"not done: {', '.join(left)}")


def _check(given: argparse.Namespace) -> None:
    """Raises SystemExit for a study or row that there is not."""
    for name in given.names:
        if name not in STUDIES:
            raise SystemExit(f"no study {name}; there are {', '.join(STUDIES)}")
        rows = STUDIES[name].rows
        for row in given.rows:
            if row not in rows:
                raise SystemExit(f"{name} has no row {row}; it has {', '.join(rows)}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="studies")
    parser.add_argument("--photos", default="", help=PLACES["photos"])
    parser.add_argument("--unlabelled", default="", help=PLACES["unlabelled"])
    parser.add_argument("--vit", default="", help=PLACES["vit"])
    parser.add_argument("--mobilenet", default="", help=PLACES["mobilenet"])
    parser.add_argument("--cache", default="", help=PLACES["cache"])
    parser.add_argument("--rows", nargs="+", default=[], help="all, if not given")
    parser.add_argument("--seeds", nargs="+", type=int, default=[])
    parser.add_argument("--work", default="runs/studies", help="folder of runs")
    parser.add_argument("--jobs", type=int, default=1, help="rows at a time")
    parser.add_argument("--minutes", type=float, default=0, help="then begin no more")
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


def _steps(given: argparse.Namespace, prepared: Path) -> Iterator[study_jobs.Step]:
    """What is to be done for all rows that are asked for."""
    for name in given.names:
        study = STUDIES[name]
        rows = given.rows or list(study.rows)
        places = _places(study, rows, given)
        folder = study_table.RESULTS / name
        folder.mkdir(parents=True, exist_ok=True)
        if "photos" in places:
            (prepared / name).mkdir()
            photos = study.prepare(Path(places["photos"]), prepared / name)
            places["photos"] = str(photos)
        work = Path(given.work).expanduser().resolve() / name
        making = Making(study, name, places, work, folder, logs=given.jobs > 1)
        yield from making.steps(rows, given.seeds or study.seeds)


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


if __name__ == "__main__":
    main()
