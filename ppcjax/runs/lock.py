"""One writer at a time in a folder: a lock that the kernel gives back with the process.

RUN/lock says who holds it. The kernel's lock decides where it can; where it cannot (a
file system without locks, or one whose locks end at the host) a sign of life does: who
holds the lock touches the file every few seconds. Readers need no lock.
"""

import contextlib
import errno
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from ppcjax.console import screen
from ppcjax.runs import checked
from ppcjax.runs.files import cannot_write
from ppcjax.runs.holder import Holder, lives, me
from ppcjax.types import UserError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

NAME = "lock"
BEAT = 10.0  # seconds between two signs of life
SILENCE = 35.0  # seconds without one after which the holder counts as dead
_BUSY = (errno.EWOULDBLOCK, errno.EACCES, errno.EAGAIN)
_LONGEST = 4096  # bytes that are read of the file


@contextlib.contextmanager
def held(
    folder: Path,
    *,
    what: str = "it is trained",
    log: Callable[[str], None] = screen.line,
) -> Iterator[None]:
    """Holds a folder for this process.

    Where the folder is read-only there is nothing to hold, and who wants to write into
    it is told so by what is written next.

    Args:
        folder: folder of a run, which exists.
        what: what is done there, for whoever is refused.
        log: takes one line.

    Raises:
        UserError: another process that lives holds it, or it cannot be written to.
    """
    path = folder / NAME
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        if os.access(folder, os.W_OK):
            raise cannot_write(path, error) from error
        yield  # nobody writes where nothing can be written
        return
    with contextlib.ExitStack() as stack:
        stack.callback(os.close, file)
        is_locked = _take(file, folder, what=what)
        before = _read(path)
        known = before is not None and lives(before, is_locked)
        if known:
            raise _refused(folder, what, before)
        if known is None:
            _wait_for_a_sign(path, before, folder, log)
        _write(file, me())
        stack.callback(_write, file, None)
        stack.enter_context(_beating(file))
        yield


def check(folder: Path) -> None:
    """Raises UserError where a process that lives holds a folder; takes nothing."""
    with contextlib.suppress(OSError):
        file = os.open(folder / NAME, os.O_RDONLY | os.O_CLOEXEC)
        try:
            is_locked = _take(file, folder, shared=True)
            holder = _read(folder / NAME)
            if holder is not None and lives(holder, is_locked):
                raise _refused(folder, "it is trained", holder)
        finally:
            os.close(file)


@contextlib.contextmanager
def written(folder: Path) -> Iterator[None]:
    """Holds a folder of results, in which no file is made for it.

    Args:
        folder: where results go; made if it does not exist.

    Raises:
        UserError: another command is writing there.
    """
    file = None
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    with contextlib.suppress(OSError):  # whoever writes there says what is wrong
        folder.mkdir(parents=True, exist_ok=True)
        file = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    if file is None:
        yield
        return
    try:
        _take(file, folder, what="results are written there")
        yield
    finally:
        os.close(file)
        with contextlib.suppress(OSError):  # nothing was written there
            for path in missing:
                path.rmdir()


def _take(
    file: int, folder: Path, *, shared: bool = False, what: str = "it is trained"
) -> bool:
    """Takes the kernel's lock; False where the file system has none."""
    if fcntl is None:
        return False
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    for last in (False, False, True):
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
            return True
        except OSError as error:
            if error.errno not in _BUSY:
                return False
            if last:
                raise _refused(folder, what, _of_kernel(file, folder)) from None
        time.sleep(0.1)  # another one may only have looked
    return False


def _of_kernel(file: int, folder: Path) -> Holder | None:
    """Who holds a locked folder: what is written there, else what the system knows."""
    return _read(folder / NAME) or _of_system(file)


def _of_system(file: int) -> Holder | None:
    """Who holds a file by the list of the system's locks; None where it has none."""
    status = os.fstat(file)
    wanted = f":{status.st_ino}"
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/locks").read_text().splitlines():
            words = line.split()
            known = words[1] == "FLOCK" and words[5].endswith(wanted)
            if known and int(words[4]) > 0:  # else it is in another container
                return Holder(int(words[4]), socket.gethostname(), "", "", "")
    return None


def _refused(folder: Path, what: str, holder: Holder | None) -> UserError:
    if holder is None:
        who, stop = "another process", "stop it"
    elif not holder.since:
        who, stop = f"process {holder.pid}", f"stop it (kill {holder.pid})"
    else:
        here = holder.host == socket.gethostname()
        where = "" if here else f" on {holder.host}"
        who, stop = holder.text(), f"stop it (kill {holder.pid}{where})"
    return UserError(
        f"{folder} is in use by {who}: {what}; wait for it, {stop}, or choose another "
        "folder"
    )


def _wait_for_a_sign(
    path: Path, holder: Holder, folder: Path, log: Callable[[str], None]
) -> None:
    """Raises UserError where the holder gives a sign of life, else returns."""
    log(
        f"{folder} was taken by {holder.text()} and not given back; whether that still "
        f"lives shows within {SILENCE:.0f} s"
    )
    first = _stamp(path)
    end = time.monotonic() + SILENCE
    while time.monotonic() < end:
        time.sleep(min(1.0, SILENCE / 10))
        if _stamp(path) != first:
            raise _refused(folder, "it gives signs of life", holder)
    log(f"{holder.text()} gave no sign of life: {folder} is taken over")


def _stamp(path: Path) -> int:
    """When a file was last touched; opened first, as NFS then asks its server."""
    try:
        with path.open("rb") as file:
            return os.fstat(file.fileno()).st_mtime_ns
    except OSError:
        return 0


@contextlib.contextmanager
def _beating(file: int) -> Iterator[None]:
    """Touches a file every few seconds."""
    stop = threading.Event()

    def beat() -> None:
        while not stop.wait(BEAT):
            with contextlib.suppress(OSError):
                os.utime(file)

    thread = threading.Thread(target=beat, name="lock", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _read(path: Path) -> Holder | None:
    """Who is written down; None where nobody is, or nothing that can be read."""
    try:
        found = checked.parse(checked.read_bytes(path, _LONGEST))
        holder = Holder(int(found["pid"]), *(str(found[x]) for x in Holder._fields[1:]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return holder if holder.pid > 0 else None


def _write(file: int, holder: Holder | None) -> None:
    """Writes who holds a file, or that nobody does; a full disk stops nothing."""
    content = b"" if holder is None else json.dumps(holder._asdict()).encode() + b"\n"
    with contextlib.suppress(OSError):
        os.ftruncate(file, 0)
        os.pwrite(file, content, 0)
