"""Boxes around objects, in a table as people and tools write it: boxes.csv.

image,class,x0,y0,x1,y1     pixels, ends excluded; columns in any order, under any of
                            their usual names, with ; or tab between them as well
image,class,x,y,w,h         the same by size
"""

import csv
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ppcjax.data_pipelines.sources import files
from ppcjax.data_pipelines.text import read_text
from ppcjax.types import IGNORE, UserError

NAME = "boxes.csv"
FORM = "image,class,x0,y0,x1,y1"
# Usual names of the columns, in lower case without spaces, dots and underscores.
_COLUMNS = {
    "image": ("image", "filename", "file", "photo", "path", "imagename", "img", "id"),
    "class": ("class", "label", "name", "category", "tag", "classname", "labelname"),
    "x0": ("x0", "xmin", "left", "x", "minx"),
    "y0": ("y0", "ymin", "top", "y", "miny"),
    "x1": ("x1", "xmax", "right", "x2", "maxx"),
    "y1": ("y1", "ymax", "bottom", "y2", "maxy"),
    "w": ("w", "width", "boxwidth", "bboxwidth"),
    "h": ("h", "height", "boxheight", "bboxheight"),
}
_SEPARATORS = ",;\t|"


class Box(NamedTuple):
    """A box: class name or number as written, and x0, y0, x1, y1 in pixels."""

    name: str
    x0: float
    y0: float
    x1: float
    y1: float


class Boxes(NamedTuple):
    """What a table of boxes says.

    of: boxes of each photo, by id, with the line that each stands in.
    file: the table.
    names: names of the classes; empty where they are numbers.
    """

    of: dict[str, list[tuple[int, Box]]]
    file: Path
    names: tuple[str, ...] = ()

    def named(self, names: Sequence[str]) -> Callable[[str], list[tuple]]:
        """A function id -> its boxes (class, x0, y0, x1, y1) in whole pixels.

        Args:
            names: names of the classes, without the background; empty: numbers.

        Raises:
            UserError: a class is not among the names.
        """
        found = {
            key: [
                (self._class_id(line, box.name, names), *_whole(box)) for line, box in b
            ]
            for key, b in self.of.items()
        }
        return found.__getitem__

    def _class_id(self, line: int, text: str, names: Sequence[str]) -> int:
        alike = [i for i, n in enumerate(names, 1) if n.casefold() == text.casefold()]
        if text in names:
            return names.index(text) + 1
        if len(alike) == 1:
            return alike[0]
        if text.isdecimal() and 0 < int(text) <= (len(names) or IGNORE - 1):
            return int(text)
        known = f"one of {', '.join(names)}" if names else "a number from 1"
        raise UserError(f"{self.file}, line {line}: class {text!r} is not {known}")


def fill(boxes: Sequence[tuple], size: tuple[int, int]) -> np.ndarray:
    """A mask [H, W] int32 of filled boxes (class, x0, y0, x1, y1); later ones on top.

    Everything outside the boxes is background.
    """
    mask = np.zeros(size, np.int32)
    for class_id, x0, y0, x1, y1 in boxes:
        mask[max(y0, 0) : max(y1, 0), max(x0, 0) : max(x1, 0)] = class_id
    return mask


def read(file: Path, photos: Mapping[str, Path]) -> Boxes:
    """The boxes of a table.

    Args:
        file: the table.
        photos: files by id; a row may name one by its path, or by its file name where
            that is unique.

    Raises:
        UserError: a row is malformed or names no photo; the message has its line.
    """
    rows = _rows(file)
    places = _places(file, rows)
    first = 1 if _numbers(rows[0][1], places) is None else 0
    found: dict[str, list[tuple[int, Box]]] = {}
    for line, row in rows[first:]:
        where = f"{file}, line {line}"
        values = _numbers(row, places)
        if values is None:
            raise UserError(
                f"{where}: {','.join(row)!r} is no box; write {FORM} in pixels"
            )
        box = Box(row[places["class"]].strip(), *values)
        key = _photo(row[places["image"]], photos, where)
        if max(values) <= 1:
            raise UserError(f"{where}: {values} are shares of the photo; write pixels")
        if box.x0 >= box.x1 or box.y0 >= box.y1 or box.x1 <= 0 or box.y1 <= 0:
            raise UserError(f"{where}: the box {values} is empty; correct the line")
        found.setdefault(key, []).append((line, box))
    if not found:
        raise UserError(
            f"{file}: holds no box; write a line {FORM} for each, or remove it"
        )
    words = {box.name for b in found.values() for _, box in b}
    numbers = all(word.isdecimal() for word in words)
    return Boxes(found, file, () if numbers else tuple(sorted(words)))


def _rows(file: Path) -> list[tuple[int, list[str]]]:
    """Line and cells of every row that is not blank."""
    lines = read_text(file).splitlines()
    head = next((line for line in lines if line.strip()), "")
    separator = max(_SEPARATORS, key=head.count)
    try:
        rows = list(enumerate(csv.reader(lines, delimiter=separator), 1))
    except csv.Error as error:
        raise UserError(f"{file}: is no table ({error}); write {FORM}") from error
    rows = [(line, row) for line, row in rows if any(cell.strip() for cell in row)]
    if not rows:
        raise UserError(f"{file}: is empty; write {FORM}, or remove it")
    return rows


def _places(file: Path, rows: Sequence[tuple[int, list[str]]]) -> dict[str, int]:
    """Column of each part: by the names in the first row, else in the usual order."""
    head = [re.sub(r"[\s._-]", "", cell).lower() for cell in rows[0][1]]
    places = {
        part: head.index(name)
        for part, names in _COLUMNS.items()
        for name in reversed(names)
        if name in head
    }
    if {"x1", "y1"} <= set(places):  # width and height are those of the photo then
        places = {k: v for k, v in places.items() if k not in ("w", "h")}
    ends = {"x1", "y1"} if "x1" in places else {"w", "h"}
    if {"image", "class", "x0", "y0", *ends} <= set(places):
        return places
    plain = dict(zip(("image", "class", "x0", "y0", "x1", "y1"), range(6), strict=True))
    known = sum(name in head for names in _COLUMNS.values() for name in names)
    six = all(len(row) == 6 for _, row in rows)
    if six and known < 2 and all(_numbers(row, plain) for _, row in rows[1:]):
        return plain
    raise UserError(
        f"{file}: its first line must name the columns {FORM}; it is "
        f"{','.join(rows[0][1])!r}"
    )


def _numbers(row: Sequence[str], places: Mapping[str, int]) -> tuple | None:
    """x0, y0, x1, y1 of a row; None where they are no numbers."""
    try:
        values = {
            part: float(row[place].strip().replace(",", "."))
            for part, place in places.items()
            if part not in ("image", "class")
        }
    except (ValueError, IndexError):
        return None
    if not all(np.isfinite(v) and abs(v) < 1e6 for v in values.values()):
        return None
    x0, y0 = values["x0"], values["y0"]
    x1 = values["x1"] if "x1" in values else x0 + values["w"]
    y1 = values["y1"] if "y1" in values else y0 + values["h"]
    return x0, y0, x1, y1


def _photo(name: str, photos: Mapping[str, Path], where: str) -> str:
    key = files.as_id(name)
    if key in photos:
        return key
    last = key.rpartition("/")[2]
    alike = [photo for photo in photos if photo.rpartition("/")[2] == last]
    if len(alike) != 1:
        problem = f"is the name of {len(alike)} photos" if alike else "is not there"
        raise UserError(f"{where}: the photo {name!r} {problem}; correct the line")
    return alike[0]


def _whole(box: Box) -> tuple[int, int, int, int]:
    """Whole pixels; a box that is thinner than one keeps one."""
    x0, y0, x1, y1 = (round(value) for value in box[1:])
    return x0, y0, max(x1, x0 + 1), max(y1, y0 + 1)
