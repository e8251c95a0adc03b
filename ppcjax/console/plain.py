"""Text of people's files made safe for where it goes: terminal, log, table, page.

Names of files and classes may hold line feeds, sequences that steer a terminal, marks
that turn the order of letters, and bytes that are no text. What is not printed is
written as Python's repr writes it.
"""

import contextlib
import sys
import unicodedata
from collections.abc import Iterator
from typing import Any

# What begins a formula in a spreadsheet.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")
# Joiners, which letters of some languages and pictures of people need.
_JOINERS = "\u200c\u200d"


def _shown(c: str) -> str:
    if c.isprintable() or c in _JOINERS or unicodedata.category(c) == "Zs":
        return c
    return c.encode("unicode_escape").decode()


def line(text: str) -> str:
    """A text in one line that steers nothing; printable text stays as it is."""
    return text if text.isprintable() else "".join(map(_shown, text))


def lines(text: str) -> str:
    """The same of a text of several lines, whose ends stay; so do tabs."""
    if text.replace("\n", "").isprintable():
        return text
    return "".join(c if c in "\n\t" else _shown(c) for c in text)


def cell(text: str) -> str:
    """A cell of a table; one that a spreadsheet would compute gets an apostrophe."""
    shown = line(text)
    return f"'{shown}" if text.lstrip(" ").startswith(_FORMULA) else shown


class Stream:
    """A stream of text to which only `lines` get; else it is the one that it holds."""

    def __init__(self, held: Any):
        """Holds a stream, which `write` writes to."""
        self.held = held

    def write(self, text: str) -> int:
        """Writes a text; returns its length."""
        self.held.write(lines(text))
        return len(text)

    def writelines(self, texts) -> None:
        """Writes several texts."""
        for text in texts:
            self.write(text)

    def __getattr__(self, name: str) -> Any:
        """All else is asked of the stream that is held."""
        return getattr(self.held, name)


def under(stream: Any) -> Any:
    """The stream below, which takes what steers a terminal: for the bar alone."""
    while isinstance(stream, Stream):
        stream = stream.held
    return stream


@contextlib.contextmanager
def streams() -> Iterator[None]:
    """Makes all that is printed plain, whoever prints it."""
    before = sys.stdout, sys.stderr
    made = [
        Stream(stream) if stream is not None and not isinstance(stream, Stream)
        else stream
        for stream in before
    ]  # fmt: skip
    sys.stdout, sys.stderr = made
    try:
        yield
    finally:
        if sys.stdout is made[0]:
            sys.stdout = before[0]
        if sys.stderr is made[1]:
            sys.stderr = before[1]
