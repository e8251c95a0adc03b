"""Files that are there whole or not at all, and arrays from files that may not be."""

import contextlib
import json
import os
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from ppcjax.runs.messages import first_line
from ppcjax.types import UserError


def write_file(path: Path, content: bytes) -> None:
    """Writes a file so that it is there whole or not at all.

    Args:
        path: the file; missing folders are made.
        content: its bytes.

    Raises:
        UserError: the folder cannot be written to.
    """
    # Short, as the name itself may be as long as a name can be.
    temporary = path.with_name(f".{zlib.crc32(os.fsencode(path.name)):08x}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(content)
        os.replace(temporary, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise cannot_write(path, error) from error


def cannot_write(path: Path, error: OSError) -> UserError:
    """What is raised where a file cannot be written."""
    return UserError(
        f"cannot write {path} ({error.strerror}); free space there or choose another "
        "folder"
    )


def write_json(path: Path, content: Any) -> None:
    """Writes JSON types as text; see `write_file`."""
    write_file(path, json.dumps(content, indent=1).encode())


def read_json(path: Path) -> dict[str, Any]:
    """What a JSON file notes; {} where it is not there.

    Raises:
        UserError: it is damaged, or holds something else than names and values.
    """
    try:
        found = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path} is damaged ({first_line(error)}); remove it, and what it notes is "
            "found out again"
        ) from error
    if not isinstance(found, dict):
        raise UserError(f"{path} holds no names and values; remove it")
    return found


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an .npz file by name.

    Raises:
        FileNotFoundError: it is not there.
        ValueError: it is damaged, or no such file.
    """
    try:
        with np.load(path) as content:
            return dict(content)
    except FileNotFoundError:
        raise
    except Exception as error:  # what damage raises depends on the byte that it hit
        raise ValueError(first_line(error)) from error
