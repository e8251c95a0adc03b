"""Tables of tags, as people and spreadsheets write them.

rows      which character stands between columns
photos    which photo a cell names
columns   which column is what
flags     columns of yes and no, one per class
cells     which tags a cell holds
spelling  one spelling per tag, and words that mean no class
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ppcjax.data_pipelines import text as texts
from ppcjax.data_pipelines.sources import words
from ppcjax.data_pipelines.sources.tables import cells, columns, flags, photos, rows
from ppcjax.data_pipelines.sources.tables.cells import Cell
from ppcjax.data_pipelines.sources.tables.photos import Finder
from ppcjax.data_pipelines.sources.tables.rows import Row
from ppcjax.data_pipelines.sources.tables.spelling import spellings
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


class _Read(NamedTuple):
    """The rows of a table: tags as written by row, what was said, and the columns."""

    tags: list[tuple[str, ...]]
    text: str
    warnings: tuple[str, ...]


def read_table(
    file: Path, ids: Mapping[str, object], classes: Sequence[str] = ()
) -> Table:
    """Reads a table of tags.

    Columns are separated by commas, semicolons, tabs or bars. Tags are a cell of
    words (or of names separated by semicolons, commas, bars, or in brackets), a cell
    each, a row each, or a column per class with 0 and 1. A header may be absent and in
    any language.

    Args:
        file: the table.
        ids: the images that there are; a row may name one by its path, by the end of
            it, or by its file name where that is unique.
        classes: names that are known, without the background; empty: none are.

    Raises:
        UserError: a row is malformed, names no image, or it is not clear what a tag
            is.
    """
    found = texts.read(file)
    if rows.has_curly_quotes(found.text) and all(
        rows.straighten(key) == key for key in ids
    ):
        found = found._replace(text=rows.straighten(found.text))
    finder = Finder(ids)

    def is_photo(cell: str) -> bool:
        return len(finder.find(cell)) > 0

    table = rows.split(file, found.text, is_photo)
    if not table.rows:
        raise UserError(f"{file}: holds no row; write one row a photo, image,tags")
    roles = columns.find(file, table, is_photo, classes)
    body = table.rows[1:] if roles.header else table.rows
    again = [row for row in body if roles.header and row.cells == table.rows[0].cells]
    body = [row for row in body if row.cells != table.rows[0].cells or not roles.header]
    if not body:
        raise UserError(f"{file}: holds no row; write one row a photo, image,tags")
    named = [(row.line, _cell(row, roles.photo)) for row in body]
    keys = photos.match_rows(file, named, finder)
    if roles.names:
        read = _flags(file, roles, body)
    else:
        read = _listed(file, table.separator, roles, body, classes)
    tags, merged = _merge(file, keys, named, read.tags, roles.boxes)
    counts = Counter(tag for row in read.tags for tag in row)
    lines: dict[str, int] = {}
    for row, row_tags in zip(body, read.tags, strict=True):
        for tag in row_tags:
            lines.setdefault(tag, row.line)
    chosen, warnings = spellings(file, counts, lines, classes)
    _check_end(file, found.text, read.tags[-1], counts)
    spelled = {
        key: tuple(dict.fromkeys(chosen[tag] for tag in row))
        for key, row in tags.items()
    }
    notes = [f"{file.name}: {found.guess}"] if found.guess else []
    if again:
        notes.append(f"{file.name}: its header is there {len(again) + 1} times")
    if roles.unknown:
        shown = ", ".join(table.rows[0].cells[:5])
        notes.append(f"{file.name}: its first row, {shown}, is read as a header")
    if roles.passed:
        notes.append(f"{file.name}: columns passed over: {', '.join(roles.passed)}")
    said = f"{file.name} ({found.encoding}), columns separated by "
    said += f"{rows.NAMES.get(table.separator, repr(table.separator))}, {read.text}"
    return Table(spelled, said, (*notes, *read.warnings, *merged, *warnings))


def _cell(row: Row, index: int) -> str:
    return row.cells[index] if index < len(row.cells) else ""


def _flags(file: Path, roles: columns.Columns, body: list[Row]) -> _Read:
    names = [_plain(name) for name in roles.names]
    tags = flags.read(file, names, roles.tags, body)
    shown = {name for row in tags for name in row}
    idle = [n for n in roles.names if _plain(n) not in shown]
    idle = [n for n in idle if not words.is_background(n)]
    warnings = [f"{file.name}: no photo shows {', '.join(idle)}"] if idle else []
    return _Read(
        tags, f"a column for each of {len(roles.names)} classes", tuple(warnings)
    )


def _plain(name: str) -> str:
    return words.clean(name.strip("\"'"))


def _listed(file, separator, roles, body: list[Row], classes) -> _Read:
    """The tags of rows that name them."""
    first = min(roles.tags)
    units = [_units(row, roles, separator) for row in body]
    apart = any(len(row) > 1 for row in units)
    for row, found in zip(body, units, strict=True):
        if first > roles.photo and len(row.cells) <= first:
            raise UserError(
                f"{file} line {row.line}: has {len(row.cells)} columns; "
                f"{columns.ADVICE}"
            )
        apart |= len(found) > 1
    says = _quotes_say(body, roles, separator)
    once: dict[tuple[str, bool], Cell] = {}
    for row, found in zip(body, units, strict=True):
        for text, quoted in found:
            once.setdefault(
                (text, quoted and says), Cell(row.line, text, quoted and says)
            )
    done = cells.split(file, once.values(), classes, apart=apart)
    tags = [
        tuple(t for text, q in found for t in done.tags.get(once[text, q and says], ()))
        for found in units
    ]
    return _Read(tags, done.text, done.warnings)


def _units(row: Row, roles, separator: str) -> list[tuple[str, bool]]:
    """The cells of a row that hold tags, and whether each was quoted."""
    found = [
        (row.cells[i], i) for i in roles.tags if i < len(row.cells) and row.cells[i]
    ]
    if len(found) > 1 and not any(row.quoted):
        joined = f"{separator} ".join(text for text, _ in found)
        if cells.is_bracketed(joined):
            return [(joined, False)]
    quoted = row.quoted or (False,) * len(row.cells)
    return [(text, quoted[i] and '"' not in text) for text, i in found]


def _quotes_say(body: list[Row], roles, separator: str) -> bool:
    """Whether quotes around a cell with blanks make it one name.

    They do not where cells are quoted that need no quotes: then a program put them
    around all cells.
    """
    for row in body:
        if row.quoted and row.quoted[roles.photo : roles.photo + 1] == (True,):
            return False
        for i in roles.tags:
            if row.quoted[i : i + 1] == (True,):
                text = row.cells[i]
                if text and not re.search(r"\s", text) and separator not in text:
                    return False
    return True


def _merge(file: Path, keys, named, tags, boxes: bool):
    """Tags by image, where rows of one image are merged, and warnings.

    Rows that are equal are merged, and so is a table with a row for each image and
    tag; a lone image with rows that differ is a mistake.
    """
    rows_of: dict[str, list[int]] = {}
    for number, key in enumerate(keys):
        rows_of.setdefault(key, []).append(number)
    several = [numbers for numbers in rows_of.values() if len(numbers) > 1]
    single = all(len(row) < 2 for row in tags)
    long = boxes or (len(several) > 1 and single)
    copies = 0
    for numbers in several:
        kinds = {tuple(sorted(tags[n])) for n in numbers}
        copies += len(numbers) - len(kinds)
        if len(kinds) > 1 and not long:
            line, name = named[numbers[1]]
            raise UserError(
                f"{file} line {line}: a second row for {name!r}; merge the rows"
            )
    warnings = []
    if copies and not boxes:
        warnings.append(f"{file.name}: rows that are there twice count once: {copies}")
    if long and several:
        warnings.append(f"{file.name}: the rows of an image are its tags together")
    merged = {
        key: tuple(dict.fromkeys(tag for n in numbers for tag in tags[n]))
        for key, numbers in rows_of.items()
    }
    return merged, tuple(warnings)


def _check_end(file: Path, text: str, tags: tuple[str, ...], counts: Counter) -> None:
    """Raises UserError where the last tag looks like another one cut off."""
    if text.endswith("\n") or not tags or counts[tags[-1]] > 1:
        return
    last = tags[-1]
    whole = next((t for t in counts if t != last and t.startswith(last)), None)
    if whole is not None:
        raise UserError(
            f"{file}: its last line has no end and the tag {last!r} may be {whole!r} "
            "cut off; correct it, or end the line"
        )
