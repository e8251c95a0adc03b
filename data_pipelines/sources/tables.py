"""Tables of tags, as people and spreadsheets write them."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ppcjax.data_pipelines.sources.files import as_id
from ppcjax.types import UserError


class Table(NamedTuple):
    """What a table of tags says.

    tags: names of the classes of each image that it names, by id; () for no tag.
    text: how it is written, in a few words, for the account of what was read.
    warnings: what was guessed or looks wrong, one line each.
    """

    tags: dict[str, tuple[str, ...]]
    text: str = ""
    warnings: tuple[str, ...] = ()


def read_table(
    file: Path, ids: Mapping[str, object], classes: Sequence[str] = ()
) -> Table:
    """Reads `tags.csv`: image, tags separated by spaces; a header may be absent.

    Args:
        file: the table.
        ids: the images that there are; a row may name one by its path, or by its
            file name where that is unique.
        classes: names that are known, without the background; empty: none are.

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
    return Table(tags, f"{file.name}, tags separated by spaces")


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
