"""What examples find on photos with their class, and on photos without.

    python -m benchmarks.none_of_these --root PHOTOS --classes cow,dog --others SCENES

For each class, seed and number of examples: IoU over photos that show the class, and
the share of the area that is found on others, with the threshold of
`ppcjax.predict.none_of_these` and without. No network is trained for it.
"""

import argparse
import dataclasses
import random
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from benchmarks import config as configs
from ppcjax import data_pipelines, fewshot
from ppcjax.data_pipelines.episodes.plans import count_pixels
from ppcjax.data_pipelines.sources.base import Source
from ppcjax.data_pipelines.sources.photos import photos as plain_photos
from ppcjax.predict.none_of_these import similarity_scale, take_out
from ppcjax.types import IGNORE

_LEAST = 0.03  # of a photo's area, so that a class counts as shown


class Scores(NamedTuple):
    """Of one class, seed and number of examples; None where there are no such photos.

    iou: IoU of the class over the photos that show it, without the threshold and with
        it.
    lost: share of those photos of which nothing is left.
    area: share of the area that is found on photos of the set without the class,
        without the threshold and with it.
    empty: share of those photos on which nothing is left.
    other_area: share of the area on photos of the other folder, in the same two ways.
    other_empty: share of those on which nothing is left.
    """

    iou: tuple[float, float]
    lost: float
    area: tuple[float, float]
    empty: float
    other_area: tuple[float, float] | None = None
    other_empty: float | None = None


class Chosen(NamedTuple):
    """Indices of photos: examples of a class, others that show it, and none of it."""

    examples: list[int]
    shown: list[int]
    without: list[int]


def choose(counts: np.ndarray, way: int, seed: int, shots: int, photos: int) -> Chosen:
    """Draws photos for a class.

    Args:
        counts: [photos, C] pixels of each class.
        way: id of the class.
        seed: number that decides which.
        shots: examples.
        photos: most photos of each other kind.
    """
    share = counts[:, way] / np.maximum(counts.sum(1), 1)
    shown = np.flatnonzero(share >= _LEAST).tolist()
    without = np.flatnonzero(counts[:, way] == 0).tolist()
    draws = random.Random(seed)
    draws.shuffle(shown)
    draws.shuffle(without)
    return Chosen(shown[:shots], shown[shots : shots + photos], without[:photos])


def score(
    fitted: Any, source: Source, chosen: Chosen, way: int, others: Sequence[Any]
) -> Scores:
    """Scores of what was learnt from the examples."""
    off = dataclasses.replace(fitted, least=())
    scale = similarity_scale(fitted.run)

    def masks(image):
        logits = off.logits(image)
        left = take_out(logits, scale, fitted.least)
        return logits.argmax(-1) > 0, left.argmax(-1) > 0

    counts, lost = np.zeros((2, 2)), []
    for index in chosen.shown:
        record = source.record(index)
        truth, found = record.mask(), masks(record.photo(0).pixels)
        known, true = truth != IGNORE, truth == way
        for row, mask in zip(counts, found, strict=True):
            row += (mask & true).sum(), ((mask & known) | true).sum()
        lost.append(not found[1].any())
    area, empty = _areas(
        masks(source.record(i).photo(0).pixels) for i in chosen.without
    )
    more = _areas(masks(image) for image in others) if others else (None, None)
    iou = tuple((counts[:, 0] / counts[:, 1]).tolist())
    return Scores(iou, float(np.mean(lost)), area, empty, *more)


def _areas(pairs: Iterable) -> tuple[tuple[float, float], float]:
    found = np.array([[mask.mean() for mask in pair] for pair in pairs])
    return tuple(found.mean(0).tolist()), float((found[:, 1] == 0).mean())


def main(argv: list[str] | None = None) -> None:
    """Prints a row for each class, seed and number of examples, and their means."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", required=True, help="folder of photos with masks")
    parser.add_argument("--classes", required=True, help="names, separated by commas")
    parser.add_argument("--others", default="", help="photos that show none of them")
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--shots", default="1,5")
    parser.add_argument("--photos", type=int, default=20, help="of each kind")
    parser.add_argument("--run", default="", help="trained run; else --config")
    parser.add_argument("--config", default="configs/panet_folder.py")
    given = parser.parse_args(argv)
    data = {"source": "folder", "root": given.root, "on_bad_image": "stop"}
    source = data_pipelines.make_source(data, "all")
    counts = count_pixels(source)
    run = given.run or fewshot.untrained(configs.load(given.config))
    others = _photos(given.others, given.photos) if given.others else []
    rows: dict[int, list[Scores]] = {}
    for name in given.classes.split(","):
        way = source.classes.index(name)
        for seed in map(int, given.seeds.split(",")):
            shots = [int(shot) for shot in given.shots.split(",")]
            chosen = choose(counts, way, seed, max(shots), given.photos)
            records = [source.record(i) for i in chosen.examples]
            images = [record.photo(0).pixels for record in records]
            masks = [_of_class(record.mask(), way) for record in records]
            for shot in shots:
                fitted = fewshot(images[:shot], masks[:shot], run=run)
                found = score(fitted, source, chosen, way, others)
                rows.setdefault(shot, []).append(found)
                print(f"{name} seed {seed} {shot}-shot  {_text([found])}", flush=True)
    for shot, found in rows.items():
        print(f"mean of {len(found)} {shot}-shot  {_text(found)}")


def _photos(folder: str, count: int) -> list[np.ndarray]:
    source = plain_photos(folder, ("background",))
    chosen = random.Random(0).sample(range(len(source)), min(count, len(source)))
    return [source.record(i).photo(0).pixels for i in chosen]


def _of_class(mask: np.ndarray, way: int) -> np.ndarray:
    return np.where(mask == IGNORE, IGNORE, np.where(mask == way, 1, 0))


def _text(rows: Sequence[Scores]) -> str:
    """Means in percent, without the threshold -> with it."""
    parts = []
    for name in Scores._fields:
        values = [getattr(row, name) for row in rows]
        if None in values:
            continue
        mean = 100 * np.mean(values, axis=0)
        shown = " -> ".join(f"{value:.1f}" for value in np.atleast_1d(mean))
        parts.append(f"{name} {shown}")
    return "  ".join(parts)


if __name__ == "__main__":
    main()
