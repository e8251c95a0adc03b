"""How many photos a person must mark until the masks of all others are good.

    python -m benchmarks.labelling --root VOC --classes cat,cow,dog,horse,sheep \
        --weights FILE
    python -m benchmarks.labelling --root PHOTOS --folder --weights FILE --out RESULTS
    python -m benchmarks.labelling ... --backbone mobilenet_v2

A person who is in a hurry marks 1, 3, 5 and 10 photos of a class, by strokes or boxes
that `data_pipelines.episodes.marks` makes of true masks; what `ppcjax label` learns of
them proposes masks of photos that were never marked, the same for all seeds, and
`ppcjax.fewshot` does so from the same five. RESULTS/NAME.json of a class and kind of
mark is written when it is known, and not made again. The table and the plot are of all
that lies in RESULTS; without --out that is benchmarks/results/labelling, and the page
of results is written anew. With --by_eval the proposals are compared with what the
command `eval --support` finds of the same marks, see `benchmarks.labelling_eval`.
"""

import argparse
import json
import random
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks import labelling_table as tables
from benchmarks import study_table
from benchmarks.facts import facts
from benchmarks.labelling_table import COMPARED, COUNTS
from benchmarks.labelling_world import World, opened, tasks
from ppcjax import cli, fewshot
from ppcjax.label.learning import Example, Learner
from ppcjax.predict import by_examples
from ppcjax.types import IGNORE, UserError

_RESULTS = study_table.RESULTS.parent / "labelling"
_PATHS = {"--root": "PHOTOS", "--weights": "FILE", "--cache": "DIR", "--out": "DIR"}
_CONFIG = "configs/panet_dino.py:ridge"  # the one that `ppcjax label` has


def measured(
    world: World,
    way: int,
    kind: str,
    pool: Sequence[int],
    held: Sequence[int],
    seeds: Iterable[int],
    counts: Sequence[int] = COUNTS,
) -> list[dict[str, Any]]:
    """Rows of a class and a kind of marks, one for each seed and number of photos.

    Args:
        world: the photos.
        way: id of the class.
        kind: one of `marks.MARKS`.
        pool: photos of which some are marked; those of less are among those of more.
            One without any background, such as one that is all in a box, is none.
        held: photos for which masks are proposed.
        seeds: numbers that decide which are marked.
        counts: how many are marked.

    Returns:
        "iou" in 0 to 1; "fit" in seconds, and "photo", seconds for one, both with
        features in memory; at COMPARED "fewshot", the IoU that `ppcjax.fewshot` has.
    """
    truths = {i: world.mask(i, way) for i in held}
    rows = []
    for seed in seeds:
        shown = marked(world, way, kind, pool, seed, max(counts))
        drawn = list(shown)
        for i in (*drawn, *held):
            world.looks(i)
        for count in counts:
            examples = {i: shown[i] for i in drawn[:count]}
            row = {"seed": seed, "marked": count, **proposed(world, examples, truths)}
            if count == COMPARED:
                row["fewshot"] = _by_fewshot(world, examples, truths)
            rows.append(row)
    return rows


def marked(world, way, kind, pool, seed, count) -> dict[int, np.ndarray]:
    """What is drawn on so many photos, in the order in which they are marked."""
    found: dict[int, np.ndarray] = {}
    for i in random.Random(seed).sample(list(pool), len(pool)):
        drawn = world.marked(i, way, kind)
        if (drawn == 0).any() and (drawn == 1).any():
            found[i] = drawn
        if len(found) == count:
            return found
    raise UserError(
        f"{world.source.classes[way]}: {len(found)} photos have a background under "
        f"{kind}, and {count} are marked; leave it out of --classes"
    )


def proposed(world, examples, truths) -> dict[str, float]:
    """What `ppcjax label` proposes for photos from examples."""
    size, nearest = world.looks.size, Image.Resampling.NEAREST
    given = [
        Example(i, by_examples.shrunk(drawn, size, nearest))
        for i, drawn in examples.items()
    ]
    learner = Learner(world.run, world.looks)
    begun = time.perf_counter()
    fit = learner.fit(given)
    fitted = time.perf_counter()

    def propose(i):
        found = learner.scores(fit, world.looks(i))
        return learner.mask(fit, found, truths[i].shape)

    iou = iou_of(propose, truths)
    photo = (time.perf_counter() - fitted) / len(truths)
    return {"iou": iou, "fit": round(fitted - begun, 3), "photo": round(photo, 4)}


def _by_fewshot(world, examples, truths) -> float:
    images = [world.photos.pixels(i) for i in examples]
    found = fewshot(images, list(examples.values()), names=["it"], run=world.run)
    return iou_of(lambda i: found.predict(world.photos.pixels(i)), truths)


def iou_of(propose: Callable[[int], np.ndarray], truths) -> float:
    """Intersection over union of the class, both summed over photos."""
    both = either = 0
    for i, truth in truths.items():
        known, mask = truth != IGNORE, propose(i) == 1
        both += int((mask & (truth == 1)).sum())
        either += int(((mask & known) | (truth == 1)).sum())
    return both / either


def main(argv: list[str] | None = None) -> None:
    """Makes what is missing, and prints the table and draws the plot of all."""
    argv = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", required=True, help="photos with true masks")
    parser.add_argument("--folder", action="store_true", help="not in VOC's layout")
    parser.add_argument("--void", type=int, nargs="*", default=[], help="of a folder")
    parser.add_argument("--classes", default="", help="names; else the commonest six")
    parser.add_argument("--marks", nargs="+", default=["scribbles", "boxes"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--photos", type=int, default=40, help="never marked, most")
    parser.add_argument("--config", default=_CONFIG, help="a few-shot config")
    parser.add_argument("--backbone", default="vit_s14", help="the frozen network")
    parser.add_argument("--weights", required=True, help="for config.frozen.weights")
    parser.add_argument("--cache", default="", help="for config.frozen.cache")
    parser.add_argument("--out", type=Path, default=_RESULTS, help="of results")
    parser.add_argument("--by_eval", action="store_true", help="the command instead")
    given = parser.parse_args(argv)
    if given.by_eval:
        from benchmarks import labelling_eval  # which needs this module

        labelling_eval.make(opened(given), given, argv)
        return
    make(opened(given), given, argv)
    rows = tables.read(given.out)
    print(tables.table(rows))
    tables.plot(rows, given.out / "labelling.png")
    if given.out == _RESULTS:
        write_page(rows)


def write_page(rows: Sequence[dict[str, Any]], page: Path = study_table.PAGE) -> None:
    """Writes the table and the plot of the page of results anew."""
    told = study_table.replaced(page.read_text(), "labelling", tables.section(rows))
    page.write_text(told)
    (_RESULTS / "labelling.png").replace(page.parent / "labelling.png")


def named(argv: Sequence[str]) -> list[str]:
    """Arguments of a command with names in the place of a machine's paths."""
    before = ["", *argv]
    return [
        _PATHS.get(option, word) for option, word in zip(before, argv, strict=False)
    ]


def make(world: World, given: Any, argv: list[str]) -> None:
    """Writes the files of results that are not there."""
    for task in tasks(world, given):
        file = given.out / f"{task.title}.json"
        if file.exists():
            continue
        found = {
            **task.about(given),
            "rows": measured(world, *task[:4], given.seeds),
            **facts("benchmarks.labelling", named(argv)),
        }
        file.write_text(json.dumps(found, indent=1) + "\n")
        print(f"{task.title}: {tables.cells(found)}", flush=True)


if __name__ == "__main__":
    cli.one_line(main)
