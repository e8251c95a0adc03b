"""Whose files lie in a folder: only those that this program wrote are written over.

A folder of results holds a list of what was written into it, with a digest of each
file, see `listed`. A line is added before its file is put in place, so that a process
that is killed leaves no file that nobody owns. A file that somebody else put there, or
has changed since, stays as it is, and an error names it.
"""

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from ppcjax.runs import listed
from ppcjax.runs.files import cannot_write, write_file
from ppcjax.runs.names import below
from ppcjax.runs.there import check_folder, files_below, names_in, not_ours, shown
from ppcjax.types import UserError

Files = dict[str, set[listed.State]]


class Kind(NamedTuple):
    """A kind of folder that this program writes.

    name: how its list calls it.
    text: what it is, for messages.
    names: what earlier versions, which kept no list, wrote at its top.
    earlier: folder without a list -> whether an earlier version wrote it.
    live: files that grow, which are known by their names alone.
    shared: folders at its top in which files of others may lie beside ours.
    bare: folder without a list -> whether it holds nothing but leavings of a process
        that was writing there when all was removed.
    """

    name: str
    text: str
    names: frozenset[str] = frozenset()
    earlier: Callable[[Path], bool] = lambda folder: False
    live: frozenset[str] = frozenset()
    shared: frozenset[str] = frozenset()
    bare: Callable[[Path], bool] = lambda folder: False


class Folder:
    """A folder of results that may be written to; `close` it at the end."""

    def __init__(self, path: str | Path, kind: Kind):
        """Looks at what lies there; nothing is written yet.

        Args:
            path: the folder, which need not be there.
            kind: what it is, or is to become.

        Raises:
            UserError: it is no folder, or holds what this program did not write.
        """
        self.path, self.kind = Path(path).expanduser(), kind
        check_folder(self.path, kind.text)
        # The files first: another process lists what it is about to write.
        there = names_in(self.path)
        found = listed.read(self.path)
        self._wrote = False
        if found is not None:
            self._listed = _of_kind(found, kind, self.path)
        elif there and kind.earlier(self.path):
            self._listed = _adopted(self.path, kind)
        elif there:
            raise not_ours(self.path, there[0])
        else:
            self._listed = {}
        if there:
            self._check_all()

    def file(self, name: str) -> Path:
        """Where a file of the folder lies; UserError where that is not below it."""
        return below(self.path, name)

    def write(self, name: str, content: bytes) -> Path:
        """Writes a file whole or not at all, unless it is somebody else's.

        Args:
            name: path below the folder, with "/" between its parts.
            content: its bytes.

        Returns:
            The file.

        Raises:
            UserError: the name leads elsewhere, somebody else's file is there, or it
                cannot be written.
        """
        path = self.file(name)
        self._check_own(name, path)
        state = listed.state_of(content)
        self._add(name, state)
        write_file(path, content)
        self._listed[name] = {state}
        return path

    def remove(self, name: str) -> None:
        """Removes a file of ours, if it is there."""
        path = self.file(name)
        self._check_own(name, path)
        path.unlink(missing_ok=True)
        self._listed.pop(name, None)

    def check_own(self, name: str) -> None:
        """Raises UserError where a file is there and is not as we wrote it."""
        self._check_own(name, self.file(name))

    def close(self) -> None:
        """Leaves a list in order, where anything was written."""
        if not self._wrote:
            return
        listed.write(self.path, self.kind.name, self._listed)
        self._wrote = False

    def __enter__(self) -> "Folder":
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        if error is None:  # else the list is whole, only longer
            self.close()

    def _check_all(self) -> None:
        """Raises UserError at the first file that is not ours."""
        gone = dict(self._listed)
        since = listed.written_at(self.path)
        for name, entry in files_below(self.path):
            gone.pop(name, None)
            known = self._listed.get(name)
            if known is None and name.partition("/")[0] in self.kind.shared:
                continue
            live = name in self.kind.live
            if not entry.is_file(follow_symlinks=False) or not (live or known):
                raise not_ours(self.path, name)
            if live:
                continue
            # Whoever changes a file later than the list leaves a later time.
            state = entry.stat(follow_symlinks=False)
            if all(state.st_size != then for then, _ in known):
                raise _changed(self.path / name)
            if state.st_mtime_ns >= since:
                self.check_own(name)
        for name in gone:
            if not os.path.lexists(self.path / name):
                del self._listed[name]

    def _check_own(self, name: str, path: Path) -> None:
        try:
            found = path.lstat()
        except FileNotFoundError:
            return
        except OSError as error:
            raise cannot_write(path, error) from error
        known = self._listed.get(name)
        live = name in self.kind.live
        if not stat.S_ISREG(found.st_mode) or not (live or known):
            raise not_ours(self.path, name)
        if live:
            return
        try:
            now = listed.state_of(path.read_bytes())
        except OSError as error:
            raise cannot_write(path, error) from error
        if now not in known:
            raise _changed(path)

    def _add(self, name: str, state: listed.State) -> None:
        """Adds a line to the list."""
        if not self._wrote:  # made, or without the half of a last line
            listed.write(self.path, self.kind.name, self._listed)
            self._wrote = True
        listed.add(self.path, name, state)
        self._listed[name] = {*self._listed.get(name, ()), state}


def folder(place: "str | Path | Folder", kind: Kind) -> Folder:
    """The folder at a place, looked at; one that was looked at stays as it is."""
    return place if isinstance(place, Folder) else Folder(place, kind)


def check(path: Path, kind: Kind) -> bool:
    """Whether a folder, whose files are known by their names, is one of ours already.

    Args:
        path: the folder, which need not be there.
        kind: what it is, or is to become, such as a run.

    Raises:
        UserError: it is no folder, or holds what is of no such kind.
    """
    check_folder(path, kind.text)
    there = names_in(path)  # first: another process lists what it is about to write
    found = listed.read(path)
    if found is not None:
        _of_kind(found, kind, path)
    elif there and kind.bare(path):
        return False
    elif there and not kind.earlier(path):
        raise UserError(
            f"{path} holds {shown(there[0])} and is no {kind.text}: choose a new or an "
            "empty folder"
        )
    return bool(there) or found is not None


def mark(path: Path, kind: Kind) -> None:
    """Makes a folder ours, after `check`; raises as that, or where it cannot be.

    One that an earlier version wrote is known by what is in it, and may be read-only.
    """
    if not check(path, kind):
        listed.write(path, kind.name, {})


def _changed(path: Path) -> UserError:
    return UserError(
        f"{path} was changed since ppcjax wrote it, and is not written over: move it "
        "away, or choose another folder"
    )


def _of_kind(found: tuple[str, Files], kind: Kind, path: Path) -> Files:
    if found[0] != kind.name:
        raise UserError(
            f"{path} is a folder of ppcjax of another kind ({shown(found[0])}), and "
            f"no {kind.text}: choose another folder"
        )
    return found[1]


def _adopted(path: Path, kind: Kind) -> Files:
    """What an earlier version wrote, by its names, as it is now."""
    found = {}
    for name, entry in files_below(path):
        first = name.partition("/")[0]
        if first not in kind.names or not entry.is_file(follow_symlinks=False):
            raise not_ours(path, name)
        if name not in kind.live:
            content = Path(entry.path).read_bytes()
            found[name] = {listed.state_of(content)}
    return found
