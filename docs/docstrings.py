"""Reads the docstrings of this house for the reference: an extension of griffe.

Fields of a class stand in its docstring as "name: text", without a heading; "Source:"
and "Deviations:" go on behind the colon; arguments that share a line, "a, b: text", are
told apart. All are common in this code, and griffe knows none of them.
"""

import re
from collections.abc import Callable
from typing import Any

from griffe import Class, Extension, Function, Object

_ENTRY = re.compile(r"^(\**\w+(?:, \**\w+)*): +(.*)$")
_SHARED = re.compile(r"^( +)(\**\w+(?:, \**\w+)+): +(.*)$")
# Sections that may stand on one line.
_NOTE = re.compile(r"^(Source|Deviations|Raises|Returns): +(\S.*)$")


class House(Extension):
    """Rewrites docstrings before they are read."""

    def on_class_members(self, *, cls: Class, **_: Any) -> None:
        """Puts a heading before the fields of a class."""
        _change(cls, lambda text: _shared(_headed(text, set(cls.members))))

    def on_function_instance(self, *, func: Function, **_: Any) -> None:
        """Gives arguments that share a line one each."""
        _change(func, _shared)


def _change(found: Object, rewrite: Callable[[str], str]) -> None:
    if found.docstring is not None:
        text = rewrite(_sections(found.docstring.value))
        # "[H, W] [2]" is no link of Markdown here.
        found.docstring.value = re.sub(r"\](\s?)\[", r"]\1\\[", text)


def _sections(text: str) -> str:
    """A docstring in which "Source: text" is a section of its own."""
    found: list[str] = []
    inside = ""
    for line in text.splitlines():
        begins = _NOTE.match(line)
        if begins:
            words = begins[2]
            if begins[1] == "Raises":  # "Raises: UserError where ..."
                words = re.sub(r"^(\w+):? +", r"\1: ", words)
            found += ["", f"{begins[1]}:", f"    {words}"]
        else:
            # A line that goes on stands deeper than the name of the error.
            deeper = inside == "Raises" and line.strip()
            bare = f"        {line.strip()}" if deeper else f"    {line.strip()}"
            found.append(bare if inside and line.strip() else line)
        if begins:
            inside = begins[1]
        elif not line.startswith(" "):
            inside = ""
    return "\n".join(found)


def _headed(text: str, fields: set[str]) -> str:
    """A docstring whose entries "name: text" stand under "Attributes:"."""
    lines = text.splitlines()
    found: list[str] = []
    inside = False
    for line in lines:
        entry = _ENTRY.match(line)
        names = re.findall(r"\w+", entry[1]) if entry else []
        begins = bool(entry) and set(names) <= fields
        if begins and not inside:
            found += ["", "Attributes:"] if found and found[-1] else ["Attributes:"]
        inside = begins or (inside and line.startswith(" "))
        found.append(f"    {line}" if inside else line)
    return "\n".join(found)


def _shared(text: str) -> str:
    """A docstring in which each argument has an entry of its own."""
    found: list[str] = []
    for line in text.splitlines():
        entry = _SHARED.match(line)
        if not entry:
            found.append(line)
            continue
        first, *others = re.split(", ", entry[2])
        found.append(f"{entry[1]}{first}: {entry[3]}")
        found += [f"{entry[1]}{name}: {entry[3]}" for name in others]
    return "\n".join(found)
