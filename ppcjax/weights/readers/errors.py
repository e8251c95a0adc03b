"""What may go wrong inside a file of weights, before its path is known."""

import struct
import zipfile
import zlib


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
