"""Files that are there whole or not at all, and such as grow.

All that is written goes through here, so that whatever a disk refuses is one line.
"""

import contextlib
import errno
import io
import os
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ppcjax.console.disk import CannotWrite, Place, cannot_write
from ppcjax.errors import UserError


def write_file(path: Path, content: bytes, *, forced: bool = False) -> None:
    """Writes a file so that it is there whole or not at all.

    Args:
        path: the file; missing folders are made.
        content: its bytes.
        forced: whether the disk itself has them on return, so that they outlive a
            loss of power.

    Raises:
        CannotWrite: the folder cannot be written to.
    """
    # Short, as the name itself may be as long as a name can be.
    temporary = path.with_name(f".{zlib.crc32(os.fsencode(path.name)):08x}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(content)
        if forced:
            force(temporary)
        os.replace(temporary, path)
        if forced:
            force(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise cannot_write(path, error) from error


def force(path: Path) -> None:
    """Has the disk keep what a file holds, or which names are in a folder.

    Raises:
        OSError: it cannot, other than that a system does not open folders.
    """
    try:
        number = os.open(path, os.O_RDONLY)
    except PermissionError:
        if path.is_dir():  # Windows, whose names are kept anyway
            return
        raise
    try:
        os.fsync(number)
    finally:
        os.close(number)


def cut(path: Path, size: int) -> None:
    """Takes away what a file holds behind so many bytes. Raises: CannotWrite."""
    try:
        os.truncate(path, size)
    except OSError as error:
        raise cannot_write(path, error) from error


def link_file(path: Path, target: Path) -> None:
    """Makes a file that is another one: a link, or a copy where there are no links.

    Args:
        path: the file, which is not there; missing folders are made.
        target: file that it stands for.

    Raises:
        CannotWrite: the folder cannot be written to.
        OSError: the other one cannot be read.
    """
    make_folder(path.parent)
    try:
        os.symlink(target.absolute(), path)
    except (OSError, NotImplementedError):
        write_file(path, target.read_bytes())


def make_folder(path: Path) -> None:
    """Makes a folder where there is none. Raises: CannotWrite."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(path, error) from error


def write_array(path: Path, array: np.ndarray) -> None:
    """Writes an array as .npy; see `write_file`."""
    content = io.BytesIO()
    np.save(content, array)
    write_file(path, content.getvalue())


def remove_file(path: Path) -> None:
    """Removes a file if it is there. Raises: CannotWrite."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise cannot_write(path, error) from error


def check_writable(file: Path, instead: str = "") -> None:
    """Finds out whether a file can be written, before long work is done for it.

    Args:
        file: neither it nor its folders are changed.
        instead: option that names another folder; empty: there is none.

    Raises:
        CannotWrite: it cannot.
    """
    if file.is_dir():
        raise cannot_write(file, IsADirectoryError(errno.EISDIR, ""))
    probe = file.with_name(f".{os.getpid():x}.probe")
    missing = [folder for folder in file.parents if not os.path.lexists(folder)]
    try:
        write_file(probe, bytes(_LEAST))
    except CannotWrite as error:
        raise CannotWrite(file, error.refusal, instead) from error
    finally:
        with contextlib.suppress(OSError):
            probe.unlink(missing_ok=True)
            for folder in missing:  # the innermost first
                folder.rmdir()


_LEAST = 1 << 16  # bytes that there must be room for where anything is written


class Appending:
    """A file that grows; what is added is there whole or not at all.

    It is there again with the next bytes where somebody has removed it, but never in
    another folder that has taken the place of its own.
    """

    def __init__(self, path: Path, *, folder: bool = False):
        """Opens a file, or makes it.

        Args:
            path: the file.
            folder: whether the folder that it lies in is made, too.

        Raises:
            CannotWrite: the disk refuses.
        """
        self._path, self._folder, self._file = path, folder, -1
        self._open()
        try:
            self._place = Place(path.parent.parent if folder else path.parent)
        except OSError as error:
            self.close()
            raise cannot_write(path, error) from error

    def write(self, content: bytes) -> None:
        """Adds bytes. Raises: UserError, and the file is as it was."""
        try:
            if not self._is_there():
                self.close()
                self._place.check()
                self._open()
            size = os.fstat(self._file).st_size
            try:
                left = memoryview(content)
                while left:
                    left = left[os.write(self._file, left) :]
            except OSError:
                with contextlib.suppress(OSError):
                    os.ftruncate(self._file, size)
                raise
        except OSError as error:
            raise cannot_write(self._path, error) from error

    def write_forced(self, content: bytes) -> None:
        """The same, and the disk itself has them on return.

        Raises:
            UserError: the disk refuses; the file is as it was, or ends in these bytes.
        """
        self.write(content)
        try:
            os.fsync(self._file)
        except OSError as error:
            raise cannot_write(self._path, error) from error

    def fileno(self) -> int:
        """Number of the open file, for a process that shall add to it."""
        return self._file

    def close(self) -> None:
        """Closes the file; a second call does nothing."""
        file, self._file = self._file, -1
        if file >= 0:
            with contextlib.suppress(OSError):  # what was written is written
                os.close(file)

    def _open(self) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0)
        try:
            if self._folder:
                self._path.parent.mkdir(exist_ok=True)
            self._file = os.open(self._path, flags, 0o666)
        except OSError as error:
            raise cannot_write(self._path, error) from error

    def _is_there(self) -> bool:
        try:
            return os.path.samestat(os.stat(self._path), os.fstat(self._file))
        except FileNotFoundError:
            return False


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder for files that are read again at once; it is removed at the end.

    Raises:
        UserError: it cannot be made, or a file in it cannot be written.
    """
    with contextlib.ExitStack() as stack:
        try:
            made = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        except OSError as error:
            raise _no_temporary(error.strerror or str(error)) from error
        folder = Path(stack.enter_context(made))
        try:
            yield folder
        except CannotWrite as error:
            if not error.path.is_relative_to(folder):
                raise
            raise _no_temporary(error.refusal.what) from error


def _no_temporary(what: str) -> UserError:
    try:
        place = tempfile.gettempdir()
    except OSError:
        place = "any of the usual folders"
    return UserError(
        f"temporary files cannot be written to {place} ({what}); make room there, or "
        "set TMPDIR to another folder"
    )
