"""Disks that refuse: full, limited, read-only, away, and folders that are taken away.

Each trouble is a context manager over a folder; what it does begins when it is entered,
and ends with it. Those of a real small file system need the right to mount one.
"""

import contextlib
import errno
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pytest

SIZE = 4 << 20  # bytes of the small file system
PAGE = 4096
# What is refused without any file system for it.
CODES = {
    "quota": errno.EDQUOT,
    "input output error": errno.EIO,
    "read-only": errno.EROFS,
    "stale": errno.ESTALE,
    "too many files": errno.ENFILE,
    "not connected": errno.ENOTCONN,
}


@contextlib.contextmanager
def small(folder: Path):
    """A file system of SIZE bytes at a folder; skips where none can be mounted."""
    folder.mkdir(parents=True, exist_ok=True)
    if not sys.platform.startswith("linux"):
        pytest.skip("small file systems are mounted on Linux only")
    words = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder)]
    try:
        made = subprocess.run(words, capture_output=True, text=True)
    except OSError as error:
        pytest.skip(f"no file system can be mounted here: {error}")
    if made.returncode:
        pytest.skip(f"no file system can be mounted here: {made.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@contextlib.contextmanager
def full(folder: Path, left: int = 0):
    """No more than about `left` bytes are free on the file system of a folder."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        free = shutil.disk_usage(folder).free
        file.write(bytes(max(free - left, 0)))
        while not left:
            file.write(bytes(PAGE))
    try:
        yield
    finally:
        ballast.unlink()


@contextlib.contextmanager
def read_only(folder: Path):
    """The file system of a folder is read-only for what is opened from now on."""
    subprocess.run(["mount", "--bind", str(folder), str(folder)], check=True)
    words = ["mount", "-o", "remount,ro,bind", str(folder)]
    subprocess.run(words, check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@contextlib.contextmanager
def limited(kind: int, value: int):
    """A soft limit of this process: RLIMIT_FSIZE, RLIMIT_NOFILE."""
    soft, hard = resource.getrlimit(kind)
    resource.setrlimit(kind, (value, hard))
    try:
        yield
    finally:
        resource.setrlimit(kind, (soft, hard))


def files_open() -> int:
    """The number that the next open file of this process gets."""
    file = os.open(os.devnull, os.O_RDONLY)
    os.close(file)
    return file


@contextlib.contextmanager
def refusing(folder: Path, code: int, calls=("write", "open", "replace", "mkdir")):
    """All that writes below a folder through Python is refused with an error number."""
    place = str(folder.resolve())

    def below(what):
        if isinstance(what, int):
            with contextlib.suppress(OSError):
                what = os.readlink(f"/proc/self/fd/{what}")
        return os.path.abspath(os.fspath(what)).startswith(place)

    def refuse(call):
        real = getattr(os, call)

        def tried(path, *more, **kwargs):
            writes = call != "open" or (more and more[0] & (os.O_WRONLY | os.O_CREAT))
            if not isinstance(path, int | str | os.PathLike):
                return real(path, *more, **kwargs)
            if writes and below(path):
                raise OSError(
                    code, os.strerror(code), None if call == "write" else path
                )
            return real(path, *more, **kwargs)

        return mock.patch.object(os, call, tried)

    opened = Path.write_bytes

    def write_bytes(path, data):
        if below(path):
            raise OSError(code, os.strerror(code), str(path))
        return opened(path, data)

    with contextlib.ExitStack() as stack:
        for call in calls:
            stack.enter_context(refuse(call))
        if "open" in calls:
            stack.enter_context(mock.patch.object(Path, "write_bytes", write_bytes))
        yield


@contextlib.contextmanager
def moved(folder: Path, *, replaced: bool):
    """A folder lies elsewhere, and perhaps another one in its place."""
    away = folder.with_name(folder.name + " away")
    folder.rename(away)
    if replaced:
        folder.mkdir(exist_ok=True)  # or it was made for a checkpoint just now
    try:
        yield
    finally:
        while away.exists():
            remove(folder)
            with contextlib.suppress(OSError):  # a file of it was made anew
                away.rename(folder)


@contextlib.contextmanager
def removed(folder: Path):
    """A folder is gone."""
    remove(folder)
    yield


def remove(folder: Path) -> None:
    """Removes a folder, however often who writes into it makes a file of it anew."""
    while folder.exists():
        shutil.rmtree(folder, ignore_errors=True)
