"""Settings declared once: their type, range or choices, and unit.

A setting is a keyword-only argument of a function, or a field of a dataclass, whose
annotation says all that is to be known of it:

    batch_size: Annotated[int, Range(1), "images"]
    lr: Annotated[float, Range(above=0)]
    on_bad_image: Literal["stop", "skip"]
    scales: Annotated[tuple[Annotated[float, Range(above=0)], ...], Length(1)]
    window: Annotated[int, Range(1), "pixels"] | None
    long_side: Annotated[tuple[Side, Side], Ordered()]
    frozen: tuple[Annotated[str, Pattern()], ...]
    root: Annotated[str, Place()]

`build` checks what a config gives and calls the function; `parse` reads a value from
the command line; `describe` says in words what is allowed. An argument annotated with
a dataclass is a group: in a config its fields stand beside the others.
"""

import dataclasses
import inspect
import re
import typing
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

from ppcjax.fields import kinds
from ppcjax.fields.marks import (
    Free,
    Length,
    Name,
    OneOf,
    Ordered,
    Pattern,
    Place,
    Range,
)
from ppcjax.fields.values import check, describe, marks_of, parse, shown
from ppcjax.types import UserError

__all__ = [
    "Field",
    "Free",
    "Length",
    "Name",
    "OneOf",
    "Ordered",
    "Pattern",
    "Place",
    "Range",
    "build",
    "check",
    "checked",
    "describe",
    "fields_of",
    "flat",
    "kinds",
    "marks_of",
    "parse",
    "shown",
]


class Field(NamedTuple):
    """A declared setting.

    name: in the config and on the command line.
    hint: annotation, with its metadata.
    default: value where none is given; `inspect.Parameter.empty` where one must be.
    text: what the docstring says of it.
    group: argument whose dataclass holds it; "" for an argument of its own.
    """

    name: str
    hint: Any
    default: Any
    text: str = ""
    group: str = ""


def fields_of(declared: Callable, *, without: Collection[str] = ()) -> dict[str, Field]:
    """The settings that a function or a dataclass declares, by name.

    Args:
        declared: function with keyword-only arguments, or dataclass.
        without: arguments that do not come from a config.
    """
    hints = typing.get_type_hints(declared, include_extras=True)
    texts = _texts(declared)
    found = {}
    for name, parameter in inspect.signature(declared).parameters.items():
        if parameter.kind is not parameter.KEYWORD_ONLY or name in without:
            continue
        hint = hints.get(name, Any)
        if dataclasses.is_dataclass(hint):
            for inner in fields_of(hint).values():
                found[inner.name] = inner._replace(group=name)
            continue
        found[name] = Field(name, hint, parameter.default, texts.get(name, ""))
    return found


def build(
    declared: Callable,
    settings: Mapping[str, Any],
    *,
    where: str,
    what: str,
    **extra: Any,
) -> Any:
    """Calls a function, or makes a dataclass, with settings that were checked.

    Args:
        declared: what declares the settings, see `fields_of`.
        settings: values by name, such as a part of a config.
        where: path of that part in the config, for messages.
        what: what the settings belong to, for messages.
        **extra: arguments that do not come from a config.

    Raises:
        UserError: a setting is unknown, missing, or outside its range.
    """
    given = checked(declared, settings, where=where, what=what, without=extra)
    return declared(**given, **extra)


def checked(
    declared: Callable,
    settings: Mapping[str, Any],
    *,
    where: str,
    what: str,
    without: Collection[str] = (),
) -> dict[str, Any]:
    """The keyword arguments that `build` calls a function with; nothing is called.

    Args:
        declared: what declares the settings, see `fields_of`.
        settings: values by name, such as a part of a config.
        where: path of that part in the config, for messages.
        what: what the settings belong to, for messages.
        without: arguments that do not come from a config.

    Raises:
        UserError: a setting is unknown, missing, or outside its range.
    """
    settings = check(Mapping[str, Any], settings, where)
    known = fields_of(declared, without=without)
    unknown = sorted(set(settings) - set(known))
    if unknown:
        raise UserError(
            f"{where}.{unknown[0]} is not a setting of {what}; its settings are "
            + ", ".join(sorted(known))
        )
    arguments: dict[str, Any] = {}
    groups: dict[str, dict[str, Any]] = {}
    for name, field in known.items():
        if field.group:
            groups.setdefault(field.group, {})
        if name in settings:
            value = check(field.hint, settings[name], f"{where}.{name}")
            (groups[field.group] if field.group else arguments)[name] = value
        elif field.default is inspect.Parameter.empty:
            raise UserError(
                f"{where}.{name} is missing; {what} needs it: give "
                + describe(field.hint)
            )
    hints = typing.get_type_hints(declared)
    made = {name: hints[name](**values) for name, values in groups.items()}
    return arguments | made


def flat(settings: Any) -> dict[str, Any]:
    """Values of a settings dataclass by name, those of groups beside the others."""
    found = {}
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        found |= flat(value) if dataclasses.is_dataclass(value) else {field.name: value}
    return found


def _texts(declared: Callable) -> dict[str, str]:
    """What its docstring says of each argument, and those of the classes it extends."""
    texts = {}
    for source in reversed(getattr(declared, "__mro__", (declared,))):
        texts |= argument_texts(inspect.getdoc(source) or "")
    return texts


def argument_texts(doc: str) -> dict[str, str]:
    """What a docstring says of each argument, or of each field of a dataclass."""
    # The heads of sections are no arguments, and what is indented below "Args:" is.
    heads = "Args|Attributes|Returns|Yields|Raises|Source"
    pattern = rf"^( *)(?!(?:{heads}):)(\**\w[\w, ]*):[ \n](.*(?:\n\1 +\S.*)*)"
    found = {}
    for match in re.finditer(pattern, doc, re.MULTILINE):
        text = " ".join(match[3].split())
        for name in match[2].split(","):
            found[name.strip(" *")] = text
    return found
