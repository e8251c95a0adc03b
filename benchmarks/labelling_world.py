"""Photos with true masks, a network that sees them, and who marks which of them.

What the programs share that measure `ppcjax label`.
"""

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks import config as configs
from benchmarks.labelling_table import COUNTS
from ppcjax import cli, data_pipelines, fewshot
from ppcjax.data_pipelines.episodes import marks
from ppcjax.data_pipelines.episodes.plans import count_pixels
from ppcjax.data_pipelines.sources.base import Source
from ppcjax.label.looks import Looks
from ppcjax.runs import Run
from ppcjax.types import IGNORE, UserError

_LEAST = 0.03  # of a photo's area, so that a class counts as shown
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


def opened(given: Any) -> World:
    """What the options name; the folder of results is there afterwards."""
    cli.keep_compiled_programs()
    given.out.mkdir(parents=True, exist_ok=True)
    return World.of(_source(given), fewshot.untrained(config_of(given)))


def _source(given: Any) -> Source:
    data = {"source": "voc", "root": given.root}
    if given.folder:
        data |= {"source": "folder", "void": tuple(given.void), "on_bad_image": "stop"}
    return data_pipelines.make_source(data, "all" if given.folder else "train")


def config_of(given: Any) -> dict[str, Any]:
    """The config, with the network that is asked for."""
    config = dict(configs.load(given.config))
    frozen = {**config["frozen"], "weights": given.weights, "cache": given.cache}
    if given.backbone != "vit_s14":
        # As docs/frozen.md says of convolutional networks.
        frozen |= {"backbone": given.backbone, "endpoint": "stage4"}
        frozen["backbone_settings"] = {"output_stride": 16}
    return {**config, "frozen": frozen}


class Task(NamedTuple):
    """A class and a kind of marks.

    way: id of the class.
    kind: one of `marks.MARKS`.
    pool: photos of which some are marked.
    held: photos for which masks are proposed.
    name: name of the class.
    title: name of its results.
    """

    way: int
    kind: str
    pool: list[int]
    held: list[int]
    name: str
    title: str

    def about(self, given: Any) -> dict[str, Any]:
        """What its results begin with."""
        return {
            **{"backbone": given.backbone, "photos": Path(given.root).name},
            **{"class": self.name, "marks": self.kind},
            **{"held_out": len(self.held), "pool": len(self.pool)},
        }


def tasks(world: World, given: Any) -> Iterator[Task]:
    """What the options ask for. Raises: UserError, there is no such class."""
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
            yield Task(way, kind, pool, held, name, title)


def _commonest(counts: np.ndarray, names: Sequence[str]) -> list[str]:
    shown = (counts >= _LEAST * counts.sum(1, keepdims=True)).sum(0)
    order = sorted(range(1, len(names)), key=lambda way: -shown[way])
    return [names[way] for way in order[:_CLASSES]]
