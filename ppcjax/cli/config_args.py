"""The config of a command line: its file, and what is given for its fields."""

import contextlib
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import ml_collections
from absl import flags
from ml_collections import config_flags

from ppcjax import checkout
from ppcjax.cli import as_one_line, declared_only
from ppcjax.errors import UserError

_SHOWN = 60  # characters of a value that is repeated in a message
# Lines of a traceback that are not those of a config.
_LIBRARIES = (ml_collections.__file__, flags.__file__, checkout.__file__)
_NOT_OF_CONFIGS = ("<frozen", *(os.path.dirname(file) + os.sep for file in _LIBRARIES))


def with_config_first(argv: Sequence[str]) -> list[str]:
    """Arguments with --config=FILE in front, also where a shipped config is named.

    Raises:
        UserError: there is no such config, or several are given.
    """
    named, rest = [], []
    words = iter(argv)
    for word in words:
        name, equals, value = word.partition("=")
        if name not in ("--config", "-config"):
            rest.append(word)
        elif equals:
            named.append(value)
        else:
            named.append(next(words, ""))
    if len(named) > 1:
        raise UserError(f"--config is given more than once: {', '.join(named)}")
    return [f"--config={checkout.config_file(name)}" for name in named] + rest


class Arguments(NamedTuple):
    """A command line on its way.

    values: flags, "config" among them, which are filled by `parse`.
    argv: arguments for them, --config=FILE first.
    beside: what is given for settings that the config does not hold.
    """

    values: flags.FlagValues
    argv: Sequence[str]
    beside: Sequence[declared_only.Given]


def define(argv: Sequence[str]) -> Arguments:
    """Flags of which "config" reads a file, and what is given for its fields.

    Args:
        argv: arguments as `with_config_first` orders them.

    Raises:
        UserError: a file of flags cannot be read.
    """
    if len(argv) > 1:
        with contextlib.suppress(Exception):  # which `parse` meets again, and tells
            _fill(argv[:1], plain := _defined(argv[:1]))
            held, beside = declared_only.part(argv[1:], plain.config)
            held = [*argv[:1], *held]
            return Arguments(_defined(held), held, beside)
    return Arguments(_defined(argv), argv, ())


def _defined(argv: Sequence[str]) -> flags.FlagValues:
    values = flags.FlagValues()
    typed = ["ppcjax", *argv]
    # Its file is read into a module that is kept: what the last config left in it, such
    # as get_config, would stand in for what this one lacks.
    sys.modules.pop("config_config", None)
    try:
        with _no_bytecode():
            config_flags.DEFINE_config_file(
                "config", flag_values=values, lock_config=True, sys_argv=typed
            )
    except flags.Error as error:
        raise UserError(as_one_line(error)) from error
    return values


def parse(
    given: Arguments, hints: Callable[[Mapping[str, Any]], Mapping[str, Any]]
) -> Any:
    """Reads the flags.

    Misspelt flags or settings, values of the wrong type, and a config that cannot be
    read are one line each.

    Args:
        given: what `define` makes of the arguments; its flags are filled.
        hints: config -> annotations by path of the settings that fit it.

    Returns: the config.

    Raises:
        UserError: something in it is wrong.
    """
    values, argv, beside = given
    rest = _fill(argv, values)
    _check_made(argv[0], values.config)
    unknown = declared_only.fill(values.config, beside, hints)
    if unknown:
        typed = [argv[0], *unknown.words]
        _fill(typed, _defined(typed))
        raise UserError(_unknown_field(typed, ""))
    if rest:
        raise UserError(
            f"unexpected argument {rest[0]!r}; options begin with --, and a pattern "
            "such as 'photos/*.jpg' needs quotes"
        )
    return values.config


def _fill(argv: Sequence[str], values: flags.FlagValues) -> list[str]:
    """Reads flags; returns what is none, or raises a UserError."""
    try:
        with _no_bytecode():
            return values(["ppcjax", *argv])[1:]
    except flags.Error as error:
        raise UserError(_shortened(as_one_line(error), argv)) from error
    except Exception as error:
        if len(argv) > 1:
            # What is given for its fields fails, too, where the config itself does.
            _fill(argv[:1], _defined(argv[:1]))
        raise UserError(_shortened(_of_config(argv, error), argv)) from error


@contextlib.contextmanager
def _no_bytecode() -> Iterator[None]:
    """Keeps Python from leaving a folder of bytecode beside the file of a config."""
    before = sys.dont_write_bytecode
    sys.dont_write_bytecode = True
    try:
        yield
    finally:
        sys.dont_write_bytecode = before


def _shortened(message: str, argv: Sequence[str]) -> str:
    """A message that repeats what was typed: long values without their end, plainly."""
    for word in argv:
        name, _, value = word.partition("=")
        if name == "--config":  # a path is of use only whole
            continue
        # As it was typed, as it is without quotes, and as numbers are written again.
        for text in {value, value.strip(" '\"")}:
            if len(text) > _SHOWN:
                message = message.replace(text, f"{text[:_SHOWN]}...")
    # What moves the cursor or ends a line is written as Python writes it.
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in message)


def _check_made(given: str, config: Any) -> None:
    """Raises a UserError where what was read is no config."""
    try:
        # In the place of a file that cannot be opened stands what raises on use.
        getattr(config, "name", None)
    except OSError as error:
        raise UserError(f"{given}: {error.__cause__}") from error
    if not isinstance(config, ml_collections.ConfigDict):
        raise UserError(f"{given}: get_config() returns no ml_collections.ConfigDict")


def _of_config(argv: Sequence[str], error: Exception) -> str:
    """What to say of an error that a config raises, or what is given for its fields."""
    own = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith(_NOT_OF_CONFIGS)
        or Path(frame.filename).is_relative_to(checkout.CONFIGS)
    ]
    if not own and isinstance(error, AttributeError | KeyError | TypeError):
        if "has no attribute 'get_config'" in str(error):
            return f"{argv[0]}: there is no function get_config in it"
        return _unknown_field(argv, str(error))
    place = f" ({own[-1].filename}, line {own[-1].lineno})" if own else ""
    return f"{argv[0]}: {type(error).__name__}: {as_one_line(error)}{place}"


def _unknown_field(argv: Sequence[str], error: str) -> str:
    hint = re.search(r'Did you mean "([^"]+)"', error)
    quoted = re.findall(r"'(\w+)'", error.replace("\\", "").partition("\n")[0])
    overrides = [a for a in argv if re.match(r"--(no)?config\.", a)]
    named = [a for a in overrides if quoted and re.search(rf"\.{quoted[0]}\b", a)]
    return f"{' '.join(named or overrides)}: the config has no such field" + (
        f"; did you mean {hint.group(1)!r}?" if hint else ""
    )
