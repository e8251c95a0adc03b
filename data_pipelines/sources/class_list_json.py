"""Class lists in JSON, and what every form of class list is read into."""

import ast
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from ppcjax.types import UserError

Colour = tuple[int, int, int]
NAME_WORDS = ("name", "class", "label", "class_name", "label_name", "classname")
NAME_WORDS += ("category", "category_name", "title", "names", "classes", "labels")
ID_WORDS = ("id", "index", "pixel_value", "value", "pixel", "class_id", "label_id")
ID_WORDS += ("label_index", "class_index", "idx", "number", "train_id", "trainid")
COLOUR_WORDS = ("color", "colour", "hex", "rgb", "color_rgb", "colour_rgb")


class Entry(NamedTuple):
    """One class of a list.

    name: what is written, cleaned of spaces and quotes.
    id: number that the file gives it; None where it gives none.
    colour: RGB that the file gives it, each 0..255; None where it gives none.
    """

    name: str
    id: int | None = None
    colour: Colour | None = None


def as_colour(value) -> Colour | None:
    """RGB from "#rrggbb", "r,g,b" or three numbers; None where it is no colour."""
    if isinstance(value, str):
        text = value.strip().strip("()[]")
        if re.fullmatch("#?[0-9a-fA-F]{6}", text):
            return tuple(bytes.fromhex(text.removeprefix("#")))
        value = [part for part in re.split(r"[,;\s]+", text) if part]
    try:
        # int() would also take 0.5, a colour from 0 to 1, for black.
        rgb = tuple(int(str(v)) for v in value)
    except (TypeError, ValueError):
        return None
    return rgb if len(rgb) == 3 and all(0 <= v <= 255 for v in rgb) else None


def as_number(value) -> int | None:
    """A whole number, of a cell or of JSON; None where it is none."""
    return int(value) if re.fullmatch(r"-?\d{1,9}", str(value).strip()) else None


def read(file: Path, text: str) -> list[Entry]:
    """The entries of a class list in JSON, or of a list as Python writes it.

    Raises:
        UserError: it is neither, or no list of classes.
    """
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        data = _literal(text)
    for key in ("id2label", "names", "classes", "labels", "categories", "label2id"):
        if isinstance(data, dict) and isinstance(data.get(key), list | dict):
            data = data[key]
    read: Sequence[tuple[Callable, Callable]] = (
        (lambda k, v: as_number(k) is not None and isinstance(v, str), _by_id),
        (lambda k, v: isinstance(v, int), lambda k, v: Entry(k, v)),
        (lambda k, v: isinstance(v, list | str) and as_colour(v), _by_colour),
        (lambda k, v: isinstance(v, dict), _named_record),
    )
    if isinstance(data, dict):
        for fits, entry in read:
            if data and all(fits(str(k), v) for k, v in data.items()):
                found = [entry(str(k), v) for k, v in data.items()]
                if all(found):
                    return found
    if isinstance(data, list):
        found = [Entry(v) if isinstance(v, str) else _record(v) for v in data]
        if all(found):
            return found
    raise UserError(
        f"{file}: is no list of classes; write an object of names by id, a list of "
        'names, or a list of objects with "name", "id" and "color"'
    )


def _literal(text: str):
    """A list as Python writes it, or without quotes; None for anything else."""
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        pass
    bare = re.fullmatch(r"\[([^\[\]{}()\"':=]+)\]", text.strip())
    names = [name.strip() for name in bare[1].split(",")] if bare else []
    if names and not names[-1]:
        names = names[:-1]
    return names if names and all(names) else None


def _by_id(key: str, name: str) -> Entry:
    return Entry(name, as_number(key))


def _by_colour(name: str, value) -> Entry:
    return Entry(name, None, as_colour(value))


def _named_record(key: str, value: dict) -> Entry | None:
    return _record({("name" if as_number(key) is None else "id"): key, **value})


def _record(data) -> Entry | None:
    """The entry of an object; None where it has no name or is damaged."""
    if not isinstance(data, dict):
        return None
    low = {str(key).casefold(): value for key, value in data.items()}
    name = next((low[w] for w in NAME_WORDS if isinstance(low.get(w), str)), None)
    number = next((low[w] for w in ID_WORDS if w in low), None)
    written = next((low[w] for w in COLOUR_WORDS if low.get(w) is not None), None)
    wrong = number is not None and as_number(number) is None
    wrong |= written is not None and as_colour(written) is None
    number = None if number is None else as_number(number)
    return None if wrong or not name else Entry(name, number, as_colour(written))
