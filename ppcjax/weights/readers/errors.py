"""What may go wrong with a file of weights, before its format is known."""

import struct
import zipfile
import zlib
from pathlib import Path

from ppcjax.runs import extent


class Refusal(Exception):
    """A file that is whole and yet not read; the text says why and what to do."""


# What a truncated, altered or foreign file makes the parsers raise.
DAMAGE = (
    *(AttributeError, EOFError, LookupError, NotImplementedError, OSError),
    *(OverflowError, RecursionError, RuntimeError, SyntaxError, TypeError),
    *(ValueError, struct.error, zipfile.BadZipFile, zlib.error),
)


def quoted(text: object, limit: int = 60) -> str:
    """Some text of a file in one short line, fit for a message."""
    line = str(text)[: 2 * limit].encode("unicode_escape", "replace").decode()
    return line if len(line) <= limit else line[:limit] + "..."


def printable(text: object) -> str:
    """A text that may hold parts of a file, without what a terminal would obey."""
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text)
    )


def whole(path: Path) -> bytes:
    """The bytes of a file.

    Raises:
        OSError: it cannot be read.
        Refusal: it is for the most part a hole, or larger than the memory.
    """
    if extent.is_hole(path):
        raise Refusal("is for the most part a hole; download it again")
    if path.stat().st_size > extent.memory_bytes():
        raise MemoryError
    return path.read_bytes()
