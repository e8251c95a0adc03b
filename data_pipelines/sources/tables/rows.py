"""The rows of a table: which character stands between its columns."""

import functools
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from ppcjax.types import UserError

SPACE = " "  # any blanks, where nothing else is between the columns
_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
NAMES = {**_SEPARATORS, SPACE: "spaces"}
_SAMPLE = 500  # rows that say which separator it is
# Quotes as word processors write them.
_DOUBLE = "“”„‟«»＂"
_SINGLE = "‘’‚‛‹›"
_STRAIGHT = str.maketrans(dict.fromkeys(_DOUBLE, '"'))
_IN_SINGLE = re.compile(
    rf"(?<![^\s,;|(\[{{])[{_SINGLE}]([^{_SINGLE}\n]*)[{_SINGLE}](?![^\s,;|)\]}}])"
)


class Row(NamedTuple):
    """One row of a table.

    line: its number in the file, from 1.
    cells: without surrounding blanks and quotes.
    quoted: whether each cell stood in quotes; empty where none did.
    """

    line: int
    cells: tuple[str, ...]
    quoted: tuple[bool, ...] = ()


class Rows(NamedTuple):
    """A table in columns.

    rows: all that are neither blank nor a comment.
    separator: what stands between the columns.
    comment: the last comment before the first row as a row; it may be the header.
    """

    rows: list[Row]
    separator: str
    comment: Row | None


def straighten(text: str) -> str:
    """A text with straight quotes, where there are curly or pointed ones.

    An apostrophe stays, as it may be in the name of a photo.
    """
    return _IN_SINGLE.sub(r"'\1'", text.translate(_STRAIGHT))


def has_curly_quotes(text: str) -> bool:
    """Whether there are quotes that `straighten` changes."""
    return any(sign in text for sign in _DOUBLE + _SINGLE)


# A cell in quotes as a whole; with words behind them they are quotes of its content.
_QUOTED = re.compile(r'"(?:[^"]|"")*"')


def split(file: Path, text: str, is_photo: Callable[[str], bool]) -> Rows:
    """Splits a table into rows and columns.

    The separator is the one that leaves a cell which names a photo in most rows.

    Args:
        file: the table, for errors.
        text: its content.
        is_photo: whether a cell names a photo that there is.

    Raises:
        UserError: a quote has no end.
    """
    lines, comment, given = _lines(file, text, is_photo)
    if lines and all(_QUOTED.fullmatch(line) for _, line in lines):
        # Each line as a single quoted cell, as some spreadsheets save a table twice.
        lines = [(n, line[1:-1].replace('""', '"')) for n, line in lines]
    separator = given or _separator(lines, is_photo)
    rows = [_cells(line, separator, n) for n, line in lines]
    head = None if comment is None else _cells(comment, separator)
    return Rows([row for row in rows if any(row.cells)], separator, head)


def _lines(file: Path, text: str, is_photo):
    """Numbered lines that say something, a comment before them, "sep=;" of Excel."""
    lines: list[tuple[int, str]] = []
    comment, given, open_from, parts = None, "", 0, []
    for number, line in enumerate(text.split("\n"), 1):
        if open_from:
            parts.append(line)
            if line.count('"') % 2:
                lines.append((open_from, "\n".join(parts)))
                open_from = 0
            continue
        line = line.strip(" ")
        if not line.strip():
            continue
        if line[0] == "#" and not is_photo(re.split("[,;\t|]", line)[0].strip('" ')):
            comment = comment if lines else line.lstrip("# ")
        elif not lines and re.fullmatch(r'"?sep=.?"?', line):
            given = line.strip('"')[4:5]
        elif '"' in line and line.count('"') % 2 and _opens(line):
            open_from, parts = number, [line]
        else:
            lines.append((number, line))
    if open_from:
        raise UserError(
            f"{file} line {open_from}: a quote begins here and never ends; close it"
        )
    return lines, comment, given


def _opens(line: str) -> bool:
    """Whether a quote begins a cell of this line and is not closed in it."""
    rest = re.sub(r'(^|[,;\t|])\s*"(?:[^"]|"")*"\s*(?=$|[,;\t|])', r"\1", line)
    return re.search(r'(^|[,;\t|])\s*"', rest) is not None


def _cells(line: str, separator: str, number: int = 0) -> Row:
    """The cells of a line, and its number."""
    if separator == SPACE:
        first, _, rest = line.strip().partition(" ")
        return Row(number, (first, rest.strip()) if rest else (first,))
    if '"' not in line:
        return Row(number, tuple([cell.strip() for cell in line.split(separator)]))
    parts = [match[1].strip() for match in _quoted_cells(separator).finditer(line)]
    if not line.endswith(separator):
        del parts[-1]  # the empty one behind the end
    whole = tuple([_QUOTED.fullmatch(part) is not None for part in parts])
    cells = (_unquoted(p) if w else p for p, w in zip(parts, whole, strict=True))
    return Row(number, tuple(cells), whole)


@functools.cache
def _quoted_cells(separator: str) -> re.Pattern:
    sep = re.escape(separator)
    return re.compile(
        rf'((?:[ ]*"(?:[^"]|"")*"[^{sep}]*|[^{sep}]*))(?:{sep}|$)', re.DOTALL
    )


def _unquoted(part: str) -> str:
    return part[1:-1].replace('""', '"').strip()


def _separator(lines, is_photo: Callable[[str], bool]) -> str:
    """What most likely stands between the columns."""
    step = max(len(lines) // _SAMPLE, 1)
    sample = [line for _, line in lines[::step]]
    known: dict[str, bool] = {}

    def score(separator: str) -> tuple[int, int]:
        rows = [_cells(line, separator).cells for line in sample]
        rows = [row for row in rows if len(row) > 1]
        hits = [0] * max((len(row) for row in rows), default=0)
        for row in rows:
            for column, cell in enumerate(row):
                if cell not in known:
                    known[cell] = is_photo(cell)
                hits[column] += known[cell]
        widths = [len(row) for row in rows]
        return max(hits, default=0), max(map(widths.count, set(widths)), default=0)

    scores = {separator: score(separator) for separator in _SEPARATORS}
    best = max(scores, key=scores.get)  # the first of equals
    if scores[best][0]:
        return best
    return SPACE if score(SPACE)[0] else best
