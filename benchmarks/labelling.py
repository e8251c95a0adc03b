"""How many photos a person must mark until the masks of all others are good.

    python -m benchmarks.labelling --root VOC --classes cat,cow,dog,horse,sheep \
        --weights FILE --out RESULTS
    python -m benchmarks.labelling --root PHOTOS --folder --weights FILE --out RESULTS
    python -m benchmarks.labelling ... --backbone mobilenet_v2

A person who is in a hurry marks 1, 3, 5 and 10 photos of a class, by strokes or boxes
that `data_pipelines.episodes.marks` makes of true masks; what `ppcjax label` learns of
them proposes masks of photos that were never marked, the same for all seeds, and
`ppcjax.fewshot` does so from the same five. RESULTS/NAME.json of a class and kind of
mark is written when it is known, and not made again. The table and the plot are of all
that lies in RESULTS.
"""

import argparse
import json
import random
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from benchmarks import config as configs
from benchmarks import labelling_table as tables
from benchmarks.facts import facts
from benchmarks.labelling_table import COMPARED, COUNTS
from ppcjax import cli, data_pipelines, fewshot
from ppcjax.data_pipelines.episodes import marks
from ppcjax.data_pipelines.episodes.plans import count_pixels
from ppcjax.data_pipelines.sources.base import Source
from ppcjax.label.learning import Example, Learner
from ppcjax.label.looks import Looks
from ppcjax.predict import by_examples
from ppcjax.runs import Run
from ppcjax.types import IGNORE, UserError

_LEAST = 0.03  # of a photo's area, so that a class counts as shown
_CONFIG = "configs/panet_dino.py:ridge"  # the one that `ppcjax label` has
_CLASSES = 6  # where none are named, those with most photos


class Photos:
    """Photos of a source, as an `Album` gives them."""

    def __init__(self, source: Source):
        """Of a source."""
        self._source = source

    def size(self, i: int) -> tuple[int, int]:
        """(height, width) of a photo."""
        return self._source.record(i).size()

    def pixels(self, i: int, at_least: int = 0) -> np.ndarray:
        """[h, w, 3] uint8; of at least so many pixels where the file has them."""
        return self._source.record(i).photo(at_least).pixels


class World(NamedTuple):
    """Photos with true masks, and a network that sees them."""

    source: Source
    run: Run
    photos: Photos
    looks: Looks

    @classmethod
    def of(cls, source: Source, run: Run) -> "World":
        """Of a source and a network that learns from examples."""
        photos = Photos(source)
        return cls(source, run, photos, Looks(run, photos))

    def mask(self, i: int, way: int) -> np.ndarray:
        """[H, W] int32: 1 the class, 0 all others, IGNORE unknown."""
        mask = self.source.record(i).mask()
        return np.where(mask == IGNORE, IGNORE, mask == way).astype(np.int32)

    def marked(self, i: int, way: int, kind: str) -> np.ndarray:
        """[H, W] uint8, what a person drew on a photo, and the rest IGNORE."""
        return marks.draw(kind, self.mask(i, way)).astype(np.uint8)


def split(
    counts: np.ndarray, way: int, photos: int, most: int
) -> tuple[list[int], list[int]]:
    """Photos of a class: those that may be marked, and those that never are.

    Args:
        counts: [photos, C] pixels of each class.
        way: id of the class.
        photos: most photos that are never marked.
        most: photos that are marked; twice as many are there to draw from.

    Raises:
        UserError: too few photos show the class.
    """
    share = counts[:, way] / np.maximum(counts.sum(1), 1)
    shown = np.flatnonzero(share >= _LEAST).tolist()
    random.Random(0).shuffle(shown)
    count = min(photos, len(shown) - 2 * most)
    if count < 1:
        raise UserError(
            f"{len(shown)} photos show class {way} on {_LEAST:.0%} of their area, and "
            f"{2 * most + 1} are needed; leave it out of --classes"
        )
    return shown[count:], shown[:count]


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
        shown = _marked(world, way, kind, pool, seed, max(counts))
        drawn = list(shown)
        for i in (*drawn, *held):
            world.looks(i)
        for count in counts:
            examples = {i: shown[i] for i in drawn[:count]}
            row = {"seed": seed, "marked": count, **_proposed(world, examples, truths)}
            if count == COMPARED:
                row["fewshot"] = _by_fewshot(world, examples, truths)
            rows.append(row)
    return rows


def _marked(world, way, kind, pool, seed, count) -> dict[int, np.ndarray]:
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


def _proposed(world, examples, truths) -> dict[str, float]:
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

    iou = _iou(propose, truths)
    photo = (time.perf_counter() - fitted) / len(truths)
    return {"iou": iou, "fit": round(fitted - begun, 3), "photo": round(photo, 4)}


def _by_fewshot(world, examples, truths) -> float:
    images = [world.photos.pixels(i) for i in examples]
    found = fewshot(images, list(examples.values()), names=["it"], run=world.run)
    return _iou(lambda i: found.predict(world.photos.pixels(i)), truths)


def _iou(propose: Callable[[int], np.ndarray], truths) -> float:
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
    parser.add_argument("--out", required=True, type=Path, help="folder of results")
    given = parser.parse_args(argv)
    cli.keep_compiled_programs()
    given.out.mkdir(parents=True, exist_ok=True)
    make(World.of(_source(given), fewshot.untrained(_config(given))), given, argv)
    rows = tables.read(given.out)
    print(tables.table(rows))
    tables.plot(rows, given.out / "labelling.png")


def _source(given: Any) -> Source:
    data = {"source": "voc", "root": given.root}
    if given.folder:
        data |= {"source": "folder", "void": tuple(given.void), "on_bad_image": "stop"}
    return data_pipelines.make_source(data, "all" if given.folder else "train")


def _config(given: Any) -> dict[str, Any]:
    """The config, with the network that is asked for."""
    config = dict(configs.load(given.config))
    frozen = {**config["frozen"], "weights": given.weights, "cache": given.cache}
    if given.backbone != "vit_s14":
        # As docs/frozen.md says of convolutional networks.
        frozen |= {"backbone": given.backbone, "endpoint": "stage4"}
        frozen["backbone_settings"] = {"output_stride": 16}
    return {**config, "frozen": frozen}


def make(world: World, given: Any, argv: list[str]) -> None:
    """Writes the files of results that are not there."""
    counts = count_pixels(world.source)
    names, place = world.source.classes, Path(given.root).name
    for name in (
        given.classes.split(",") if given.classes else _commonest(counts, names)
    ):
        if name not in names:
            raise UserError(f"--classes: no {name!r} in {', '.join(names)}")
        way = names.index(name)
        pool, held = split(counts, way, given.photos, max(COUNTS))
        for kind in given.marks:
            title = f"{given.backbone}-{place}-{name}-{kind}"
            file = given.out / f"{title}.json"
            if file.exists():
                continue
            found = {
                **{"backbone": given.backbone, "photos": place, "class": name},
                **{"marks": kind, "held_out": len(held), "pool": len(pool)},
                "rows": measured(world, way, kind, pool, held, given.seeds),
                **facts("benchmarks.labelling", argv),
            }
            file.write_text(json.dumps(found, indent=1) + "\n")
            print(f"{title}: {tables.cells(found)}", flush=True)


def _commonest(counts: np.ndarray, names: Sequence[str]) -> list[str]:
    shown = (counts >= _LEAST * counts.sum(1, keepdims=True)).sum(0)
    order = sorted(range(1, len(names)), key=lambda way: -shown[way])
    return [names[way] for way in order[:_CLASSES]]


if __name__ == "__main__":
    cli.one_line(main)
