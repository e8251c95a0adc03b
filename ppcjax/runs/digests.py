"""Digests of the files of a checkpoint: damage is noticed before anything is used.

STEP/SHA256SUMS has a line for every file that was saved, as `sha256sum -c SHA256SUMS`
reads it, the run and the step in its first line, and a digest of itself in its last. It
is written before the step gets its name, so that no step is without it.
"""

import errno
import hashlib
import os
import re
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from ppcjax.runs import checked, messages
from ppcjax.types import UserError

NAME = "SHA256SUMS"
META = "meta/metadata"  # of a checkpoint, as JSON

# Orbax writes these when the digests are there already, and nothing reads them.
_NEVER_READ = {NAME, "_CHECKPOINT_METADATA", "commit_success.txt"}
_OF_SYSTEMS = {"Thumbs.db", "desktop.ini"}  # beside all with a leading dot
_FIRST = re.compile(r"# ppcjax run ([0-9a-f]{32}) step (\d+)\n")
_LINE = re.compile(r"([0-9a-f]{64})  ([^\n]+)\n")
_LONGEST = 2**26  # bytes of SHA256SUMS; a file takes about a hundred
_THREADS = 4

# Such errors tell of this process or the mount, not of the file.
_NOT_OF_THE_FILE = {
    errno.EACCES,
    errno.EPERM,
    errno.EMFILE,
    errno.ENFILE,
    errno.ENOMEM,
    errno.EINTR,
    errno.ESTALE,
    errno.ETIMEDOUT,
}


class Damaged(UserError):
    """A checkpoint that is not what was saved."""


class Sums(NamedTuple):
    """What SHA256SUMS says.

    run: identity of the run that saved it, 32 hexadecimal digits.
    step: its number of updates.
    files: SHA-256 by the file's path, with slashes.
    """

    run: str
    step: int
    files: dict[str, str]


def write(folder: Path, run: str, step: int) -> None:
    """Writes the digests of all files below a folder, which are on the disk then.

    Args:
        folder: a checkpoint that is complete but for its name.
        run: identity of the run.
        step: its number of updates.

    Raises:
        OSError: a file can't be read or written.
    """
    found = _each(_digest_on_disk, folder, _files(folder))
    lines = (f"{digest}  {name}\n" for name, digest in found.items())
    text = "".join([f"# ppcjax run {run} step {step}\n", *lines])
    with open(folder / NAME, "wb") as file:
        file.write(f"{text}# {_of(text)}\n".encode())
        file.flush()
        os.fsync(file.fileno())


def read(folder: Path) -> Sums | None:
    """The digests of a checkpoint; None where it was saved without them.

    Raises:
        Damaged: they are damaged.
        UserError: they can't be read for now.
    """
    try:
        found = _content(folder, NAME, _LONGEST)
    except FileNotFoundError:
        return None
    try:
        text = found.decode("ascii")
    except ValueError:
        text = ""
    body, _, last = text.rpartition("# ")
    first = _FIRST.match(body)
    if first is None or last != f"{_of(body)}\n":
        raise Damaged(f"its {NAME} is damaged")
    files = {name: digest for digest, name in _LINE.findall(body, first.end())}
    return Sums(first[1], int(first[2]), files)


def check(folder: Path, run: str | None, *, only: str = "") -> Sums | None:
    """Checks that a checkpoint has the files that were saved, and no others.

    Args:
        folder: RUN/checkpoints/STEP, named as when it was saved.
        run: identity of the run that it lies in; None where that has none.
        only: the one file that is looked at; "" for all.

    Returns:
        Its digests; None where it was saved without them.

    Raises:
        Damaged: a file is missing, changed, or was not saved with it.
        UserError: a file can't be read for now.
    """
    sums = read(folder)
    if sums is None:
        return None
    if run is not None and sums.run != run:
        raise Damaged("it was saved by another run")
    if folder.name != str(sums.step):
        raise Damaged(f"it was saved as step {sums.step}")
    there = {only} if only else _files(folder)
    for name in sorted(there ^ sums.files.keys() if not only else ()):
        what = "is missing" if name in sums.files else "was not saved with it"
        raise Damaged(f"{name} {what}")
    for name, digest in _each(_digest, folder, there).items():
        if digest != sums.files.get(name):
            raise Damaged(f"{name} is not what was saved")
    return sums


def meta(folder: Path) -> dict[str, Any]:
    """Meta of a checkpoint, which `check` has looked at.

    Raises:
        Damaged: it is missing, or no meta.
        UserError: it can't be read for now.
    """
    try:
        return checked.meta_of(folder)
    except (FileNotFoundError, ValueError) as error:
        raise Damaged(messages.first_line(error)) from error
    except OSError as error:
        raise cannot_read(folder / META, error) from error


def cannot_read(path: Path, error: OSError) -> UserError:
    """What is raised where a file can't be read: damaged, or not for now."""
    if error.errno in _NOT_OF_THE_FILE:
        return UserError(
            f"cannot read {path} ({error.strerror}); nothing was changed: see to that, "
            "and run the same command again"
        )
    return Damaged(f"{path.name} cannot be read ({error.strerror})")


def _files(folder: Path) -> set[str]:
    """Paths of the files that a checkpoint is made of, below its folder."""
    found = set()

    def failed(error: OSError) -> None:
        raise cannot_read(Path(error.filename), error) from error

    for root, folders, names in os.walk(folder, onerror=failed):
        folders[:] = filter(_counts, folders)
        for name in filter(_counts, names):
            found.add((Path(root) / name).relative_to(folder).as_posix())
    return found - _NEVER_READ


def _counts(name: str) -> bool:
    return not name.startswith(".") and name not in _OF_SYSTEMS


def _each(
    digest: Callable[[Path], str], folder: Path, names: set[str]
) -> dict[str, str]:
    """Digests of files by name, a few at a time: Python lets go of its lock."""
    with ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1)) as pool:
        order = sorted(names)
        paths = [folder / name for name in order]
        return dict(zip(order, pool.map(digest, paths), strict=True))


def _digest(path: Path) -> str:
    try:
        with _opened(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise cannot_read(path, error) from error


def _digest_on_disk(path: Path) -> str:
    with _opened(path) as file:
        os.fsync(file.fileno())
        return hashlib.file_digest(file, "sha256").hexdigest()


def _content(folder: Path, name: str, most: int = -1) -> bytes:
    path = folder / name
    try:
        with _opened(path) as file:
            return file.read(most)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise cannot_read(path, error) from error


def _opened(path: Path):
    """A file, opened; a pipe or a device is not waited for."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return open(descriptor, "rb")
    os.close(descriptor)
    raise OSError(errno.EINVAL, "not a file")


def _of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
