"""Whether `ppcjax label` proposes what the command `eval --support` finds.

    python -m benchmarks.labelling --by_eval --root PHOTOS --folder --weights FILE \
        --out RESULTS

Of each class and kind of marks, five photos of the first seed are marked. The marks go
to a folder as a person lays them out (scribbles/, boxes.csv or masks/), the command
learns from it and segments the photos that are never marked, and its masks are scored
as the proposals are. Outside boxes is background for both. RESULTS/eval-NAME.json is
not made again; the last line is the largest difference.
"""

import csv
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy import ndimage

from benchmarks.facts import facts
from benchmarks.labelling import iou_of, marked, proposed
from benchmarks.labelling_table import COMPARED
from benchmarks.labelling_world import (
    Task,
    World,
    config_of,
    tasks,
)
from ppcjax.types import UserError

_ROOT = Path(__file__).parents[1]
_NAME = "it"  # what the class is called
_LAST = 3  # lines of what a command said that has failed


def compared(
    world: World, task: Task, seed: int, config: str, frozen: Mapping[str, Any]
) -> dict[str, float]:
    """IoU from five marked photos, by both.

    Args:
        world: the photos, and the network that proposes.
        task: the class and the kind of marks.
        seed: decides which photos are marked.
        config: the network's config, as the command gets it.
        frozen: its part `frozen`.

    Returns:
        "label" and "eval", each in 0 to 1.

    Raises:
        UserError: the command has failed.
    """
    truths = {i: world.mask(i, task.way) for i in task.held}
    drawn = marked(world, task.way, task.kind, task.pool, seed, COMPARED)
    if task.kind == "boxes":
        drawn = {i: np.where(mark == 1, 1, 0) for i, mark in drawn.items()}
    drawn = {i: mark.astype(np.uint8) for i, mark in drawn.items()}
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        write_examples(folder / "examples", world, drawn, task.kind)
        for i in task.held:
            _write(folder / "photos" / f"{i}.png", world.photos.pixels(i))
        words = [f"--config={config}"]
        words += [f"--config.frozen.{name}={value}" for name, value in frozen.items()]
        words += [f"--support={folder / 'examples'}", f"--images={folder / 'photos'}"]
        _eval([*words, f"--export={folder / 'found'}"])

        def found(i):
            with Image.open(folder / "found" / "masks" / f"{i}.png") as image:
                return np.asarray(image)

        by_eval = iou_of(found, truths)
    return {"label": proposed(world, drawn, truths)["iou"], "eval": by_eval}


def write_examples(
    folder: Path, world: World, drawn: Mapping[int, np.ndarray], kind: str
) -> None:
    """Photos and their marks, laid out as docs/few_shot.md says.

    Args:
        folder: gets them.
        world: the photos.
        drawn: what is drawn on each photo, [H, W] uint8.
        kind: one of `marks.MARKS`.
    """
    rows = [("image", "class", "x0", "y0", "x1", "y1")]
    for i, mark in drawn.items():
        _write(folder / "images" / f"{i}.png", world.photos.pixels(i))
        if kind != "boxes":
            _write(folder / kind / f"{i}.png", mark)
            continue
        pieces, _ = ndimage.label(mark == 1)  # boxes that touch are one piece
        for number, (y, x) in enumerate(ndimage.find_objects(pieces), 1):
            places = x.start, y.start, x.stop, y.stop
            rows += [
                (f"{i}.png", _NAME, *box) for box in _boxes(pieces, number, places)
            ]
    (folder / "classes.txt").write_text(f"{_NAME}\n")
    if kind == "boxes":
        with (folder / "boxes.csv").open("w", newline="") as file:
            csv.writer(file).writerows(rows)


def _boxes(pieces: np.ndarray, number: int, places) -> list[tuple[int, ...]]:
    """Boxes that fill a piece, which need not be one: boxes overlap."""
    x0, y0, x1, y1 = places
    piece = pieces[y0:y1, x0:x1] == number
    found, begun = [], 0
    for row in range(1, len(piece) + 1):  # bands of equal rows
        if row < len(piece) and (piece[row] == piece[begun]).all():
            continue
        steps = np.diff(np.pad(piece[begun].astype(np.int8), 1))
        pairs = zip(
            np.flatnonzero(steps == 1), np.flatnonzero(steps == -1), strict=True
        )
        found += [(x0 + int(a), y0 + begun, x0 + int(b), y0 + row) for a, b in pairs]
        begun = row
    return found


def _write(file: Path, pixels: np.ndarray) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(file)


def _eval(words: Sequence[str]) -> None:
    typed = [sys.executable, "-m", "ppcjax", "eval", *words]
    done = subprocess.run(typed, cwd=_ROOT, capture_output=True, text=True)
    if done.returncode:
        said = " / ".join(done.stderr.splitlines()[-_LAST:])
        raise UserError(f"eval ended with {done.returncode}: {said}")


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Both and their difference, in percent, as Markdown; the largest at the end."""
    lines = [
        "| network | photos | class | marks | held out | label | eval | difference |",
        "| --- " * 8 + "|",
    ]
    for row in rows:
        keys = ("backbone", "photos", "class", "marks", "held_out")
        head = " | ".join(str(row[key]) for key in keys)
        lines.append(
            f"| {head} | {row['label']:.2%} | {row['eval']:.2%} | {_ahead(row):+.2f} |"
        )
    if rows:
        least = min(rows, key=_ahead)
        most = max(rows, key=lambda row: abs(_ahead(row)))
        lines.append(
            f"largest difference {abs(_ahead(most)):.2f} points ({_of(most)}); label "
            f"is behind by at most {abs(min(_ahead(least), 0)):.2f} ({_of(least)})"
        )
    return "\n".join(lines)


def _ahead(row: Mapping[str, Any]) -> float:
    return 100 * (row["label"] - row["eval"])


def _of(row: Mapping[str, Any]) -> str:
    return f"{row['class']}, {row['marks']}"


def make(world: World, given: Any, argv: Sequence[str]) -> None:
    """Makes what is missing, and prints the table of all.

    Args:
        world: the photos.
        given: options of `benchmarks.labelling`.
        argv: what was typed.
    """
    frozen = config_of(given)["frozen"]
    for task in tasks(world, given):
        file = given.out / f"eval-{task.title}.json"
        if file.exists():
            continue
        found = {
            **task.about(given),
            "seed": given.seeds[0],
            **compared(world, task, given.seeds[0], given.config, frozen),
            **facts("benchmarks.labelling", argv),
        }
        file.write_text(json.dumps(found, indent=1) + "\n")
        print(table([found]).splitlines()[2], flush=True)
    files = sorted(given.out.glob("eval-*.json"))
    print(table([json.loads(file.read_text()) for file in files]))
