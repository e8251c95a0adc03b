"""Lack of memory in one line: what asked for how much, and what may be lowered.

JAX says it in other words on each device, NumPy and C++ in others again. What the
kernel kills for want of memory says nothing; see `ppcjax.console.raw`.
"""

import contextlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ppcjax.errors import UserError

# What says that memory is lacking: names of errors, then words in others' messages.
_KINDS = ("MemoryError", "_ArrayMemoryError")
_WORDS = re.compile(
    r"RESOURCE_EXHAUSTED|out of memory|ran out of memory|std::bad_alloc"
    r"|CUDA_ERROR_OUT_OF_MEMORY|HIP_ERROR_OutOfMemory|failed to allocate .* bytes"
    r"|cannot allocate memory",
    re.IGNORECASE,
)
# RESOURCE_EXHAUSTED is also said of full disks and of servers.
_NOT = re.compile(r"os_error_code|No space left|Quota|too many requests", re.IGNORECASE)
_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40, "P": 2**50}
_SIZE = r"(?P<size>\d[\d,.]*) ?(?:(?P<unit>[KMGTP])(?:i?B)?\b|bytes|B\b|(?!\w))"
# What was asked for, the clearest words first.
_ASKED = tuple(
    re.compile(before + _SIZE, re.IGNORECASE)
    for before in (
        r"Unable to allocate ",
        r"trying to allocate ",
        r"failed to allocate (?:request for )?",
        r"out of memory allocating ",
        r"allocating ",
        r"attempting to reserve ",
        r"Used ",
    )
)
_HELD = re.compile(r"Used [\d.,]+ ?[KMGTP]?i?B? of " + _SIZE, re.IGNORECASE)


class Lacking(UserError):
    """A lack of memory in one line.

    advised: whether the line says what may be lowered.
    """

    def __init__(self, line: str, advice: Sequence[str] = ()):
        super().__init__(f"{line}; {' or '.join(advice)}" if advice else line)
        self.advised = bool(advice)


def is_lacking(error: BaseException) -> bool:
    """Whether an error says that there is too little memory, of a device or here."""
    if any(cls.__name__ in _KINDS for cls in type(error).__mro__):
        return True
    text = str(error)
    return bool(_WORDS.search(text)) and not _NOT.search(text)


def of_machine() -> int:
    """Bytes of memory of this machine; 0 where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 0


def bytes_asked(text: str) -> int | None:
    """Bytes that were asked for, by the words of an error; None where it names none."""
    return next((_bytes(m) for p in _ASKED if (m := p.search(text))), None)


def bytes_held(text: str) -> int | None:
    """Bytes that there are, by the words of an error; None where it names none."""
    found = _HELD.search(text)
    return _bytes(found) if found else None


def as_text(count: int) -> str:
    """A number of bytes in the largest unit of which there is one."""
    for unit, size in reversed(_UNITS.items()):
        if unit and count >= size:
            return f"{count / size:.3g} {unit}iB"
    return f"{count} bytes"


def said(error: BaseException, what: str) -> str:
    """The line, without advice.

    Args:
        error: one of those of `is_lacking`.
        what: what was being done.
    """
    text = str(error)
    asked, held = bytes_asked(text), bytes_held(text)
    size = f" ({as_text(asked)} asked for" if asked else ""
    size += f" of {as_text(held)})" if asked and held else ")" if asked else ""
    return f"out of memory while {what}{size}"


@contextlib.contextmanager
def guarded(what: str, advice: Sequence[str] = ()) -> Iterator[None]:
    """Turns a lack of memory into a UserError of one line, see `said`.

    Guards may lie in one another: the inner one knows what was done, and the outer one
    how settings are typed, whose advice is added.

    Args:
        what: what is being done.
        advice: settings with what to do to them, the best first.
    """
    try:
        yield
    except Lacking as error:
        if error.advised:
            raise
        raise Lacking(str(error), advice) from None
    except Exception as error:
        if isinstance(error, UserError) or not is_lacking(error):
            raise
        raise Lacking(said(error, what), advice) from None


def to_lower(
    values: Mapping[str, Any], settings: Mapping[str, str], prefix: str
) -> list[str]:
    """Advice on the settings that there are and that can be lowered.

    Args:
        values: settings and their values.
        settings: name -> how it is lowered: "lower", "fewer", "switch off" ...
        prefix: what stands before the name of a setting where it is typed.
    """
    return [
        f"{how} {prefix}{name} ({_shown(values[name])})"
        for name, how in settings.items()
        if _can_fall(values.get(name))
    ]


def _can_fall(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return value > 1
    if not isinstance(value, list | tuple):
        return False
    numbers = all(isinstance(x, int | float) for x in value)
    return numbers and (len(value) > 1 or any(x > 1 for x in value))


def _shown(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ",".join(f"{x:g}" for x in value)
    return str(value)


def _bytes(found: re.Match) -> int:
    number = float(found["size"].replace(",", "").rstrip("."))
    return int(number * _UNITS[(found["unit"] or "").upper()])
