"""YOLO segmentation: a text of outlines for each photo, and data.yaml.

LABELS/ID.txt lies where Ultralytics looks for it: the folder `images` of a photo's path
replaced by `labels`, or beside the photo. Rows lie in the order of the file, later ones
on top. A photo without a text shows nothing where others of its folder have one.
"""

from collections import Counter
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ppcjax.data_pipelines.formats import raster
from ppcjax.data_pipelines.formats.base import Annotations, Region, Scene, assemble
from ppcjax.data_pipelines.formats.names import Unusable
from ppcjax.data_pipelines.formats.yolo_names import Listing, find_list, find_yaml
from ppcjax.data_pipelines.text import read_text
from ppcjax.types import UserError

_BEYOND = 0.5  # shares of the photo; further out are pixels, not shares


class _Row(NamedTuple):
    """A line of a text: class id, and numbers between 0 and 1 (or slightly beyond)."""

    label: int
    values: np.ndarray


def find(root: Path, photos: Mapping[str, Path]) -> Annotations | None:
    """The YOLO labels below a folder."""
    places = {key: _places(root, file, key) for key, file in photos.items()}
    texts = {}
    for key, options in places.items():
        file = next((option for option in options if option.is_file()), None)
        if file is not None:
            texts[key] = file
    listing = find_yaml(root)
    if not texts:
        if listing is not None and listing.is_yolo:
            raise Unusable(
                f"{listing.file}: is of YOLO, but no photo has a text of labels, such "
                "as labels/train/a.txt of images/train/a.jpg"
            )
        return None
    certain = listing is not None and listing.is_yolo
    if not certain and not _first_row_fits(texts):
        return None
    listing = listing or find_list(root, [file.parent for file in texts.values()])
    if listing is None or not listing.names:
        first = next(iter(texts.values()))
        raise UserError(
            f"{first}: is a text of YOLO, whose classes have no names; write data.yaml "
            "with names, or classes.txt beside it"
        )
    return _read(root, photos, texts, listing)


def _places(root: Path, file: Path, key: str) -> list[Path]:
    """Where the text of a photo may lie, the likeliest first."""
    parts = list(file.parent.relative_to(root).parts)
    where = []
    if "images" in parts:
        last = len(parts) - 1 - parts[::-1].index("images")
        where.append(root.joinpath(*parts[:last], "labels", *parts[last + 1 :]))
    where += [root.joinpath("labels", *parts), file.parent / "labels", file.parent]
    return [folder / f"{file.stem}.txt" for folder in where]


def _first_row_fits(texts: Mapping[str, Path]) -> bool:
    """Whether the first text that says anything has rows of numbers."""
    for file in texts.values():
        words = read_text(file).split()
        if words:
            return len(words) >= 5 and _is_number(words[0]) and _is_number(words[1])
    return False


def _is_number(word: str) -> bool:
    try:
        return np.isfinite(float(word))
    except ValueError:
        return False


def _read(
    root: Path, photos: Mapping[str, Path], texts: Mapping[str, Path], listing: Listing
) -> Annotations:
    scenes, passed, clipped = {}, Counter(), 0
    folders = {file.parent for file in texts.values()}
    empty = 0
    for key in photos:
        file = texts.get(key)
        if file is None:
            if _places(root, photos[key], key)[0].parent in folders:
                empty += 1
                scenes[key] = Scene(f"{photos[key]} (without a text)", None, ())
            continue
        rows = [_row(line, f"{file} line {n}") for n, line in _lines(file)]
        clipped += sum(((r.values < 0) | (r.values > 1)).any() for r in rows)
        scenes[key] = Scene(
            str(file), None, tuple(_region(row, str(file), listing) for row in rows)
        )
    warnings = []
    if empty:
        warnings.append(f"YOLO: {empty} photos have no text, so they show nothing")
    if clipped:
        warnings.append(f"YOLO: {clipped} rows reach out of their photo and are cut")
    return assemble(
        f"YOLO labels of {len(texts)} photos, names of {listing.file.name}",
        [listing.names[key] for key in sorted(listing.names)],
        scenes,
        photos,
        splits=listing.splits(root, photos),
        passed=passed,
        warnings=[*warnings, *listing.warnings],
    )


def _lines(file: Path):
    for place, line in enumerate(read_text(file).splitlines(), 1):
        if line.strip():
            yield place, line


def _row(line: str, where: str) -> _Row:
    words = line.split()
    if not all(map(_is_number, words)) or float(words[0]) != int(float(words[0])):
        raise UserError(f"{where}: is not a class id and numbers between 0 and 1")
    values = np.array([float(word) for word in words[1:]])
    if len(values) != 4 and (len(values) < 6 or len(values) % 2):
        raise UserError(
            f"{where}: has {len(values)} numbers after the class id; a box has 4, an "
            "outline pairs of at least three points"
        )
    if (values < -_BEYOND).any() or (values > 1 + _BEYOND).any():
        raise UserError(
            f"{where}: holds {values[np.abs(values - 0.5).argmax()]:g}; divide by the "
            "size of the photo, so that all numbers lie between 0 and 1"
        )
    return _Row(int(float(words[0])), values)


def _region(row: _Row, where: str, listing: Listing) -> Region:
    if row.label not in listing.names:
        known = ", ".join(str(key) for key in sorted(listing.names)[:8])
        raise UserError(
            f"{where}: holds class id {row.label}, which {listing.file} does not name "
            f"(it names {known}{', ...' if len(listing.names) > 8 else ''})"
        )
    kind = "box" if len(row.values) == 4 else "outline"
    painter = partial(_paint, row.values, where)
    return Region((listing.names[row.label],), kind, painter)


def _paint(values: np.ndarray, where: str, mask: np.ndarray, value: int) -> None:
    sides = np.array(mask.shape[::-1], np.float64)
    if len(values) == 4:
        middle, size = values[:2] * sides, values[2:] * sides
        corners = raster.box_corners(*(middle - size / 2), *size)
    else:
        corners = raster.from_shares(values.reshape(-1, 2), sides)
    raster.fill_polygon(mask, np.clip(corners, 0, sides), value, where)
