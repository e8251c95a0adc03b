"""The one way to open a file of people's: a regular one, never waiting, within bounds.

A pipe would be waited for without end, a device may do things when it is opened, and a
file may hold more than memory does, or shrink while it is read. What is opened here has
no descriptor to map into memory: a mapped file that shrinks ends the process.
"""

import errno
import io
import os
import stat
from pathlib import Path

# What is read of a file at once, in bytes.
MOST_AT_ONCE = 1 << 30
# Reads of an opened file: some readers go through a file byte by byte.
MOST_READS = 2_000_000

_KINDS = (
    (stat.S_ISDIR, "it is a folder"),
    (stat.S_ISFIFO, "it is a pipe"),
    (stat.S_ISSOCK, "it is a socket"),
    (stat.S_ISCHR, "it is a device"),
    (stat.S_ISBLK, "it is a device"),
)
_FLAGS = os.O_RDONLY | sum(
    getattr(os, name, 0) for name in ("O_NONBLOCK", "O_NOCTTY", "O_BINARY")
)


def kind(mode: int) -> str:
    """What a file is, in words, by its `st_mode`; "" for a regular one."""
    if stat.S_ISREG(mode):
        return ""
    return next((words for is_it, words in _KINDS if is_it(mode)), "it is no file")


class Regular(io.BufferedReader):
    """An opened regular file.

    size: bytes that it held when it was opened.
    """

    def __init__(self, file: str | os.PathLike[str]):
        """Opens `file`; OSError where that is no regular file, or cannot be opened."""
        _check(os.stat(file).st_mode, file)
        descriptor = os.open(file, _FLAGS)
        try:
            found = os.fstat(descriptor)
            _check(found.st_mode, file)  # it may have been replaced
            super().__init__(io.FileIO(descriptor, closefd=True))
        except BaseException:
            os.close(descriptor)
            raise
        self.size = found.st_size
        self._reads = 0

    @property
    def fileno(self):
        """Libraries that ask for a descriptor, to map the file, find none."""
        raise AttributeError("fileno")

    def read(self, size: int | None = -1) -> bytes:
        """Bytes from here on; never takes memory for what is not there.

        Raises:
            OSError: more than MOST_AT_ONCE would be read, or it was read in more
                pieces than MOST_READS.
        """
        self._reads += 1
        if self._reads > MOST_READS:
            raise OSError(errno.EFBIG, "it is in more pieces than any program writes")
        if size is None or not 0 <= size <= io.DEFAULT_BUFFER_SIZE:
            left = max(self.size - self.tell(), 0)
            size = left if size is None or size < 0 else min(size, left)
            if size > MOST_AT_ONCE:
                raise OSError(
                    errno.EFBIG,
                    f"it holds {size / 1e9:,.1f} GB, more than is read of a file",
                )
        return super().read(size) or b""


def _check(mode: int, file: str | os.PathLike[str]) -> None:
    words = kind(mode)
    if words:
        raise OSError(errno.EINVAL, f"{words}, not a file", os.fspath(file))


def read_bytes(file: Path, most: int = MOST_AT_ONCE) -> bytes:
    """The content of a file.

    Args:
        file: a regular file.
        most: bytes that it may hold.

    Raises:
        OSError: it is no regular file, holds more, or cannot be read.
    """
    with Regular(file) as opened:
        if opened.size > most:
            raise OSError(
                errno.EFBIG,
                f"it holds {opened.size / 1e6:,.0f} MB, more than the "
                f"{most / 1e6:,.0f} that are read of such a file",
                os.fspath(file),
            )
        return opened.read()


def read_start(file: Path, count: int) -> bytes:
    """The first `count` bytes of a file, fewer where it holds fewer."""
    with Regular(file) as opened:
        return opened.read(count)
