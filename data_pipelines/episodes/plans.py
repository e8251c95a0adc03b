"""Which photos make which episode: small tables, drawn from (seed, index).

A row of a plan is N class ids, N K support photos (way by way; -1 where a shot is
missing) and Q query photos, as indices into source.ids. Row i is a function of the
seed and i alone; a plan can be kept as .npy and is the same for every model.
"""

import concurrent.futures
import dataclasses
import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ppcjax.console import writing
from ppcjax.data_pipelines.order import Draws
from ppcjax.data_pipelines.sources.base import Source
from ppcjax.types import IGNORE, UserError

SAMPLINGS = ("class", "image", "pairs")


class Shape(NamedTuple):
    """Size of an episode.

    way: N classes.
    shot: K supports of each class, at most.
    query: Q queries.
    least_shot: smallest number of supports, drawn for each episode; 0: always K.
    """

    way: int = 1
    shot: int = 1
    query: int = 1
    least_shot: int = 0

    @property
    def columns(self) -> int:
        """Numbers in a row of a plan."""
        return self.way + self.way * self.shot + self.query


class Row(NamedTuple):
    """A row of a plan, taken apart.

    classes: [N] ids.
    supports: [N, K] photos, -1 where missing.
    queries: [Q] photos.
    """

    classes: np.ndarray
    supports: np.ndarray
    queries: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray, shape: Shape) -> "Row":
        """From one row [columns]."""
        way, shot = shape.way, shape.shot
        supports = values[way : way + way * shot].reshape(way, shot)
        return cls(values[:way], supports, values[way + way * shot :])


@dataclasses.dataclass(frozen=True)
class ClassIndex:
    """Photos by class.

    source: name, for messages.
    names: names of all classes, background first.
    classes: ids of the classes that episodes show.
    photos: [photos of the class] indices, for each of `classes`.
    """

    source: str
    names: tuple[str, ...]
    classes: tuple[int, ...]
    photos: tuple[np.ndarray, ...]

    def without(self, classes: Sequence[int]) -> "ClassIndex":
        """The index without some classes."""
        left = [i for i, c in enumerate(self.classes) if c not in classes]
        return dataclasses.replace(
            self,
            classes=tuple(self.classes[i] for i in left),
            photos=tuple(self.photos[i] for i in left),
        )

    def check(self, shape: Shape) -> None:
        """Raises UserError where episodes of this shape cannot be drawn."""
        if len(self.classes) < shape.way:
            raise UserError(
                f"{self.source}: {shape.way}-way episodes need {shape.way} classes, "
                f"and there are {len(self.classes)}; lower the number of ways, or "
                "change the held-out classes"
            )
        needed = shape.shot + shape.query
        for class_id, photos in zip(self.classes, self.photos, strict=True):
            if len(photos) < needed:
                raise UserError(
                    f"{self.source}: class {self.names[class_id]!r} has {len(photos)} "
                    f"photos, but a {shape.shot}-shot episode needs {needed}; add "
                    "photos, lower the number of shots, or leave the class out"
                )


def count_pixels(source: Source, cache: str = "", *, skip: bool = False) -> np.ndarray:
    """How many pixels of each class each photo has; reads every mask once.

    Args:
        source: photos whose masks are counted.
        cache: .npz file that keeps the counts; "" for none. It is made where it does
            not exist, and belongs to the ids it was made of.
        skip: whether a photo without a usable mask counts as empty, with the reason
            in source.skipped, instead of raising.

    Returns:
        [photos, C] int64; IGNORE pixels count nowhere.
    """
    path = Path(cache).expanduser() if cache else None
    if path is not None and path.is_file():
        return _read_counts(path, source)
    if path is not None and os.path.lexists(path):
        raise UserError(f"{path} is there and no file of class counts; name another")
    classes = len(source.classes)

    def counts_of(i):
        try:
            mask = source.record(i).mask()
            if mask is None:
                raise UserError(
                    f"{source.name}: image {source.ids[i]!r} has no mask, which "
                    "few-shot training needs; add one or set on_bad_image=skip"
                )
        except UserError as error:
            if not skip:
                raise
            source.skipped[source.ids[i]] = str(error)
            return np.zeros(classes, np.int64)
        return np.bincount(mask[mask != IGNORE], minlength=classes)

    with concurrent.futures.ThreadPoolExecutor() as pool:
        counts = np.array(list(pool.map(counts_of, range(len(source)))), np.int64)
    counts = counts.reshape(-1, classes)
    if path is not None:
        content = io.BytesIO()
        np.savez_compressed(content, ids=np.array(source.ids), counts=counts)
        writing.write_file(path, content.getvalue())
    return counts


def _read_counts(path: Path, source: Source) -> np.ndarray:
    try:
        with np.load(path) as kept:
            ids, counts = kept["ids"], kept["counts"]
    except Exception as error:  # what damage raises depends on the byte that it hit
        raise UserError(f"{path}: is no file of class counts; remove it") from error
    if tuple(ids) != source.ids or counts.shape[1:] != (len(source.classes),):
        raise UserError(f"{path}: was made of other photos than {source.name}; remove")
    return counts


def class_index(
    source: Source,
    counts: np.ndarray,
    classes: Sequence[int],
    *,
    min_pixels: int = 1,
    without: Sequence[int] = (),
) -> ClassIndex:
    """The photos that show each class.

    Args:
        source: where the photos are.
        counts: [photos, C], what `count_pixels` gives.
        classes: ids of the classes that episodes show.
        min_pixels: fewest pixels of the class in a photo that shows it.
        without: ids of classes; photos that show one of them are left out.
    """
    usable = counts[:, list(without)].sum(1) == 0
    photos = tuple(
        np.flatnonzero((counts[:, c] >= max(min_pixels, 1)) & usable) for c in classes
    )
    return ClassIndex(source.name, source.classes, tuple(classes), photos)


def draw_row(
    index: ClassIndex,
    shape: Shape,
    draws: Draws,
    *,
    sampling: str = "class",
    position: int = 0,
) -> np.ndarray:
    """Draws one episode.

    Args:
        index: photos by class, which `check` has passed.
        shape: size of the episode.
        draws: random numbers of the episode.
        sampling: "class": classes uniformly, then photos of them (PANet); "image": a
            query uniformly among all photos, then one of its classes (PFENet, MLC);
            "pairs": query and class from the list of all pairs, in turn (HSNet). The
            last two are 1-way with one query.
        position: number of the episode, which "pairs" reads.

    Returns:
        [columns] int32.
    """
    least = shape.least_shot or shape.shot
    shots = draws.integer(least, shape.shot)
    if sampling == "class":
        places = _sample(range(len(index.classes)), shape.way, draws)
        owners = [places[draws.integer(0, shape.way - 1)] for _ in range(shape.query)]
        queries: list[int] = []
    else:
        place, query = _query_first(index, draws, sampling, position)
        places, owners, queries = [place], [], [query]
    supports = np.full((shape.way, shape.shot), -1)
    for way, place in enumerate(places):
        used = {*queries, *supports.ravel().tolist()}
        own = _pick(index.photos[place], shots + owners.count(place), used, draws)
        supports[way, :shots] = own[:shots]
        queries += own[shots:]
    classes = [index.classes[place] for place in places]
    return np.array([*classes, *supports.ravel(), *queries], np.int32)


def _query_first(index, draws, sampling, position) -> tuple[int, int]:
    """Place of a class, and a photo that shows it."""
    if sampling == "pairs":
        pairs = [(c, p) for c, photos in enumerate(index.photos) for p in photos]
        place, photo = pairs[position % len(pairs)]
        return place, int(photo)
    every = np.unique(np.concatenate(index.photos))
    photo = int(every[draws.integer(0, len(every) - 1)])
    shown = [c for c, photos in enumerate(index.photos) if photo in photos]
    return shown[draws.integer(0, len(shown) - 1)], photo


def _pick(photos: np.ndarray, count: int, used: set[int], draws: Draws) -> list[int]:
    """`count` different photos, none of `used` as long as there are others."""
    free = [p for p in photos.tolist() if p not in used]
    return _sample(free if len(free) >= count else photos.tolist(), count, draws)


def _sample(items: Sequence[int], count: int, draws: Draws) -> list[int]:
    left = list(items)
    return [left.pop(draws.integer(0, len(left) - 1)) for _ in range(count)]


def draw_plan(
    index: ClassIndex, shape: Shape, *, episodes: int, seed: int, sampling: str
) -> np.ndarray:
    """The plan of a run: [episodes, columns] int32; see `draw_row`."""
    index.check(shape)
    if episodes < 1:
        raise UserError(f"{episodes} episodes are nothing to evaluate; ask for more")
    if sampling not in SAMPLINGS:
        raise UserError(f"sampling={sampling!r}: give one of {', '.join(SAMPLINGS)}")
    if sampling != "class" and (shape.way, shape.query) != (1, 1):
        raise UserError(f"sampling={sampling!r} is for 1 way and 1 query only")
    rows = [
        draw_row(index, shape, Draws(seed, i), sampling=sampling, position=i)
        for i in range(episodes)
    ]
    return np.stack(rows)


def save_plan(path: Path, plan: np.ndarray) -> None:
    """Writes a plan as .npy."""
    writing.write_array(path, plan)


def load_plan(path: Path, shape: Shape, source: Source) -> np.ndarray:
    """Reads a plan; raises UserError where it does not fit the shape and the source."""
    try:
        # Mapped: a header may claim any size.
        plan = np.array(np.load(path, mmap_mode="r"))
        whole = plan.ndim == 2 and plan.size > 0 and plan.dtype.kind == "i"
    except Exception as error:  # what damage raises depends on the byte that it hit
        raise UserError(f"{path}: is no plan of episodes; remove it") from error
    fits = whole and plan.shape[1] == shape.columns
    of_photos = plan[:, shape.way :] if fits else plan
    if not fits or plan.min() < 0 or of_photos.max() >= len(source):
        raise UserError(
            f"{path}: does not fit {shape.way}-way {shape.shot}-shot episodes of "
            f"{source.name}; remove it to have it drawn again"
        )
    return plan
