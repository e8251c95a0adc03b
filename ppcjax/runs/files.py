"""Files that are there whole or not at all."""

import json
from pathlib import Path
from typing import Any

from ppcjax.console import screen
from ppcjax.console.disk import CannotWrite, cannot_write
from ppcjax.console.writing import check_writable, remove_file, write_file

__all__ = [
    "cannot_write",
    "check_writable",
    "note_json",
    "remove_file",
    "write_file",
    "write_json",
]


def write_json(path: Path, content: Any) -> None:
    """Writes JSON types as text; see `write_file`."""
    write_file(path, json_bytes(content))


def json_bytes(content: Any) -> bytes:
    """JSON types as the text of a file."""
    return json.dumps(content, indent=1).encode()


def note_json(path: Path, content: Any) -> bool:
    """Writes what a later call only saves time with; whether that could be done.

    A run may lie on a disk that is full, or read-only, and be evaluated all the same:
    a line says that it is not noted.
    """
    try:
        write_json(path, content)
    except CannotWrite as error:
        screen.line(
            f"not noted in {path} ({error.refusal.what}), so that it is found out "
            "again the next time"
        )
        return False
    return True
