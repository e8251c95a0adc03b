"""What the files of a set hold, without keeping their pixels."""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

from ppcjax.data_pipelines.masks.colours import pack
from ppcjax.data_pipelines.masks.pixels import Head, Unreadable, read_pixels

_THREADS = 4
_AT_ONCE = 16  # files read ahead of whoever may stop early
_MOST = 4096

Found = TypeVar("Found")


class Summary(NamedTuple):
    """The values of a mask.

    head: what they are.
    values: sorted distinct values; packed colours where its kind is "colour", the
        first few thousand of them, more than any list has.
    """

    head: Head
    values: np.ndarray


def summary(file: Path) -> Summary:
    """Decodes a file and keeps which values occur."""
    pixels = read_pixels(file, str(file))
    colour = pixels.head.kind == "colour"
    values = pack(pixels.values) if colour else pixels.values
    return Summary(pixels.head, distinct(values)[: _MOST if colour else None])


def colours_of(found: Summary) -> np.ndarray:
    """Packed colours that a mask in colour or of a palette holds."""
    if found.head.kind == "colour":
        return found.values
    palette = pack(found.head.palette)
    return palette[found.values[found.values < len(palette)]]


def distinct(values: np.ndarray) -> np.ndarray:
    """Sorted distinct values of [H, W] integers, as int64.

    Masks are flat: the values at which a row changes are few, and sorting only those
    is several times faster than sorting all.
    """
    flat = values.reshape(-1)
    starts = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    return np.unique(np.append(flat[starts], flat[:1])).astype(np.int64)


def scan(
    files: Mapping[str, Path], read: Callable[[Path], Found]
) -> Iterator[tuple[str, Found]]:
    """What `read` says of each file, in their order, a few threads ahead.

    Files that cannot be read are passed over here: whoever reads their mask is told.

    Args:
        files: id -> file.
        read: file -> what is wanted; must keep no pixels.

    Raises:
        UserError: a file is of a kind that never holds exact ids.
    """
    keys = list(files)
    with ThreadPoolExecutor(_THREADS) as pool:
        for start in range(0, len(keys), _AT_ONCE):
            ahead = keys[start : start + _AT_ONCE]
            found = pool.map(lambda key: _attempt(read, files[key]), ahead)
            for key, value in zip(ahead, found, strict=True):
                if value is not None:
                    yield key, value


def _attempt(read: Callable[[Path], Found], file: Path) -> Found | None:
    try:
        return read(file)
    except Unreadable:
        return None
