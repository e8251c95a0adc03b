"""What libraries write past Python is kept off a terminal, and shown after a crash.

Compilers and file systems write log lines to file descriptor 2 from C++, into the
middle of the bar. On a terminal that descriptor leads to a file, while `sys.stderr`
goes on to the terminal. A second process waits at the end of a pipe: where the first
one ends without a word, as after a crash in C++ or a kill by the kernel, it shows the
last lines.
"""

import contextlib
import io
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ppcjax.console import plain, screen

LINES = 12  # shown of a crash
MOST = 4000  # bytes of them

# Runs without ppcjax: it must start at once, and outlive a crash.
_WATCHER = """
import os, signal, sys
for name in ("SIGINT", "SIGTERM", "SIGHUP"):
    if hasattr(signal, name):
        signal.signal(getattr(signal, name), signal.SIG_IGN)
path, begin, lines, most = "", 0, int(sys.argv[1]), int(sys.argv[2])

def kills():
    try:
        with open("/sys/fs/cgroup/memory.events") as file:
            return dict(line.split() for line in file).get("oom_kill", "0")
    except OSError:
        return "0"

before = kills()
while True:
    word = sys.stdin.readline()
    if not word:
        break
    if word.startswith("bye"):
        sys.exit()
    begin, _, path = word.rstrip("\\n").partition(" ")
text = []
try:
    with open(path, "rb") as file:
        file.seek(max(int(begin), os.path.getsize(path) - most))
        text = file.read().decode("utf-8", "replace").splitlines()
        text = text[-lines:] if lines else []
        text = ["".join(c if c.isprintable() else "?" for c in row) for row in text]
    if path.endswith(".ppcjax"):
        os.remove(path)
except OSError:
    pass
out = ["", "error: the program ended without a word: killed, or a crash in a library"]
if kills() != before:
    out[-1] += "; the kernel has killed a process for want of memory"
out[-1] += "; what was saved is kept"
if text:
    out += ["the last lines of the log:", *text]
begin, end = ("\\r\\x1b[K", "\\x1b[?25h") if sys.stderr.isatty() else ("", "")
sys.stderr.write(begin + "\\n".join(out).lstrip() + "\\n" + end)
"""


class _Aside(NamedTuple):
    """Where descriptor 2 leads now.

    terminal: descriptor of the terminal.
    watcher: process that waits for the end.
    """

    terminal: int
    watcher: subprocess.Popen


_now: list = []  # the one _Aside that is in force, its file and where it begins


@contextlib.contextmanager
def aside(*, anyway: bool = False) -> Iterator[None]:
    """Keeps descriptor 2 off the terminal; does nothing where stderr is none.

    After an error that is no UserError the last lines follow on stderr.

    Args:
        anyway: whether to do so where stderr is no terminal, too; what a crash shows
            is one line there.
    """
    from ppcjax.errors import UserError

    if _now or not (anyway or screen.is_drawn()) or not hasattr(os, "dup2"):
        yield
        return
    with contextlib.ExitStack() as stack:
        try:
            _begin(stack, 0 if anyway else LINES)
        except OSError:  # no room for a file, no more processes: as it was
            yield
            return
        try:
            yield
        except Exception as error:
            if not isinstance(error, UserError):
                _show()
            raise


def keep_in(path: Path) -> None:
    """From now on they are written to the end of a file, and those so far too."""
    if not _now:
        return
    _, before, begin = _now
    with contextlib.suppress(OSError):
        so_far = _read(before, begin)
        _remove(before)
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        _now[1:] = [str(path), os.path.getsize(path)]
        if so_far:
            os.write(file, so_far)
        os.dup2(file, 2)
        os.close(file)
        _tell()


def farewell() -> None:
    """Tells who waits for the end that it comes now, with a word of its own."""
    if not _now:
        return
    held, path, _ = _now
    _bye(held.watcher)
    if path.endswith(".ppcjax"):
        _remove(path)


def _begin(stack: contextlib.ExitStack, lines: int) -> None:
    terminal = os.dup(2)
    stack.callback(os.close, terminal)
    watcher = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _WATCHER, str(lines), str(MOST)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=terminal,
        text=True,
    )
    stack.callback(_bye, watcher)
    file, path = tempfile.mkstemp(suffix=".ppcjax")
    stack.callback(_remove, path)
    old = sys.stderr
    old.flush()
    os.dup2(file, 2)
    os.close(file)
    sys.stderr = plain.Stream(
        io.TextIOWrapper(
            io.FileIO(terminal, "w", closefd=False),
            encoding=old.encoding,
            errors="backslashreplace",
            write_through=True,
        )
    )
    _now[:] = [_Aside(terminal, watcher), path, 0]
    stack.callback(_restore, old)
    _tell()


def _restore(old: io.TextIOBase) -> None:
    sys.stderr.flush()
    os.dup2(_now[0].terminal, 2)
    sys.stderr = old
    _now.clear()


def _tell() -> None:
    """Tells the watcher where the lines are."""
    held, path, begin = _now
    with contextlib.suppress(OSError, ValueError):
        held.watcher.stdin.write(f"{begin} {os.path.abspath(path)}\n")
        held.watcher.stdin.flush()


def _bye(watcher: subprocess.Popen) -> None:
    with contextlib.suppress(OSError, ValueError):
        watcher.stdin.write("bye\n")
        watcher.stdin.close()
    with contextlib.suppress(subprocess.TimeoutExpired):
        watcher.wait(5)


def _show() -> None:
    _, path, begin = _now
    lines = _read(path, begin).decode("utf-8", "replace").splitlines()[-LINES:]
    if lines:
        print("the last lines of the log:", *lines, sep="\n", file=sys.stderr)


def _read(path: str, begin: int) -> bytes:
    with contextlib.suppress(OSError), open(path, "rb") as file:
        file.seek(max(begin, os.path.getsize(path) - MOST))
        return file.read()
    return b""


def _remove(path: str) -> None:
    with contextlib.suppress(OSError):
        os.remove(path)
