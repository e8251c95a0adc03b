"""What lies in a folder before anything is written there."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from ppcjax.types import UserError

LIST = ".ppcjax.jsonl"  # of a folder of ours: what was written into it, see `ours`
# What earlier versions, which kept no list, left in every folder of results.
_EARLIER = {"metrics.json", "provenance.json"}
# What systems leave in folders, beside what is hidden.
_LEAVINGS = {
    *("thumbs.db", "desktop.ini", "ehthumbs.db", "icon\r", "@eadir", "__macosx"),
    *("lost+found", "$recycle.bin", "system volume information"),
}


def check_folder(path: Path, text: str = "folder") -> None:
    """Raises UserError where a path is there and is no folder, or can be none.

    Args:
        path: where the folder is, or is to be.
        text: what it is, for the message.
    """
    if "\0" in str(path):
        raise UserError(f"{ascii(str(path))} can be no {text}; choose another")
    if os.path.lexists(path) and not path.is_dir():
        link = path.is_symlink() and not path.exists()
        what = "a link that leads nowhere" if link else "there and no folder"
        raise UserError(f"{path} is {what}; choose another {text}")


def names_in(path: Path) -> list[str]:
    """Names of what lies in a folder, sorted; none where there is no folder.

    What is hidden or left by a system is nothing, and so is the file that our own
    output goes to.
    """
    try:
        with os.scandir(path) as found:
            return sorted(entry.name for entry in found if not _is_nothing(entry))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UserError(
            f"{path} cannot be read ({error.strerror}); choose another folder"
        ) from error


def not_ours(path: Path, name: str) -> UserError:
    """What is raised where something else lies in a folder."""
    return UserError(
        f"{path} holds {shown(name)}, which ppcjax did not write: choose a new or an "
        "empty folder, or move it away"
    )


def shown(name: str) -> str:
    """A name without what is not printed."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in name)


def files_below(root: Path, base: str = "") -> Iterator[tuple[str, os.DirEntry]]:
    """All that lies below a folder but folders, by its path; links as they are.

    Folders of results below have lists of their own, and are passed over.
    """
    try:
        with os.scandir(root / base) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except FileNotFoundError:
        return
    except OSError as error:
        raise UserError(f"{root / base} cannot be read ({error.strerror})") from error
    names = {entry.name for entry in entries}
    if base and (LIST in names or names >= _EARLIER):
        return
    for entry in entries:
        if _is_nothing(entry, top=not base):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from files_below(root, f"{base}{entry.name}/")
        else:
            yield f"{base}{entry.name}", entry


def _is_nothing(entry: os.DirEntry, top: bool = True) -> bool:
    """Whether something in a folder is nobody's: hidden, a leaving, our own output."""
    if entry.name.startswith(".") or entry.name.lower() in _LEAVINGS:
        return True
    return top and entry.is_file() and _is_output(entry)


def _is_output(entry: os.DirEntry) -> bool:
    for stream in (sys.__stdout__, sys.__stderr__):
        try:
            if os.path.samestat(os.fstat(stream.fileno()), entry.stat()):
                return True
        except (AttributeError, OSError, ValueError):
            continue  # there is no such stream, or it is no file
    return False
