"""Settings of a command line that the config does not hold, or holds as None.

A config names what it needs; all else that fits it is declared, with a default, and is
set here as its declaration says. So is None, which takes a setting out.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import ml_collections

from ppcjax import fields

_GIVEN = re.compile(r"--(config(?:\.\w+)+)(?:=(.*))?", re.DOTALL)


class Given(NamedTuple):
    """What is typed for a setting.

    path: config.PART.NAME, as declarations have it.
    text: what it shall be.
    words: the arguments that say so.
    """

    path: str
    text: str
    words: tuple[str, ...]


def part(argv: Sequence[str], config: Any) -> tuple[list[str], list[Given]]:
    """Arguments for what a config holds and all others, and those for what it does not.

    Args:
        argv: arguments.
        config: the ConfigDict as its file makes it.
    """
    held, beside, words = [], [], list(argv)
    while words:
        word = words.pop(0)
        found = _GIVEN.fullmatch(word)
        if not found:
            held.append(word)
            continue
        path, text = found.groups()
        spaced = text is None and bool(words) and not words[0].startswith("--")
        given = (word, words[0]) if spaced else (word,)
        text = given[1] if spaced else "true" if text is None else text
        if _holds(config, path) and text != "None":
            held.append(word)
            continue
        del words[: len(given) - 1]
        beside.append(Given(path, text, given))
    return held, beside


def fill(
    config: ml_collections.ConfigDict,
    given: Sequence[Given],
    hints: Callable[[Mapping[str, Any]], Mapping[str, Any]],
) -> Given | None:
    """Sets what is declared.

    Args:
        config: which gets it.
        given: what `part` found.
        hints: annotations by path of the settings that fit a config.

    Returns:
        The first that fits no declaration, if any; then what comes behind it is not
        set.

    Raises:
        UserError: a value is not what the declaration allows.
    """
    known = hints(config.to_dict()) if given else {}
    for one in given:
        hint = known.get(one.path)
        if hint is None:
            return one
        value = fields.parse(hint, one.text, f"--{one.path}")
        *parents, name = one.path.split(".")[1:]
        place = config
        with config.unlocked(), config.ignore_type():
            for parent in parents:
                if not _is_dict(place.get(parent)):
                    place[parent] = ml_collections.ConfigDict()
                place = place[parent]
            place[name] = value
    return None


def _holds(config: Any, path: str) -> bool:
    """Whether there is a value other than None."""
    for name in path.split(".")[1:]:
        if not _is_dict(config) or name not in config:
            return False
        config = config.get(name)
    return config is not None


def _is_dict(config: Any) -> bool:
    return isinstance(config, ml_collections.ConfigDict)
