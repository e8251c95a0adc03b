"""Actions that a client asks for, checked before they are kept.

What passes here fits the state that it is asked of: `state.apply` cannot fail on it.
"""

import re
from collections.abc import Mapping
from typing import Any

from ppcjax.console import plain
from ppcjax.label.state import MARKS, State, users
from ppcjax.types import UserError

MOST_CLASSES = 254
ERASER = 255  # class of a stroke that takes marks away
_MOST_POINTS = 20_000
_FARTHEST = 1e6  # pixels from the corner of a photo
_LONGEST_NAME = 100
_ID = re.compile(r"[\w.:-]{1,64}", re.ASCII)
_COLOUR = re.compile(r"#[0-9a-f]{6}")
# Names that the formats of other tools take for something else.
_TAKEN = ("background", "void", "ignore", "ignored", "_background_", "__ignore__")
# First colours that classes get; told apart on photos, and by most eyes.
COLOURS = (
    *("#e6194b", "#3cb44b", "#ffe119", "#4363d8", "#f58231", "#42d4f4", "#f032e6"),
    *("#bfef45", "#fabed4", "#469990", "#dcbeff", "#9a6324", "#800000", "#aaffc3"),
)
_FIELDS = {
    "class_add": ("name", "colour"),
    "class_rename": ("class", "name"),
    "class_colour": ("class", "colour"),
    "class_remove": ("class",),
    "stroke": ("photo", "class", "points", "width"),
    "box": ("photo", "class", "box"),
    "fix": ("photo", "class", "points", "width"),
    "tag": ("photo", "class", "on"),
    "import": ("photo", "as"),
    **{
        kind: ("photo",)
        for kind in ("undo", "redo", "accept", "reject", "none", "reopen")
    },
}


def checked(state: State, action: Any) -> dict[str, Any]:
    """An action as it is kept, without its number and time.

    Args:
        state: what it is asked of.
        action: anything that JSON holds; its "photo" has become a path already.

    Returns:
        "kind", "id" where it has one, and the fields of the kind; nothing else.

    Raises:
        UserError: it is none, or does not fit the state; says why in one line.
    """
    if not isinstance(action, Mapping):
        raise UserError("an action is an object with a kind")
    kind = action.get("kind")
    if not isinstance(kind, str) or kind not in _FIELDS:
        raise UserError(f"{_shown(kind)} is no kind of action: {', '.join(_FIELDS)}")
    found: dict[str, Any] = {"kind": kind}
    if action.get("id") is not None:
        found["id"] = id_of(action)
    for name in _FIELDS[kind]:
        found[name] = _CHECKS[name](state, kind, action.get(name))
    if kind == "class_add":
        found["class"] = _free_class(state, action.get("class"))
        found["colour"] = found["colour"] or COLOURS[(found["class"] - 1) % 14]
    _CHECKS_OF_KINDS.get(kind, _nothing)(state, found)
    return found


def id_of(action: Mapping[str, Any]) -> str:
    """The name that a client gave an action; UserError where it is no such name."""
    found = action.get("id")
    if not isinstance(found, str) or not _ID.fullmatch(found):
        raise UserError(f"id {_shown(found)}: give up to 64 letters, digits and -_.:")
    return found


def _shown(value: Any) -> str:
    text = plain.line(repr(value))
    return text if len(text) <= 60 else f"{text[:60]}..."


def _nothing(state, found):
    """What kinds have checked that need no more."""


def _photo(state, kind, value):
    if not isinstance(value, str):
        raise UserError(f"photo {_shown(value)} is none of this folder")
    return value


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _class(state, kind, value):
    fits = _is_whole(value)
    if fits and value in state.classes:
        return value
    if fits and kind in MARKS and value in (0, ERASER) and (kind, value) != _NO_ERASER:
        return value
    raise UserError(f"class {_shown(value)} is not there; add it first")


_NO_ERASER = ("box", ERASER)


def _free_class(state, value):
    """The id that a class gets, the one that is asked for if it is free."""
    if len(state.classes) >= MOST_CLASSES:
        raise UserError(f"there are {MOST_CLASSES} classes, and masks hold no more")
    if value is not None:
        if not _is_whole(value) or not 1 <= value <= MOST_CLASSES:
            raise UserError(
                f"class {_shown(value)}: give a number from 1 to {MOST_CLASSES}"
            )
        if value in state.classes:
            raise UserError(f"class {value} is there already")
        return value
    if state.used < MOST_CLASSES:
        return state.used + 1
    return min(set(range(1, MOST_CLASSES + 1)) - set(state.classes))


def _name(state, kind, value):
    if not isinstance(value, str):
        raise UserError(f"name {_shown(value)}: give a text")
    name = " ".join(value.split())
    if not 0 < len(name) <= _LONGEST_NAME or plain.line(name) != name:
        raise UserError(
            f"name {_shown(value)}: give up to {_LONGEST_NAME} letters that are printed"
        )
    if name.casefold() in _TAKEN:
        raise UserError(f"name {name!r}: means void or background to other tools")
    return name


def _colour(state, kind, value):
    if value is None and kind == "class_add":
        return None
    if isinstance(value, str) and _COLOUR.fullmatch(value.lower()):
        return value.lower()
    raise UserError(f"colour {_shown(value)}: give one such as #e6194b")


def _number(value: Any, what: str) -> float:
    fits = isinstance(value, int | float) and not isinstance(value, bool)
    if not fits or not -_FARTHEST <= value <= _FARTHEST:  # NaN is neither
        raise UserError(f"{what} {_shown(value)}: give pixels")
    return round(float(value), 2)


def _points(state, kind, value):
    if not isinstance(value, list) or not 0 < len(value) <= _MOST_POINTS:
        raise UserError(f"points: give 1 to {_MOST_POINTS} pairs [x, y]")
    if not all(isinstance(point, list) and len(point) == 2 for point in value):
        raise UserError("points: give pairs [x, y]")
    return [[_number(x, "points"), _number(y, "points")] for x, y in value]


def _width(state, kind, value):
    found = _number(value, "width")
    if found <= 0:
        raise UserError(f"width {_shown(value)}: give pixels above 0")
    return found


def _box(state, kind, value):
    if not isinstance(value, list) or len(value) != 4:
        raise UserError("box: give [x0, y0, x1, y1]")
    x0, y0, x1, y1 = (_number(side, "box") for side in value)
    x0, x1, y0, y1 = *sorted((x0, x1)), *sorted((y0, y1))
    if x1 - x0 < 1 or y1 - y0 < 1:
        raise UserError("box: it is thinner than a pixel")
    return [x0, y0, x1, y1]


def _on(state, kind, value):
    if not isinstance(value, bool):
        raise UserError(f"on {_shown(value)}: give true or false")
    return value


def _as(state, kind, value):
    if value not in ("accepted", "proposal"):
        raise UserError(f'as {_shown(value)}: give "accepted" or "proposal"')
    return value


_CHECKS = {
    "photo": _photo,
    "class": _class,
    "name": _name,
    "colour": _colour,
    "points": _points,
    "width": _width,
    "box": _box,
    "on": _on,
    "as": _as,
}


def _name_is_free(state, found):
    for key, one in state.classes.items():
        if one.name.casefold() == found["name"].casefold() and key != found["class"]:
            raise UserError(f"name {found['name']!r} is there already")


def _class_is_free(state, found):
    user = users(state, found["class"])
    if user:
        name = state.classes[found["class"]].name
        raise UserError(f"class {name!r} is used, by {plain.line(user)} for one")


def _can_undo(state, found):
    if not state.photo(found["photo"]).items:
        raise UserError("there is nothing to take back on this photo")


def _can_redo(state, found):
    if not state.photo(found["photo"]).undone:
        raise UserError("there is nothing to bring back on this photo")


def _changes_something(state, found):
    photo = state.photo(found["photo"])
    if photo.settled == "none":
        raise UserError("it is said to show none of the classes: reopen it (O)")
    if found["kind"] == "box" and photo.base:
        raise UserError(
            "its mask is accepted, and boxes change none: correct it with the pencil "
            "(C), or reopen it (O)"
        )


_CHECKS_OF_KINDS = {
    **dict.fromkeys(MARKS, _changes_something),
    "class_add": _name_is_free,
    "class_rename": _name_is_free,
    "class_remove": _class_is_free,
    "undo": _can_undo,
    "redo": _can_redo,
}
