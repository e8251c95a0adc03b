"""What a disk refuses, in words with what to do."""

import errno
import os
import re
from pathlib import Path
from typing import NamedTuple

from ppcjax.errors import UserError, chain


class Refusal(NamedTuple):
    """Why a disk does not do what it should.

    what: in a few words.
    advice: what to do.
    """

    what: str
    advice: str


_FULL = "free some space there"
_AGAIN = "mount it again, or see what its server says"
# What stands for the disk itself, whatever is written to it.
_OF_DISKS = {
    errno.ENOSPC: Refusal("disk full", _FULL),
    errno.EDQUOT: Refusal("your share of the disk is full", f"{_FULL}: see `quota`"),
    errno.EFBIG: Refusal(
        "no file may grow that large", "raise the limit: see `ulimit -f`"
    ),
    errno.EMFILE: Refusal("too many open files", "raise the limit: see `ulimit -n`"),
    errno.ENFILE: Refusal(
        "too many open files on this machine", "end other programs on it"
    ),
    errno.EROFS: Refusal("read-only disk", "mount it for writing"),
    errno.EIO: Refusal("the disk fails", "see what `dmesg` says of it"),
    errno.ESTALE: Refusal("the disk is away", _AGAIN),
    errno.ENODEV: Refusal("the disk is away", _AGAIN),
    errno.ENXIO: Refusal("the disk is away", _AGAIN),
    errno.ENOTCONN: Refusal("the disk is away", _AGAIN),
}
GONE = Refusal("the folder is gone", "put it back")
# What may be said of any path.
_OF_PATHS = {
    errno.EACCES: Refusal("no permission", "give yourself the right to write there"),
    errno.EPERM: Refusal("not permitted", "give yourself the right to write there"),
    errno.ENOENT: GONE,
    errno.ENOTDIR: Refusal("a file lies where a folder should", "move it away"),
    errno.EISDIR: Refusal("there is a folder of that name", "move it away"),
    errno.EEXIST: Refusal("a file lies there", "move it away"),
    errno.ELOOP: Refusal("links lead in a circle", "remove them"),
    errno.ENAMETOOLONG: Refusal("the name is too long", "take a shorter one"),
}
# Libraries in C++ tell the number in their text, or the words of the system only.
_NUMBER = re.compile(r"os_error_code='(\d+)'|\[OS error (\d+)|\[Errno (\d+)\]")
_WORDS = {os.strerror(code): code for code in _OF_DISKS if code != errno.ENXIO}


class CannotWrite(UserError):
    """A file that cannot be written, in one line.

    path: the file.
    refusal: why.
    """

    def __init__(self, path: Path, refusal: Refusal, instead: str = ""):
        more = f"give another folder: {instead}" if instead else "choose another folder"
        super().__init__(
            f"cannot write {path} ({refusal.what}); {refusal.advice}, or {more}"
        )
        self.path, self.refusal = path, refusal


def code_of(error: BaseException) -> int | None:
    """The number of the system's error behind an error; None where there is none."""
    for one in chain(error):
        number = getattr(one, "errno", None)
        if isinstance(number, int):
            return number
        text = str(one)
        found = _NUMBER.search(text)
        if found:
            return int(next(filter(None, found.groups())))
        for words, code in _WORDS.items():
            if words in text:
                return code
    return None


def refusal(error: BaseException, folder: Path | None = None) -> Refusal | None:
    """Why a disk refuses, where it is a disk that an error is about.

    Args:
        error: any.
        folder: all that is said of a path in it counts, too; None: nothing does.
    """
    code = code_of(error)
    if code in _OF_DISKS:
        return _OF_DISKS[code]
    named = f"{getattr(error, 'filename', '')} {error}"
    if folder is not None and str(folder) in named:
        return _OF_PATHS.get(code)
    return None


def cannot_write(path: Path, error: OSError) -> CannotWrite:
    """What is raised where a file cannot be written."""
    known = (_OF_DISKS | _OF_PATHS).get(error.errno)
    said = error.strerror or type(error).__name__
    return CannotWrite(path, known or Refusal(said, "make room for it"))


def taken_away(folder: Path, now: str = "a part of it is gone") -> UserError:
    """What is raised where a folder is no longer what it was; `now` says what it is."""
    return UserError(
        f"{folder} was removed or moved while it was written to, and {now}: nothing "
        "more can be saved there; if you have it elsewhere, put it back, and the same "
        "command goes on from its newest checkpoint"
    )


class Place:
    """A folder that must stay where it is while something is written into it."""

    def __init__(self, folder: Path):
        """Takes note of a folder that is there."""
        self._folder, self._was = folder, os.stat(folder)

    def check(self) -> None:
        """Raises UserError where the folder is gone or another one; in microseconds."""
        try:
            if os.path.samestat(os.stat(self._folder), self._was):
                return
            now = "another folder has taken its place"
        except (FileNotFoundError, NotADirectoryError):
            now = "it is gone"
        except OSError as error:
            raise cannot_write(self._folder, error) from error
        raise taken_away(self._folder, now)
