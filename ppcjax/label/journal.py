"""What was done, a line each: kept on the disk before it is acknowledged.

A line is JSON whose last entry is a digest of the rest. The end of a file that a
killed process left behind half written was never acknowledged, and is dropped.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ppcjax.console import writing
from ppcjax.console.words import counted
from ppcjax.runs import checked
from ppcjax.types import UserError

_DIGEST = 8  # bytes
_FORMAT = 1
_FIRST = {"n": 0, "kind": "begin", "format": _FORMAT}


class Journal:
    """The journal of a folder; one process writes it at a time.

    entries: what it held when it was opened, in order.
    said: what was dropped or left out of it, one line each.
    """

    def __init__(self, path: Path):
        """Reads a journal, or begins one.

        Args:
            path: the file.

        Raises:
            UserError: it cannot be read or be written to, or is another file.
        """
        new = not path.exists()
        content = b"" if new else _content(path)
        whole, torn = _without_torn(content)
        self.entries, self.said = _read(whole, path)
        _check_ours(self.entries, whole, path)
        if torn:
            writing.cut(path, len(whole))
            self.said.append(
                f"{path}: the last line was not finished, so it was never confirmed; "
                f"{counted(len(torn), 'byte')} dropped"
            )
        self._file = writing.Appending(path, folder=True)
        if not self.entries:
            self.append([_FIRST])
        if new:
            writing.force(path.parent)

    def append(self, entries: Iterable[Mapping[str, Any]]) -> None:
        """Adds entries; on return the disk has them all.

        Args:
            entries: JSON types.

        Raises:
            UserError: the disk refuses, and none of them counts.
        """
        content = b"".join(map(line_of, entries))
        if content:
            self._file.write_forced(content)

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


def line_of(entry: Mapping[str, Any]) -> bytes:
    """An entry with its digest, and the end of the line."""
    body = json.dumps(dict(entry), separators=(",", ":"), allow_nan=False).encode()
    return body[:-1] + _seal(body) + b"\n"


def _seal(body: bytes) -> bytes:
    found = hashlib.blake2b(body, digest_size=_DIGEST).hexdigest()
    return b',"sum":"' + found.encode() + b'"}'


_SEAL = len(_seal(b""))


def _check_ours(entries: list[dict[str, Any]], content: bytes, path: Path) -> None:
    """Raises UserError where a journal is none of this program, or of a later one."""
    if content and not entries:
        raise UserError(f"{path} is no journal of labels; choose another folder")
    if entries and entries[0].get("format", _FORMAT) != _FORMAT:
        raise UserError(f"{path} was written by a later version; install that one")


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(
            f"{path} cannot be read ({error.strerror}); it holds all that was marked: "
            "make it readable, or put it back"
        ) from error


def _without_torn(content: bytes) -> tuple[bytes, bytes]:
    """All whole lines, and what lies behind the last of them."""
    end = content.rfind(b"\n") + 1
    return content[:end], content[end:]


def _read(content: bytes, path: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """The entries of whole lines, and what is said of damaged ones."""
    found, damaged = [], []
    for number, line in enumerate(content.split(b"\n")[:-1], 1):
        entry = _entry(line)
        if entry is None:
            damaged.append(number)
        else:
            found.append(entry)
    if not damaged:
        return found, []
    shown = ", ".join(map(str, damaged[:5])) + (", ..." if damaged[5:] else "")
    return found, [
        f"{path}: {counted(len(damaged), 'damaged line')} left out ({shown}); if there "
        "is a copy of that file, put it back and start again"
    ]


def _entry(line: bytes) -> dict[str, Any] | None:
    body = line[:-_SEAL] + b"}"
    if len(line) <= _SEAL or line[-_SEAL:] != _seal(body):
        return None
    try:
        found = checked.parse(body)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
