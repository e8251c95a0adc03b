"""What a declared setting may hold: checked, read from text, and said in words."""

import json
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Union

from ppcjax.fields.marks import Length, Name, OneOf, Ordered, Pattern, Range
from ppcjax.types import UserError

LARGEST_INT = 2**31 - 1  # counts are int32 on the devices
LARGEST_FLOAT = 1e12
LONGEST_TEXT = 4096  # characters


def check(hint: Any, value: Any, name: str) -> Any:
    """The value as the setting's own type; lists become tuples.

    Args:
        hint: declared annotation.
        value: what a config or a command line gives.
        name: path of the setting, for the message.

    Raises:
        UserError: naming the setting, the value and what is allowed.
    """
    try:
        return _checked(hint, value)
    except ValueError as error:
        raise UserError(
            f"{name}={shown(value)}: give {describe(hint)}{error}"
        ) from None


def parse(hint: Any, text: str, name: str) -> Any:
    """A value from the command line.

    Args:
        hint: declared annotation.
        text: what was typed; items of a list are separated by commas.
        name: option, for the message.

    Raises:
        UserError: the text is no such value.
    """
    try:
        return _checked(hint, _read(hint, text))
    except (ValueError, TypeError, KeyError):
        raise UserError(f"{name}={shown(text)}: give {describe(hint)}") from None


def describe(hint: Any) -> str:
    """What a setting may hold, in words, with its unit."""
    kind, marks = _unfolded(hint)
    unit = next((f" ({mark})" for mark in marks if isinstance(mark, str)), "")
    names = _choices(kind, marks)
    if names is not None:
        shown = [
            name if isinstance(name, str) and name else repr(name) for name in names
        ]
        return ("one of " if len(shown) > 1 else "") + ", ".join(shown) + unit
    options = _options(kind)
    if options is not None:
        empty = " or None" if type(None) in typing.get_args(kind) else ""
        return " or ".join(describe(option) for option in options) + empty + unit
    if kind in _WORDS:
        texts = [str(mark) for mark in marks if isinstance(mark, Name | Pattern)]
        if texts:
            return texts[0] + unit
        bounds = " ".join(str(mark) for mark in marks if isinstance(mark, Range))
        return f"{_WORDS[kind]} {bounds}".rstrip() + unit
    items = _items(kind)
    if items is not None:
        return _describe_items(items, marks) + unit
    return _WORDS_OF_KIND.get(typing.get_origin(kind) or kind, "a value") + unit


_WORDS = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "a text without control characters",
}
_WORDS_OF_KIND = {dict: "settings by name", Mapping: "settings by name"}


def marks_of(hint: Any) -> tuple[Any, ...]:
    """The marks of an annotation itself, not of its items."""
    return _unfolded(hint)[1]


def _unfolded(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    """The bare type of an annotation, and its metadata."""
    marks: tuple[Any, ...] = ()
    while typing.get_origin(hint) is typing.Annotated:
        hint, *more = typing.get_args(hint)
        marks = (*more, *marks)
    return hint, marks


def _choices(kind: Any, marks: Sequence[Any]) -> tuple[Any, ...] | None:
    if typing.get_origin(kind) is Literal:
        return typing.get_args(kind)
    return next((tuple(m.names) for m in marks if isinstance(m, OneOf)), None)


def _options(kind: Any) -> list[Any] | None:
    """The types of a union but for None; None for another type."""
    if typing.get_origin(kind) not in (Union, types.UnionType):
        return None
    return [option for option in typing.get_args(kind) if option is not type(None)]


def _items(kind: Any) -> tuple[Any, ...] | None:
    """Types of the items of a sequence, (T, ...) where all are alike."""
    origin = typing.get_origin(kind)
    if origin is tuple:
        return typing.get_args(kind)
    return (*typing.get_args(kind), ...) if origin is Sequence else None


def _describe_items(items: tuple[Any, ...], marks: Sequence[Any]) -> str:
    order = ", in ascending order" if _ordered(marks) else ""
    if ... not in items:
        words = [describe(item) for item in items]
        if len(set(words)) == 1:
            return f"{len(words)} values, each {words[0]}{order}"
        return "(" + ", ".join(words) + ")" + order
    length = next((m for m in marks if isinstance(m, Length)), Length())
    some = {0: "a list", 1: "a list of at least one item"}.get(
        length.least, f"a list of at least {length.least} items"
    )
    most = "" if length.most is None else f" and at most {length.most}"
    return f"{some}{most}, each {describe(items[0])}{order}"


def _ordered(marks: Sequence[Any]) -> Sequence[Ordered]:
    return [mark for mark in marks if isinstance(mark, Ordered)]


def _checked(hint: Any, value: Any) -> Any:
    """The value; ValueError with "" or a further hint where it is not allowed."""
    kind, marks = _unfolded(hint)
    names = _choices(kind, marks)
    if names is not None:
        if not any(type(value) is type(n) and value == n for n in names):
            raise ValueError("")
        return value
    options = _options(kind)
    if options is not None:
        if value is None and type(None) in typing.get_args(kind):
            return None
        return _first_that_fits(options, value)
    if kind in (int, float, bool, str):
        return _checked_scalar(kind, marks, value)
    items = _items(kind)
    if items is not None:
        return _checked_items(items, marks, value)
    if (typing.get_origin(kind) or kind) in (dict, Mapping):
        return _checked_mapping(value)
    return value


def _first_that_fits(options: Sequence[Any], value: Any) -> Any:
    for option in options:
        try:
            return _checked(option, value)
        except ValueError:
            continue
    raise ValueError("")


def _checked_scalar(kind: type, marks: Sequence[Any], value: Any) -> Any:
    if kind is bool or kind is str:
        if type(value) is not kind:
            raise ValueError("")
        if kind is str and (len(value) > LONGEST_TEXT or not value.isprintable()):
            raise ValueError("")
        if not all(m.holds(value) for m in marks if isinstance(m, Name | Pattern)):
            raise ValueError("")
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("")
    if kind is int and not isinstance(value, int):
        raise ValueError("")
    ranges = [mark for mark in marks if isinstance(mark, Range)]
    largest = LARGEST_INT if kind is int else LARGEST_FLOAT
    if not abs(value) <= largest:  # NaN is not either
        bounded = any(r.most is not None or r.below is not None for r in ranges)
        raise ValueError("" if bounded else f", at most {largest:,.0f}")
    if not all(mark.holds(value) for mark in ranges):
        raise ValueError("")
    return kind(value)


def _checked_items(items: tuple[Any, ...], marks: Sequence[Any], value: Any) -> tuple:
    if not isinstance(value, list | tuple):
        raise ValueError("")
    if ... in items:
        length = next((m for m in marks if isinstance(m, Length)), Length())
        most = len(value) if length.most is None else length.most
        if not length.least <= len(value) <= most:
            raise ValueError("")
        items = items[:1] * len(value)
    if len(items) != len(value):
        raise ValueError("")
    found = tuple(_checked(i, v) for i, v in zip(items, value, strict=True))
    if not all(mark.holds(found) for mark in _ordered(marks)):
        raise ValueError("")
    return found


def _checked_mapping(value: Any) -> dict[str, Any]:
    if hasattr(value, "to_dict"):  # a ConfigDict, which is no Mapping
        value = value.to_dict()
    if not isinstance(value, Mapping) or any(type(name) is not str for name in value):
        raise ValueError("")
    return dict(value)


def _read(hint: Any, text: str) -> Any:
    """The text as the type that an annotation asks for, not yet checked."""
    kind, marks = _unfolded(hint)
    if _choices(kind, marks) is not None or kind is str:
        return text
    options = _options(kind)
    if options is not None:
        if text in ("", "None") and type(None) in typing.get_args(kind):
            return None
        return _first_read(options, text)
    if kind is bool:
        return {"true": True, "1": True, "false": False, "0": False}[text.lower()]
    if kind in (int, float):
        return kind(text)
    items = _items(kind)
    if items is not None:
        words = [word.strip(" '\"") for word in text.strip("()[] ").split(",")]
        words = [word for word in words if word]
        kinds = items[:1] * len(words) if ... in items else items
        return [_read(k, word) for k, word in zip(kinds, words, strict=True)]
    return json.loads(text)


def _first_read(options: Sequence[Any], text: str) -> Any:
    for option in options:
        try:
            return _checked(option, _read(option, text))
        except (ValueError, TypeError, KeyError):
            continue
    raise ValueError("")


def shown(value: Any) -> str:
    """A value as a message repeats it: in a line, and long ones without their end."""
    text = repr(value.to_dict() if hasattr(value, "to_dict") else value)
    text = " ".join(text.splitlines())
    return text if len(text) <= 60 else text[:57] + "..."
