"""Image-level tags from a table, from VOC annotations, from folder names."""

import csv
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ppcjax.data_pipelines.sources.base import BACKGROUND
from ppcjax.data_pipelines.sources.files import as_id
from ppcjax.types import UserError


def read_table(file: Path, ids: Mapping[str, object]) -> dict[str, tuple[str, ...]]:
    """Reads `tags.csv`: image, tags separated by spaces; a header may be absent.

    Args:
        file: the table.
        ids: the images that there are; a row may name one by its path, or by its
            file name where that is unique.

    Returns:
        Tags by image id.

    Raises:
        UserError: a row is malformed, names no image, or an image twice.
    """
    by_name: dict[str, list[str]] = {}
    for key in ids:
        by_name.setdefault(key.rpartition("/")[2], []).append(key)
    tags: dict[str, tuple[str, ...]] = {}
    for number, row in _rows(file):
        where = f"{file} line {number}"
        if len(row) != 2:
            raise UserError(
                f"{where}: has {len(row)} columns; write image,tags with the tags "
                "separated by spaces"
            )
        key = as_id(row[0])
        if key not in ids:
            matches = by_name.get(key.rpartition("/")[2], []) if "/" not in key else []
            if len(matches) != 1:
                problem = "several images" if matches else "no image"
                raise UserError(
                    f"{where}: {row[0]!r} is the name of {problem} below the root; "
                    "write the path relative to the image folder, or remove the row"
                )
            key = matches[0]
        if key in tags:
            raise UserError(f"{where}: a second row for {row[0]!r}; merge the rows")
        tags[key] = tuple(row[1].split())
    return tags


def _rows(file: Path):
    """Line number and cells of every row that is neither blank nor the header."""
    try:
        with open(file, encoding="utf-8-sig", newline="") as lines:
            for number, row in enumerate(csv.reader(lines), 1):
                header = number == 1 and [c.strip().lower() for c in row[:2]] in (
                    ["image", "tags"],
                    ["image", "tag"],
                )
                if not header and any(cell.strip() for cell in row):
                    yield number, row
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(
            f"{file}: is not a UTF-8 table of image,tags ({error})"
        ) from error


def read_annotation(file: Path) -> tuple[str, ...]:
    """The class names of all objects in a VOC XML file, difficult ones included."""
    try:
        names = [n.text for n in ElementTree.parse(file).iterfind("object/name")]
    except (OSError, ElementTree.ParseError) as error:
        raise UserError(
            f"{file}: cannot be read as a VOC annotation ({error}); unpack Annotations "
            "again, or set config.data.tags=masks"
        ) from error
    return tuple(dict.fromkeys(name.strip() for name in names if name))


def encode(names: tuple[str, ...], classes: tuple[str, ...], where: str) -> np.ndarray:
    """Tag names as a vector; the tag "background" stands for none of the classes.

    Returns:
        [C] float32 in {0, 1}; the background column is 1.

    Raises:
        UserError: a name is no class; the message begins with `where`.
    """
    vector = np.zeros(len(classes), np.float32)
    vector[0] = 1
    for name in names:
        if name not in classes:
            raise UserError(
                f"{where}: unknown tag {name!r}; the classes are "
                f"{', '.join(classes[1:])} (or {BACKGROUND} for none of them)"
            )
        vector[classes.index(name)] = 1
    return vector


def encode_all(
    names: Mapping[str, tuple[str, ...]] | None,
    ids: tuple[str, ...],
    classes: tuple[str, ...],
    where: str,
) -> tuple[list[np.ndarray | None], dict[int, str]]:
    """Tag vectors of all images, and the images without a tag.

    Args:
        names: tags by image id; None where there is no table at all.
        ids: the images.
        classes: names, background first.
        where: the table, for errors.

    Returns:
        One [C] float32 vector or None per image, and index -> error for images that
        the table gives no tag.
    """
    if names is None:
        return [None] * len(ids), {}
    vectors: list[np.ndarray | None] = []
    untagged = {}
    for index, key in enumerate(ids):
        image = f"{where}: image {key!r}"
        known = key in names
        vectors.append(encode(names[key], classes, image) if known else None)
        if not names.get(key):
            untagged[index] = (
                f"{image} has no tag; give it one ({BACKGROUND} if it shows none of "
                "the classes), remove it, or leave such images out with "
                "on_bad_image=skip"
            )
    return vectors, untagged
