"""Options of a command line, made from fields that are declared."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from ppcjax.errors import UserError
from ppcjax.fields import Field, describe, parse

_SWITCHED = {"true", "false"}


class Given(NamedTuple):
    """A command line, read.

    values: values of the options that are given, by name.
    texts: texts of the further options that are given, by name.
    words: what belongs to no option.
    """

    values: dict[str, Any]
    texts: dict[str, str]
    words: list[str]


def read(
    argv: Sequence[str],
    declared: Mapping[str, Field],
    *,
    what: str,
    further: Collection[str] = (),
    hint: str = "",
) -> Given:
    """Reads options: --NAME=VALUE or --NAME VALUE, and --NAME and --noNAME of switches.

    Args:
        argv: arguments, options with underscores; "--" ends the options.
        declared: field of each option, by name.
        what: whose options they are, for messages.
        further: names of options whose text the caller reads.
        hint: what a message on an unknown option ends with.

    Raises:
        UserError: an option is unknown, or its value missing or not allowed.
    """
    texts: dict[str, str] = {}
    words: list[str] = []
    left = list(argv)
    while left:
        word = left.pop(0)
        if word == "--":
            words += left
            break
        if not word.startswith("-") or word == "-":
            words.append(word)
            continue
        name, equals, value = word[2:].partition("=")
        switch = _switch(name, declared)
        if not word.startswith("--") or not (
            switch or name in declared or name in further
        ):
            known = ", ".join(f"--{n}" for n in declared)
            raise UserError(
                f"{word.partition('=')[0]} is no option of {what}; its options are "
                f"{known}{hint}"
            )
        if switch and not equals:
            name, value = switch
            value = left.pop(0) if left and left[0] in _SWITCHED else value
        elif not equals:
            if not left or left[0].startswith("--"):
                raise UserError(f"--{name} needs a value: --{name}=VALUE")
            value = left.pop(0)
        texts[name] = value
    values = {
        name: parse(declared[name].hint, text, f"--{name}")
        for name, text in texts.items()
        if name not in further
    }
    return Given(values, {n: t for n, t in texts.items() if n in further}, words)


def spellings(declared: Mapping[str, Field]) -> set[str]:
    """The names under which options may be given."""
    return {*declared, *(f"no{n}" for n, f in declared.items() if f.hint is bool)}


def as_help(declared: Mapping[str, Field]) -> list[str]:
    """Two lines of each option for --help: its default, and what it is."""
    lines = []
    for name, field in declared.items():
        shown = field.default
        shown = ",".join(map(str, shown)) if isinstance(shown, list | tuple) else shown
        lines.append(f"  --{name}={shown}")
        lines.append(f"      {field.text} Give {describe(field.hint)}.")
    return lines


def _switch(name: str, declared: Mapping[str, Field]) -> tuple[str, str] | None:
    """Name and value of a switch that stands alone; None where it is none."""
    for switch, value in ((name, "true"), (name.removeprefix("no"), "false")):
        if switch in declared and declared[switch].hint is bool:
            return switch, value
    return None
