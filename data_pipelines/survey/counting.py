"""Photos, tags and masks of a source, counted within a bound on what is read.

The bounds are numbers of photos and of pixels, never of seconds: what is counted is the
same on every machine.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from typing import NamedTuple

import numpy as np

from ppcjax.console import screen
from ppcjax.data_pipelines.images import Photo
from ppcjax.data_pipelines.sources.base import (
    BACKGROUND,
    Record,
    Source,
    read_checked,
)
from ppcjax.types import IGNORE, UserError

PIXELS = 400_000_000  # in masks
TAGS = 20_000  # photos, where a tag costs little
DECODED = 50  # photos that are decoded for their size
DECODED_PIXELS = 100_000_000
THREADS = 4
CHUNK = 64
# Share of a mask from which on a class in it is no speck.
SPECK = 0.01


class Counts(NamedTuple):
    """What the photos of a source hold.

    looked_at: photos that were opened at all.
    sizes: [S, 2] (width, height) of the photos whose size was read.
    tags_read: photos whose tags were looked for.
    tagged: [C] photos tagged with each class; for the background, with no other one.
    with_tags: photos that have tags.
    untagged: index -> why a photo has no tags.
    masks_read: photos whose masks were looked for.
    shown: [C] photos whose mask shows each class.
    pixels: [C + 1] pixels of each class, then void ones.
    masked: photos that have a mask.
    unmasked: index of the first photo that has none; -1 where all have one.
    both: photos that have tags and a mask that shows a class.
    beyond: photos whose mask shows a class that their tags do not name.
    far: the same, without classes that are mere specks.
    damaged: index -> why a photo cannot be used.
    """

    looked_at: int
    sizes: np.ndarray
    tags_read: int
    tagged: np.ndarray
    with_tags: int
    untagged: dict[int, str]
    masks_read: int
    shown: np.ndarray
    pixels: np.ndarray
    masked: int
    unmasked: int
    both: int
    beyond: int
    far: int
    damaged: dict[int, str]


class _Reads(NamedTuple):
    """What is read of a photo: its size from the header or decoded, tags, mask."""

    size: bool
    decode: bool
    tags: bool
    mask: bool


class _Look(NamedTuple):
    """What was read of a photo.

    size: (width, height), or None.
    tags: [C] float32, or None.
    pixels: [C + 1] pixels of the mask, void last; or None.
    error: why it cannot be used, or "".
    """

    index: int
    size: tuple[int, int] | None = None
    tags: np.ndarray | None = None
    pixels: np.ndarray | None = None
    error: str = ""


@screen.waiting("looking at photos and labels")
def count(source: Source, *, labels: bool, skip: bool) -> Counts:
    """Counts what a source holds; photos are taken evenly spaced over it.

    Args:
        source: photos.
        labels: whether tags and masks are read.
        skip: whether a photo that cannot be used is noted; else it raises.

    Raises:
        UserError: a photo or a mask cannot be used, and `skip` is False.
    """
    total = _Total(source)
    order = iter(spread(len(source)))
    with ThreadPoolExecutor(THREADS) as pool:
        while True:
            reads = total.wanted(labels)
            room = total.room(reads)
            chunk = list(islice(order, room)) if any(reads) else []
            if not chunk:
                return total.counts()
            looks = pool.map(partial(_look, source, reads, skip), chunk)
            for look in looks:
                total.add(look, reads)


def spread(length: int) -> Sequence[int]:
    """0..length-1 so ordered that every beginning is about evenly spaced.

    Args:
        length: how many numbers there are.
    """
    bits = max(length - 1, 1).bit_length()
    numbers = np.arange(1 << bits)
    turned = sum(((numbers >> b) & 1) << (bits - 1 - b) for b in range(bits))
    return turned[turned < length].tolist()


def _look(source: Source, reads: _Reads, skip: bool, index: int) -> _Look:
    try:
        record = source.record(index)
        size = _size(record, reads)
        tags = mask = None
        if reads.tags and index not in source.untagged:
            tags = record.tags()
        if reads.mask:
            mask = record.mask()
            if size is not None:
                width, height = size
                empty = Photo(np.zeros((0, 0, 3), np.uint8), height, width)
                read_checked(record._replace(mask=lambda: mask), empty)
        pixels = None if mask is None else _pixels(mask, len(source.classes))
        return _Look(index, size, tags, pixels)
    except UserError as error:
        if not skip:
            raise
        return _Look(index, error=str(error))


def _size(record: Record, reads: _Reads) -> tuple[int, int] | None:
    if reads.size and record.size is not None:
        height, width = record.size()
        return width, height
    if reads.decode and record.size is None:
        photo = record.photo(1)
        return photo.width, photo.height
    return None


def _pixels(mask: np.ndarray, classes: int) -> np.ndarray:
    counts = np.bincount(mask.ravel(), minlength=IGNORE + 1)
    return np.append(counts[:classes], counts[IGNORE])


class _Total:
    """Sums over photos, and what is still to be read."""

    def __init__(self, source: Source):
        self._source = source
        classes = len(source.classes)
        self._sizes: list[tuple[int, int]] = []
        self._sized = self._decoded = self._decoded_pixels = 0
        self._tags_read = self._with_tags = 0
        self._tagged = np.zeros(classes, np.int64)
        self._untagged = dict(source.untagged)
        self._masks_read = self._masked = 0
        self._shown = np.zeros(classes, np.int64)
        self._pixels = np.zeros(classes + 1, np.int64)
        self._unmasked: list[int] = []
        self._both = self._beyond = self._far = 0
        self._damaged: dict[int, str] = {}

    def wanted(self, labels: bool) -> _Reads:
        most = self._source.surveyed
        by = self._source.tags_by
        return _Reads(
            size=self._sized < most,
            decode=self._decoded < DECODED and self._decoded_pixels < DECODED_PIXELS,
            tags=labels
            and by != "mask"
            and self._tags_read < (TAGS if by == "table" else most),
            mask=labels and self._masked < most and self._pixels.sum() < PIXELS,
        )

    def room(self, reads: _Reads) -> int:
        """Photos that may be opened at once."""
        left = self._source.surveyed - self._masked
        return min(CHUNK, left) if reads.mask else CHUNK

    def add(self, look: _Look, reads: _Reads) -> None:
        self._sized += 1
        self._decoded += reads.decode
        if look.error:
            self._damaged[look.index] = look.error
            return
        if look.size is not None:
            self._sizes.append(look.size)
            self._decoded_pixels += look.size[0] * look.size[1]
        tags = look.tags
        if self._source.tags_by == "mask" and look.pixels is not None:
            tags = (look.pixels[:-1] > 0).astype(np.float32)
        self._add_mask(look, reads)
        if reads.tags or (reads.mask and self._source.tags_by == "mask"):
            self._add_tags(look.index, tags)
        if look.tags is not None and look.pixels is not None:
            self._compare(look.tags, look.pixels)

    def _add_tags(self, index: int, tags: np.ndarray | None) -> None:
        self._tags_read += 1
        if tags is None:
            missing = f"{self._source.name}: image {self._source.ids[index]!r} has no"
            self._untagged.setdefault(index, f"{missing} tags")
            return
        self._with_tags += 1
        alone = self._source.classes[0] == BACKGROUND
        self._tagged[1:] += tags[1:] > 0
        self._tagged[0] += not (tags[1:] > 0).any() if alone else tags[0] > 0

    def _add_mask(self, look: _Look, reads: _Reads) -> None:
        self._masks_read += int(reads.mask)
        if look.pixels is not None:
            self._masked += 1
            self._pixels += look.pixels
            self._shown += look.pixels[:-1] > 0
        elif reads.mask:
            self._unmasked.append(look.index)

    def _compare(self, tags: np.ndarray, pixels: np.ndarray) -> None:
        shown, untold = pixels[1:-1], tags[1:] == 0
        self._both += int(shown.any())
        self._beyond += int((shown[untold] > 0).any())
        self._far += int((shown[untold] >= SPECK * pixels.sum()).any())

    def counts(self) -> Counts:
        return Counts(
            looked_at=self._sized,
            sizes=np.array(self._sizes, np.int64).reshape(-1, 2),
            tags_read=self._tags_read,
            tagged=self._tagged,
            with_tags=self._with_tags,
            untagged=dict(sorted(self._untagged.items())),
            masks_read=self._masks_read,
            shown=self._shown,
            pixels=self._pixels,
            masked=self._masked,
            unmasked=min(self._unmasked, default=-1),
            both=self._both,
            beyond=self._beyond,
            far=self._far,
            damaged=dict(sorted(self._damaged.items())),
        )
