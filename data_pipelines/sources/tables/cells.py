"""The tags in a cell: which character stands between them, and which are names."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ppcjax.data_pipelines.sources.words import clean, same
from ppcjax.types import UserError

_SEPARATORS = {
    ";": "semicolons",
    ",": "commas",
    "|": "bars",
    "\t": "tabs",
    "\n": "ends of lines",
}
# Signs of other scripts, read as those above.
_WIDE = str.maketrans("；，｜、،", ";,|,,")
# These join words too ("black/white"), so that they separate only what stands alone
# elsewhere.
_JOINTS = "/+&"
_HELD = re.compile(r"[,;|\t\n/+&:\[\]{}\"“”„‟«»＂=<>]")
_BRACKETS = {"[": "]", "(": ")", "{": "}"}
_WAYS = "separate tags by semicolons, or list the names in classes.txt"


class Cell(NamedTuple):
    """What a row says of its photo.

    line: number of the row in the file, for errors.
    text: the cell, without the quotes around it.
    whole: whether quotes show that it is one name.
    """

    line: int
    text: str
    whole: bool = False


class Split(NamedTuple):
    """The tags of all rows.

    tags: names by cell, unchanged but for spaces and accents.
    text: what stands between tags, in a few words.
    warnings: what was guessed, one line each.
    """

    tags: dict[Cell, tuple[str, ...]]
    text: str
    warnings: tuple[str, ...] = ()


def split(
    file: Path, cells: Iterable[Cell], classes: Sequence[str], *, apart: bool
) -> Split:
    """Splits the cells of a table into tags.

    Args:
        file: the table, for errors.
        cells: all cells that hold tags, once each.
        classes: names that are known; they are never split.
        apart: whether the tags of a photo have a cell each, so that blanks in a cell
            belong to names.

    Raises:
        UserError: it cannot be said where a tag ends.
    """
    known = {same(name): name for name in classes}
    cells = [cell for cell in cells if cell.text]
    bare = [c for c in cells if same(c.text) not in known and not is_bracketed(c.text)]
    lists = [c for c in cells if same(c.text) not in known and is_bracketed(c.text)]
    tags = {c: (c.text,) for c in cells if same(c.text) in known}
    tags |= {c: _list(file, c) for c in lists}
    separator = _separator(file, bare, known)
    joint = _joint(bare, known) if separator is None else None
    if separator is not None or joint is not None:
        pattern = f"[{re.escape(separator or joint)}]"
        tags |= {c: tuple(map(_bare, re.split(pattern, _wide(c.text)))) for c in bare}
        between = f"tags separated by {_SEPARATORS.get(separator, joint)}"
    elif lists or apart:
        tags |= {c: (_bare(c.text),) for c in bare}
        between = "tags in lists" if lists else "one tag a cell"
    else:
        tags |= {c: _by_spaces(file, c, known) for c in bare}
        between = "tags separated by spaces"
    tags = {
        c: tuple(_plain(t) for t in found if _plain(t)) for c, found in tags.items()
    }
    _check(file, tags, known)
    spaced = between == "tags separated by spaces"
    warnings = _pairs(file, tags, known) if spaced else ()
    return Split(tags, between, (*warnings, *_whole_names(file, tags, known)))


def _plain(tag: str) -> str:
    """A tag without the spaces around it and without the # of a hashtag."""
    return clean(clean(tag).removeprefix("#"))


def _wide(text: str) -> str:
    return text.translate(_WIDE)


def _bare(text: str) -> str:
    """A tag without quotes of its own."""
    text = text.strip()
    quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "\"'"
    return text[1:-1] if quoted else text


def is_bracketed(text: str) -> bool:
    """Whether a cell stands in brackets of any kind."""
    return _BRACKETS.get(text[0]) == text[-1] if text else False


def _list(file: Path, cell: Cell) -> tuple[str, ...]:
    """The items of "['cow', 'grass']", "[cow, grass]" or a list of JSON."""
    try:
        items = json.loads(cell.text)
        if isinstance(items, list) and all(isinstance(i, str) for i in items):
            return tuple(items)
    except (ValueError, RecursionError):
        pass
    inner = _wide(cell.text[1:-1]).strip()
    if re.search(r"[\[\]{}:]", inner):
        raise UserError(
            f"{file} line {cell.line}: {cell.text[:60]!r} is no list of names; write "
            "image,tags with the tags separated by spaces"
        )
    quoted = re.findall(r"'([^']*)'|\"([^\"]*)\"", inner)
    if quoted and re.fullmatch(r"(\s*[bu]?('[^']*'|\"[^\"]*\")\s*[,;]?)*", inner):
        return tuple(a or b for a, b in quoted)
    return tuple(
        _bare(item)
        for item in re.split("[,;|]" if re.search("[,;|]", inner) else r"\s+", inner)
    )


def _separator(file: Path, cells: Sequence[Cell], known: Mapping) -> str | None:
    """The character between tags; None where no cell has one."""
    first: dict[str, Cell] = {}
    for cell in cells:
        for sign in _SEPARATORS:
            if sign in _wide(cell.text):
                first.setdefault(sign, cell)
    if len(first) > 1:
        # A known name may hold one of them.
        free = {s for s in first if not any(s in name for name in known)}
        first = {s: first[s] for s in free} if len(free) == 1 else first
    if len(first) > 1:
        one, two = list(first)[:2]
        line = max(first[one].line, first[two].line)
        raise UserError(
            f"{file} line {line}: tags are separated by {_SEPARATORS[one]} in one "
            f"place and by {_SEPARATORS[two]} in another; use one of them"
        )
    return next(iter(first), None)


def _joint(cells: Sequence[Cell], known: Mapping) -> str | None:
    """A slash, plus or "&" between tags that all stand alone elsewhere."""
    signs = {sign for cell in cells for sign in _JOINTS if sign in cell.text}
    if len(signs) != 1:
        return None
    (sign,) = signs
    alone = {same(c.text) for c in cells if sign not in c.text} | set(known)
    parts = {same(p) for c in cells if sign in c.text for p in c.text.split(sign)}
    return sign if parts <= alone else None


def _by_spaces(file: Path, cell: Cell, known: Mapping) -> tuple[str, ...]:
    if cell.whole:
        return (cell.text,)
    quoted = r"(?<!\S)'[^']*'(?!\S)|(?<!\S)\"[^\"]*\"(?!\S)|\S+"
    words = re.findall(quoted, cell.text)
    tags: list[str] = []
    longest = max((len(name.split()) for name in known), default=1)
    while words:
        fits = [
            n
            for n in range(min(longest, len(words)), 0, -1)
            if same(" ".join(words[:n])) in known
        ]
        if len(fits) > 1 and all(same(word) in known for word in words[: fits[0]]):
            raise UserError(
                f"{file} line {cell.line}: {' '.join(words[: fits[0]])!r} is a class, "
                "and so is each of its words; separate tags by semicolons"
            )
        count = fits[0] if fits else 1
        tags.append(" ".join(words[:count]) if fits else _bare(words[0]))
        words = words[count:]
    return tuple(tags)


def _check(file: Path, tags: Mapping[Cell, tuple[str, ...]], known: Mapping) -> None:
    """Raises UserError for a tag that may be several."""
    single = {same(t) for found in tags.values() for t in found if " " not in t}
    for cell, found in tags.items():
        for tag in found:
            if same(tag) in known:
                continue
            where = f"{file} line {cell.line}: the tag {tag[:60]!r}"
            if len(tag) > 200:
                raise UserError(f"{where}... is too long for a name; {_WAYS}")
            held = _HELD.search(tag)
            if held:
                raise UserError(f"{where} holds {held[0]!r}; {_WAYS}")
            if " " in tag and all(same(word) in single for word in tag.split()):
                raise UserError(
                    f"{where} may be one name or several, as its words are tags "
                    f"elsewhere; {_WAYS}"
                )


def _whole_names(file: Path, tags: Mapping, known: Mapping) -> tuple[str, ...]:
    names = dict.fromkeys(
        t for c, found in tags.items() if c.whole for t in found if " " in t
    )
    names = [name for name in names if same(name) not in known]
    if not names:
        return ()
    return (
        f"{file.name}: names in quotes are one tag each: {', '.join(names[:5])}"
        + (", ..." if len(names) > 5 else ""),
    )


def _pairs(file: Path, tags: Mapping, known: Mapping) -> tuple[str, ...]:
    """A warning where two words are always side by side, like those of one name."""
    counts: dict[str, int] = {}
    pairs: dict[tuple[str, str], int] = {}
    exact = set()
    for found in tags.values():
        names = [same(t) for t in found]
        for name in names:
            counts[name] = counts.get(name, 0) + 1
        for pair in zip(names, names[1:], strict=False):
            pairs[pair] = pairs.get(pair, 0) + 1
            exact |= {pair} if len(names) == 2 else set()
    always = [
        f"{a} {b}"
        for (a, b), count in pairs.items()
        if count == counts[a] == counts[b]
        and (count > 1 or (a, b) in exact)
        and not (" " in a or " " in b or (a in known and b in known))
    ]
    if not always:
        return ()
    return (
        f"{file.name}: these words are always side by side and may be one name: "
        f"{', '.join(always[:3])}; if so, write them in quotes or with an underscore, "
        "or list the names in classes.txt",
    )
