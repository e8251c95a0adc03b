"""Names of result files: whatever a photo or a class is called, below its folder."""

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from ppcjax.types import UserError

LONGEST = 255  # bytes of a name, on all usual file systems
# What Windows has another use for: letters, ends and devices, with any suffix.
_OF_WINDOWS = re.compile(
    r'.*[<>:"|?*\\\x00-\x1f].*|.*[. ]|(con|prn|aux|nul|com\d|lpt\d)(\..*)?', re.I | re.S
)


def below(folder: Path, name: str, *, windows: bool = os.name == "nt") -> Path:
    """The path of a file below a folder: every name of a result is made here.

    Args:
        folder: where the result is written.
        name: path below it, with "/" between its parts.
        windows: whether names must be possible on Windows.

    Raises:
        UserError: it would lie elsewhere, or no file can be called so.
    """
    if why := _why_not(name, windows):
        shown = ascii(name) if len(name) <= 80 else f"{ascii(name[:60])}..."
        raise UserError(f"{folder}: no file can be called {shown}, {why}; rename it")
    return Path(os.path.join(folder, *name.split("/")))


def _why_not(name: str, windows: bool) -> str:
    """Why no file of a result is called so; "" where it may be."""
    parts = name.split("/")
    if any(part in ("", ".", "..") for part in parts):
        return "which leads out of the folder"
    if "\0" in name:
        return "which holds a zero byte"
    try:
        longest = max(len(os.fsencode(part)) for part in parts)
    except UnicodeEncodeError:
        return "which cannot be written in the system's encoding"
    if longest > LONGEST:
        return f"which is {longest} bytes long, and {LONGEST} are possible"
    if windows and any(map(_OF_WINDOWS.fullmatch, parts)):
        return "which Windows has another use for"
    return ""


def check_all(folder: Path, names: Iterable[str]) -> None:
    """Raises UserError where results of several photos would take one another's place.

    Args:
        folder: where they are written; it need not be there.
        names: their paths below it.
    """
    known: dict[str, str] = {}
    folders: dict[str, str] = {}
    folded = not _tells_cases(folder)
    for name in names:
        below(folder, name)
        key = name.casefold() if folded else name
        if key in known:
            raise UserError(
                f"{folder}: results of {known[key]!r} and {name!r} would be one file, "
                "as the disk does not tell capitals from small letters; rename a photo"
            )
        known[key] = name
        while key := key.rpartition("/")[0]:
            if key in folders:
                break
            folders[key] = name
    _check_apart(folder, known, folders)


def _check_apart(
    folder: Path, files: Mapping[str, str], folders: Mapping[str, str]
) -> None:
    """Raises UserError where a file would have the name of a folder."""
    for key in files.keys() & folders.keys():
        raise UserError(
            f"{folder}: the result {files[key]!r} would have the name of the folder of "
            f"{folders[key]!r}; rename a photo"
        )


def _tells_cases(folder: Path) -> bool:
    """Whether the disk of a folder tells capitals from small letters."""
    place = Path(os.path.abspath(folder))
    for there in (place, *place.parents):
        other = there.with_name(there.name.swapcase()) if there.name else there
        if other.name != there.name and there.exists():
            try:
                return not os.path.samefile(there, other)
            except OSError:
                return True
    return True
