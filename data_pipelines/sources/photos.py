"""Photographs without a data set around them, and parts of a source."""

import dataclasses
import glob
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
from ppcjax.data_pipelines import images
from ppcjax.data_pipelines.order import permutation
from ppcjax.data_pipelines.sources import files
from ppcjax.data_pipelines.sources.base import Record, Source
from ppcjax.data_pipelines.sources.folder import folder

from ppcjax.types import UserError

T = TypeVar("T")


def photos(pattern: str, classes: tuple[str, ...]) -> Source:
    """Photographs to predict: a folder, one file, or a pattern such as "a/*.jpg".

    A folder that holds tags.csv is read as source folder reads it; no other photo has
    tags or a mask.

    Args:
        pattern: path of a folder, searched at any depth, or of files.
        classes: names that the checkpoint knows, background first.

    Raises:
        UserError: there is no image, or two have the same name but for the suffix.
    """
    path = Path(pattern).expanduser()
    if (path / "tags.csv").is_file():
        return folder("all", root=str(path), classes=classes[1:])
    found = files.find_images(path) if path.is_dir() else _matching(str(path))
    if not found:
        raise UserError(f"{pattern}: no image there; check the path or the pattern")
    ids = tuple(found)

    def record(index):
        file = found[ids[index]]

        def photo(at_least=0):
            return images.read_photo(file, str(file), at_least=at_least)

        return Record(ids[index], photo, lambda: None, lambda: None)

    return Source(pattern, classes, ids, record)


def _matching(pattern: str) -> dict[str, Path]:
    """Image files that match, by path without suffix below their common folder."""
    paths = [
        Path(path)
        for path in sorted(glob.glob(pattern, recursive=True))
        if path.lower().endswith(images.IMAGE_SUFFIXES)
    ]
    if not paths:
        return {}
    root = Path(os.path.commonpath([path.parent for path in paths]))
    found: dict[str, Path] = {}
    for path in paths:
        key = files.without_suffix(path.relative_to(root).as_posix())
        if key in found:
            raise UserError(
                f"{path} and {found[key].name} differ only by suffix; rename one"
            )
        found[key] = path
    return found


def part(source: Source, count: int | None) -> Source:
    """At most `count` images of a source, evenly spaced; None for all of it."""
    count = len(source) if count is None else count
    return take(source, evenly_spaced(range(len(source)), count))


def few(source: Source, count: int, *, seed: int, masked: bool) -> Source:
    """`count` images of a source, drawn at random.

    Those of a smaller count are among those of a larger one with the same seed, so
    that a curve over counts compares like with like.

    Args:
        source: of images.
        count: how many.
        seed: of the draw.
        masked: whether only images with a mask are drawn.

    Raises:
        UserError: the source has not so many.
    """
    kept: list[int] = []
    for index in permutation(seed, 0, len(source)).tolist():
        if len(kept) == count:
            break
        if not masked or source.record(index).mask() is not None:
            kept.append(index)
    if len(kept) < count:
        what = "images with a mask" if masked else "images"
        raise UserError(
            f"config.data.limit={count}: {source.name} has only {len(kept)} {what}; "
            "lower it, or set 0 for all"
        )
    return take(source, sorted(kept))


def take(source: Source, kept: Sequence[int]) -> Source:
    """The images of a source at the given indices."""
    return dataclasses.replace(
        source,
        ids=tuple(source.ids[i] for i in kept),
        record=lambda index: source.record(kept[index]),
        untagged={
            new: source.untagged[old]
            for new, old in enumerate(kept)
            if old in source.untagged
        },
    )


def evenly_spaced(items: Sequence[T], count: int) -> list[T]:
    """At most `count` of the items, evenly spaced, the first and last among them."""
    count = min(count, len(items))
    places = np.linspace(0, len(items) - 1, count).round().astype(int)
    return [items[i] for i in places.tolist()]
