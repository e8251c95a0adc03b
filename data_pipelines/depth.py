"""Photos of more than 8 bits: their values, and which of them is white.

Cameras and microscopes store 10, 12 or 14 bits in files of 16, and nothing in the file
says so. White is therefore the smallest of LEVELS that no value exceeds: of all photos
of a source together, or of a single photo where it stands alone. A photo of 16 bits
that is very dark throughout looks like one of 12, so the guess has to be said.
"""

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from ppcjax.data_pipelines.photo_files import open_photo

LEVELS = tuple(2**bits - 1 for bits in (8, 10, 12, 14, 16))
_SUFFIXES = (".png", ".tif", ".tiff")  # files that may hold 16 bits
_HEADERS, _PHOTOS = 2000, 32  # how many are looked at, evenly spaced
# Pillow's unpacking of several 16-bit channels, which keeps the high bytes alone.
_DEEP = re.compile(r"(RGB|RGBA|RGBX|LA);16([BLN])")
_SWAPPED = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}
_BITS_PER_SAMPLE = 258

# (first row, row after the last) -> values of a photo's rows.
Rows = Callable[[int, int], np.ndarray]


def is_deep(file: Image.Image) -> bool:
    """Whether an opened photo holds more than 8 bits a channel, as integers."""
    return file.mode.startswith("I") or _unpacking(file) is not None


def deep_rows(file: Image.Image, data: Path | bytes) -> Rows:
    """Reads a photo for which `is_deep` holds.

    Args:
        file: the photo, opened.
        data: what it was opened from; coloured ones are read twice, as Pillow gives
            the high bytes and, told the other byte order, the low ones.

    Returns:
        Gives [rows, w, c] uint16; with 2 or 4 channels the last is alpha. ValueError
        where values are below 0 or beyond 16 bits.
    """
    unpacking = _unpacking(file)
    if unpacking is None:
        return lambda top, bottom: _grey(_crop(file, top, bottom))
    channels, order = unpacking
    if channels == "LA":  # four bytes a pixel, read as if they were four channels
        _unpack(file, "RGBA")
        file._mode = "RGBA"
        file.load()
        return lambda top, bottom: _joined(_crop(file, top, bottom))
    file.load()
    with open_photo(data) as again:
        _unpack(again, f"{channels};16{_SWAPPED[order]}")
        again.load()
    count = 4 if channels == "RGBA" else 3

    def rows(top, bottom):
        high = _crop(file, top, bottom)[..., :count].astype(np.uint16)
        return high << 8 | _crop(again, top, bottom)[..., :count]

    return rows


def strips(height: int, width: int) -> Iterator[tuple[int, int]]:
    """First rows and ends of parts of a photo, of about four million pixels each."""
    step = max(2**22 // width, 1)
    for top in range(0, height, step):
        yield top, min(top + step, height)


def whites(file: Image.Image, rows: Rows, white: int | None) -> np.ndarray:
    """Which value of each channel becomes 255.

    Args:
        file: the photo, opened.
        rows: its values, as `deep_rows` gives them.
        white: what counts in its source; a photo with larger values has a level of
            its own. None: the photo's own level.

    Returns:
        The levels [c] int64; alpha has its own.
    """
    colours, channels = _channels(rows)
    if white == LEVELS[-1] and colours == channels:
        return np.full(channels, white)  # no value can exceed it
    largest = _largest_values(file, rows)
    own = np.array([_level(int(value)) for value in largest])
    own[:colours] = _declared(file) or max(own[:colours].max(), white or 0)
    return own


def to_8_bits(values: np.ndarray, levels: np.ndarray) -> Image.Image:
    """A photo of 8 bits, rounded.

    Args:
        values: [h, w, c] uint16.
        levels: [c], what becomes 255.

    Returns:
        Mode L, LA, RGB or RGBA.
    """
    every = np.arange(2**16)[:, None]
    table = ((every * 255 + levels // 2) // levels).clip(max=255).astype(np.uint8)
    channels = [table[values[..., c], c] for c in range(values.shape[-1])]
    return Image.fromarray(np.stack(channels, -1) if channels[1:] else channels[0])


def white_of(files: Sequence[Path], damage: tuple) -> tuple[int | None, str]:
    """Which value is white in all photos of a source.

    Args:
        files: the photos.
        damage: errors of photos that cannot be read, which say nothing here.

    Returns:
        The level, None where none is deep, and what was guessed, in one line: empty
        where nothing was, as values beyond 14 bits occur.
    """
    candidates = [file for file in files if file.suffix.lower() in _SUFFIXES]
    some = _evenly(candidates, _HEADERS)
    deep = [file for file in some if _guessed(file, damage)]
    largest, looked = -1, _evenly(deep, _PHOTOS)
    for file in looked:
        largest = max(largest, _largest(file, damage))
        if largest > LEVELS[-2]:
            return LEVELS[-1], ""
    if largest < 0:
        return None, ""
    white = _level(largest)
    return white, (
        f"{len(deep)} photos of 16 bits hold no value above {largest} (looked at "
        f"{len(looked)}), so they are read as {white.bit_length()} bits, with {white} "
        "as white; one with larger values has a white of its own"
    )


def _evenly(items: Sequence, count: int) -> Sequence:
    """At most `count` of them, the first and the last among them."""
    if len(items) <= count:
        return items
    return [items[i * (len(items) - 1) // (count - 1)] for i in range(count)]


def _guessed(file, damage):
    """Whether a file holds more than 8 bits and does not say how many."""
    try:
        with open_photo(file) as photo:
            return is_deep(photo) and not _declared(photo)
    except damage:
        return False


def _largest(file, damage):
    """Largest value of a photo, alpha left out; -1 of one that cannot be read."""
    try:
        with open_photo(file) as photo:
            rows = deep_rows(photo, file)
            return int(_largest_values(photo, rows)[: _channels(rows)[0]].max())
    except damage:
        return -1


def _largest_values(file, rows):
    """[c], over all pixels."""
    parts = [rows(*strip).max((0, 1)) for strip in strips(file.height, file.width)]
    return np.max(parts, 0)


def _channels(rows):
    """Number of colours, and of channels; the last of 2 and of 4 is alpha."""
    count = rows(0, 1).shape[-1]
    return count - (count in (2, 4)), count


def _declared(file):
    """White as the file itself says it, or None."""
    if file.format == "PPM":  # Pillow has scaled it to 16 bits
        return LEVELS[-1]
    bits = getattr(file, "tag_v2", {}).get(_BITS_PER_SAMPLE, (16,))[0]
    return 2**bits - 1 if 8 < bits < 16 else None


def _level(largest: int) -> int:
    return next(white for white in LEVELS if white >= largest)


def _crop(file, top, bottom):
    return np.asarray(file.crop((0, top, file.width, bottom)))


def _grey(values):
    if values.min() < 0 or values.max() > LEVELS[-1]:
        raise ValueError("grey values beyond 16 bits")
    return values.astype(np.uint16)[..., None]


def _joined(four):
    four = four.astype(np.uint16)
    return four[..., ::2] << 8 | four[..., 1::2]


def _unpacking(file):
    """(channels, byte order) of a photo with several 16-bit channels, or None."""
    for tile in getattr(file, "tile", None) or ():
        name = tile.args if isinstance(tile.args, str) else (tile.args or ("",))[0]
        found = _DEEP.fullmatch(str(name))
        return found.groups() if found else None
    return None


def _unpack(file, how: str) -> None:
    """Has the pixels of an opened photo unpacked in another way."""

    def changed(args):
        return how if isinstance(args, str) else (how, *args[1:])

    file.tile = [tile._replace(args=changed(tile.args)) for tile in file.tile]
