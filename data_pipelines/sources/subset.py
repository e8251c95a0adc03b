"""Some of a source's images: evenly spaced, drawn at random, or by their places."""

import dataclasses
from collections.abc import Sequence
from functools import partial
from typing import TypeVar

import numpy as np

from ppcjax.data_pipelines.order import permutation
from ppcjax.data_pipelines.sources.base import Source
from ppcjax.types import UserError

T = TypeVar("T")
LOOKED_AT = 2000  # photos


def part(source: Source, count: int | None) -> Source:
    """At most `count` images of a source, evenly spaced; None for all of it."""
    count = len(source) if count is None else count
    return take(source, evenly_spaced(range(len(source)), count))


def few(source: Source, count: int, *, seed: int, masked: bool) -> Source:
    """`count` images of a source, drawn at random.

    Those of a smaller count are among those of a larger one with the same seed, so
    that a curve over counts compares like with like.

    Args:
        source: where the images are.
        count: how many are drawn.
        seed: number that decides which.
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


def largest(source: Source) -> int:
    """Index of the photo with most pixels, by the headers of at most `LOOKED_AT`.

    It is the first photo where only decoding would tell.

    Args:
        source: at least one photo.
    """
    return max(evenly_spaced(range(len(source)), LOOKED_AT), key=partial(_area, source))


def _area(source: Source, index: int) -> int:
    record = source.record(index)
    if record.size is None:
        return 0
    try:
        height, width = record.size()
    except UserError:  # a photo that cannot be read is somebody else's to tell
        return 0
    return height * width


def evenly_spaced(items: Sequence[T], count: int) -> list[T]:
    """At most `count` of the items, evenly spaced, the first and last among them."""
    count = min(count, len(items))
    places = np.linspace(0, len(items) - 1, count).round().astype(int)
    return [items[i] for i in places.tolist()]
