"""What made a folder of files: provenance.json beside them."""

import subprocess
from pathlib import Path
from typing import Any

from ppcjax.runs.checked import read_json
from ppcjax.version import __version__

NAME = "provenance.json"


def commit() -> str | None:
    """The commit that runs, with "+" if files differ from it; None if unknown."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    try:
        found = _git(root, "rev-parse", "--short", "HEAD")
        changed = _git(root, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.CalledProcessError):
        return None
    return found + ("+" if changed else "")


def _git(root: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(root), *words], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def stamped(record: dict[str, Any]) -> dict[str, Any]:
    """What provenance.json holds: the version, the commit and a record."""
    return {"version": __version__, "commit": commit(), **record}


def read(folder: Path) -> dict[str, Any] | None:
    """The record of a folder or of the one around it; None without one.

    Raises:
        UserError: the file is damaged.
    """
    for file in (folder / NAME, folder.parent / NAME):
        if file.exists():
            return read_json(file, "export that folder again")
    return None
