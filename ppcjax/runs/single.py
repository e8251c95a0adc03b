"""Single files that somebody names: those of others are not written over."""

import os
from collections.abc import Callable
from pathlib import Path

from ppcjax.runs.files import write_file
from ppcjax.runs.listed import join
from ppcjax.types import UserError


def write_own(
    path: str | Path, content: bytes, is_ours: Callable[[Path], bool]
) -> Path:
    """Writes a single file that somebody named, unless another one is there.

    Args:
        path: the file; missing folders are made; of a link, what it leads to.
        content: its bytes.
        is_ours: file -> whether this program wrote it, which it says itself; errors of
            reading it count as no.

    Returns:
        The file.

    Raises:
        UserError: something else is there, or it cannot be written.
    """
    path = Path(path).expanduser()
    check_file(path, is_ours)
    target = Path(os.path.realpath(path))
    join(target, content)
    write_file(target, content)
    return path


def check_file(path: str | Path, is_ours: Callable[[Path], bool]) -> None:
    """Raises UserError where `write_own` would; nothing is written."""
    path = Path(path).expanduser()
    if not os.path.lexists(path):
        return
    if not path.is_file():
        what = "a folder" if path.is_dir() else "no regular file"
        raise UserError(f"{path} is {what}; name a new file")
    try:
        ours = is_ours(path)
    except Exception:  # whatever another program's file makes a reader raise
        ours = False
    if not ours:
        raise UserError(
            f"{path} is there already and is none that ppcjax wrote; name a new file, "
            "or move that one away"
        )
