"""The forms of class lists: lines, tables and JSON, each as names, ids and colours."""

import csv
import re
from pathlib import Path

from ppcjax.data_pipelines.sources import class_list_json
from ppcjax.data_pipelines.sources.class_list_json import (
    COLOUR_WORDS,
    ID_WORDS,
    NAME_WORDS,
    Entry,
    as_colour,
    as_number,
)
from ppcjax.data_pipelines.sources.words import (
    clean,
    is_background,
    is_heading,
    is_void,
)
from ppcjax.types import UserError

_RGB = r"(\d{1,3})\s*[,;\s]\s*(\d{1,3})\s*[,;\s]\s*(\d{1,3})"
_NAME = r"(?P<name>\D|\D.*?\D|[^:]*?[^\d:\s,;][^:]*?)"
_GAP = r"\s*[:,;=\s]\s*"
# A form counts only where every line has it.
_LABELMAP = rf"{_NAME}\s*:\s*(?:{_RGB})?(?::[^:]*:[^:]*)?"  # of CVAT
_COLOURED = (
    _LABELMAP,
    rf"(?P<id>\d+){_GAP}{_NAME}{_GAP}\(?{_RGB}\)?",
    rf"(?P<id>\d+){_GAP}\(?{_RGB}\)?{_GAP}{_NAME}",
    rf"{_NAME}{_GAP}(?P<id>\d+){_GAP}\(?{_RGB}\)?",
    rf"\(?{_RGB}\)?{_GAP}{_NAME}",
    rf"{_NAME}{_GAP}\(?{_RGB}\)?",
    rf"{_NAME}{_GAP}(?P<hex>#[0-9a-fA-F]{{6}})",
    rf"(?P<hex>#[0-9a-fA-F]{{6}}){_GAP}{_NAME}",
    rf"(?P<id>\d+){_GAP}{_NAME}{_GAP}(?P<hex>#[0-9a-fA-F]{{6}})",
)
_BETWEEN = r"\s*(?:->|=>|[:=,;\t])\s*"
_FIRST = rf"(?P<id>-?\d+){_BETWEEN}(?P<name>.*\S)"
_LAST = rf"(?P<name>\S.*?){_BETWEEN}(?P<id>-?\d+)"
_POINT = r"(?P<id>\d+)(?:[.)]| -)\s+(?P<name>.*\S)"
_FIRST_SPACED = r"(?P<id>-?\d+)\s+(?P<name>.*\S)"
_LAST_SPACED = r"(?P<name>\S.*?)\s+(?P<id>-?\d+)"
_NUMBERED = (_FIRST, _LAST, _POINT, _FIRST_SPACED, _LAST_SPACED)
_CHANNELS = (("r", "red"), ("g", "green"), ("b", "blue"))
_QUOTES = ('""', "''", "“”", "„“", "„”", "””", "‘’", "‚‘", "«»", "»«", "‹›")
_LONGEST = 500  # letters of a line; no name is that long


def parse(file: Path, text: str) -> tuple[list[Entry], bool]:
    """The entries of a class list, in the order of the file.

    Args:
        file: says by its suffix how it may be written.
        text: its content.

    Returns:
        The entries, and whether their order says nothing of ids (a map of colours).

    Raises:
        UserError: it has no form that is known.
    """
    if file.suffix.lower() != ".json":
        text = _without_key(text)
    if file.suffix.lower() == ".json" or text.lstrip()[:1] in ("{", "["):
        entries = class_list_json.read(file, text)
    else:
        entries = _from_table(file, text) or _from_lines(file, text)
    entries = [e._replace(name=clean(_unquoted(e.name))) for e in entries]
    if not entries or not all(e.name for e in entries):
        raise UserError(f"{file}: names no class; write one name a line")
    odd = next((e.name for e in entries if _is_cut(e.name)), None)
    if odd is not None:
        raise UserError(
            f"{file}: {odd!r} looks like a part of a list in brackets; write one name "
            "a line"
        )
    given = {e.id is not None for e in entries if not is_void(e.name)}
    if len(given) > 1:
        raise UserError(f"{file}: some classes have an id and some none; give all one")
    coloured = any(e.colour is not None for e in entries)
    return entries, coloured and given == {False}


def _without_key(text: str) -> str:
    """The text behind a key such as "names:" or "classes =", as YAML writes it."""
    lines = [x for x in _lines(text) if not re.fullmatch(r"nc\s*[:=]\s*\d+", x)]
    match = re.match(r"(\w+)\s*[:=](?!\S*:)\s*", lines[0]) if lines else None
    if match is None or not is_heading(match[1]):
        return text
    inside = lines[0][match.end() :]
    if not inside or inside[0] in "[({" or len(lines) == 1:
        inside = f"[{inside[1:-1]}]" if inside[:1] == "(" else inside
        return "\n".join([inside, *lines[1:]] if inside else lines[1:])
    return text


def _is_cut(name: str) -> bool:
    return any(name.count(a) != name.count(b) for a, b in ("[]", "{}"))


def _unquoted(name: str) -> str:
    name = name.strip()
    quoted = len(name) > 1 and name[0] + name[-1] in _QUOTES
    return name[1:-1] if quoted else name


def _lines(text: str) -> list[str]:
    """The lines that say something; "#" begins a comment, or a colour."""
    lines = [line.strip() for line in text.split("\n")]
    return [x for x in lines if x and (x[0] != "#" or re.match("#[0-9a-fA-F]{6}", x))]


def _from_lines(file: Path, text: str) -> list[Entry]:
    lines = _lines(text)
    if lines and all(line.startswith("- ") for line in lines):
        lines = [line[2:].strip() for line in lines]
    if len(lines) == 1 and re.search("[,;\t]", lines[0]):
        parts = [part.strip() for part in re.split("[,;\t]", lines[0])]
        if not any(part.isdigit() or part.startswith("#") for part in parts):
            lines = [part for part in parts if part]
    if len(lines) > 1 and all(x[-1] in ",;" for x in lines[:-1]):
        lines = [line.rstrip(",;").strip() for line in lines]
    long = next((line for line in lines if len(line) > _LONGEST), None)
    if long is not None:
        raise UserError(f"{file}: the line {long[:40]!r}... is too long for a name")
    table = file.suffix.lower() in (".csv", ".tsv")
    found = _by_forms(lines) or (_bare_table(file, lines) if table else [])
    if found:
        return found
    if len(lines) > 1 and is_heading(_unquoted(lines[0])):
        return _below_heading(file, lines)
    _check_numbers(file, lines)
    return [_perhaps_void(line) for line in lines]


def _below_heading(file: Path, lines: list[str]) -> list[Entry]:
    """The entries below a heading, where they show that it is one.

    Raises:
        UserError: it may be a class, so that all ids would shift by one.
    """
    found = _by_forms(lines[1:])
    if found:
        return found
    if is_background(_unquoted(lines[1])):
        return [_perhaps_void(line) for line in lines[1:]]
    raise UserError(
        f"{file}: its first line {lines[0]!r} may be a heading or a class; remove it, "
        f"or give every name its id if it is a class (1: {_unquoted(lines[0])})"
    )


def _perhaps_void(line: str) -> Entry:
    """A name; among names without ids, void alone may have one ("void: 255")."""
    match = re.fullmatch(_LAST, line) or re.fullmatch(_LAST_SPACED, line)
    if match and is_void(match["name"]):
        return Entry(match["name"], int(match["id"]))
    return Entry(line)


def _bare_table(file: Path, lines: list[str]) -> list[Entry]:
    """The entries of a CSV whose header is in other words, or is missing."""
    if lines and lines[0].strip('"').casefold() in NAME_WORDS:
        return [Entry(line) for line in lines[1:]]
    lines = [line.replace('"', "") for line in lines]
    found = _by_forms(lines) or _by_forms(lines[1:])
    if not found and any(re.search("[,;\t]", _unquoted(line)) for line in lines):
        raise UserError(
            f"{file}: its columns are not clear; begin it with the line name,r,g,b or "
            "id,name"
        )
    return found


def _by_forms(lines: list[str]) -> list[Entry]:
    """The entries by the first form that all lines have; none where there is none."""
    for form in (*_COLOURED, *_NUMBERED):
        found = _fits(form, lines)
        coloured = [e.colour for e in found if e.colour is not None]
        if form == _LABELMAP:
            enough = bool(coloured)
        else:
            enough = len(coloured) == len(lines) or form in _NUMBERED
        names, ids = {e.name for e in found}, {e.id for e in found}
        distinct = len(names) == len(lines) and len(ids) in (len(lines), ids == {None})
        if found and enough and (distinct or form == _LABELMAP):
            return found
    return []


def _fits(form: str, lines: list[str]) -> list[Entry]:
    """The entries where all lines have the form; else none."""
    matches = [re.fullmatch(form, line) for line in lines]
    if not all(matches):
        return []
    entries = []
    for match in matches:
        named = match.groupdict()
        taken = {match.span(key) for key in named}
        rgb = [v for i, v in enumerate(match.groups(), 1) if match.span(i) not in taken]
        colour = as_colour(named["hex"]) if named.get("hex") else as_colour(rgb)
        number = named.get("id")
        entries.append(Entry(named["name"], None if number is None else int(number)))
        entries[-1] = entries[-1]._replace(colour=colour)
    return entries


def _check_numbers(file: Path, lines: list[str]) -> None:
    """Raises UserError where lines are numbered, but not all, or one id twice."""
    for form in (_FIRST, _LAST, _POINT, _FIRST_SPACED):
        fits = [re.fullmatch(form, line) is not None for line in lines]
        if sum(fits) * 2 > len(lines) or (sum(fits) and fits[0] and len(fits) < 3):
            odd = lines[fits.index(False)] if False in fits else None
            what = f"{odd!r} has no id" if odd else "an id or a name is there twice"
            raise UserError(f"{file}: {what} while lines are numbered; correct the ids")
    found = _fits(_LAST_SPACED, lines)
    if found and len({e.name for e in found}) == len(lines):
        raise UserError(f"{file}: an id is there twice; correct the ids")


def _from_table(file: Path, text: str) -> list[Entry]:
    """A table whose header says which column is what; none where there is none."""
    lines = _lines(text) or [""]
    known = {*NAME_WORDS, *ID_WORDS, *COLOUR_WORDS, *sum(_CHANNELS, ())}
    for sep in ",;\t":
        try:
            rows = list(csv.reader(lines, delimiter=sep, skipinitialspace=True))
        except csv.Error:
            continue
        heads = [re.sub(r"[\s\-]+", "_", cell.strip().casefold()) for cell in rows[0]]
        if sum(head in known for head in heads) > 1:
            rows = [[cell.strip() for cell in row] for row in rows[1:] if any(row)]
            entries = [_from_row(file, heads, row) for row in rows]
            if not entries:
                raise UserError(f"{file}: holds no row; write one row a class")
            return entries
    return []


def _from_row(file: Path, heads: list[str], row: list[str]) -> Entry:
    cells = dict(zip(heads, row, strict=False))
    name = next((cells[w] for w in NAME_WORDS if cells.get(w)), "")
    number = next((cells[w] for w in ID_WORDS if w in cells), None)
    written = next((cells[w] for w in COLOUR_WORDS if cells.get(w)), None)
    if written is None and all(any(w in heads for w in c) for c in _CHANNELS):
        written = [next(cells.get(w, "") for w in c if w in heads) for c in _CHANNELS]
    line = ",".join(row)
    if not name:
        raise UserError(f"{file}: the row {line!r} has no name; write one")
    if number is not None and as_number(number) is None:
        raise UserError(f"{file}: the id {number!r} of {name} is no number; correct it")
    colour = None if written is None else as_colour(written)
    if written is not None and colour is None:
        raise UserError(f"{file}: the row {line!r} has no colour 0..255; correct it")
    return Entry(name, None if number is None else as_number(number), colour)
