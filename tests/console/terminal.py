"""A program on a terminal, and what a person sees of it."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def on_terminal(
    program: str, *, columns: int = 80, variable: str = "TERM=xterm", limit: float = 60
) -> tuple[int, str]:
    """Exit code of a Python program, and what it wrote to a terminal of its own."""
    name, _, value = variable.partition("=")
    # From 3.13 on Python colours its tracebacks, between the words that tests look for.
    own = {"TERM": "xterm", "PYTHONPATH": str(ROOT), "PYTHON_COLORS": "0"}
    environment = {**os.environ, **own, name: value}
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, columns, 0, 0))
    streams = dict.fromkeys(("stdin", "stdout", "stderr"), theirs)
    started = subprocess.Popen(
        [sys.executable, "-c", program], env=environment, cwd=ROOT, **streams
    )
    os.close(theirs)
    written = b""
    ends = time.monotonic() + limit
    while time.monotonic() < ends:
        if not select.select([ours], [], [], 0.1)[0]:
            continue
        try:
            part = os.read(ours, 1 << 16)
        except OSError:  # how Linux says that nobody holds the other end any more
            break
        if not part:
            break
        written += part
    os.close(ours)
    if started.poll() is None and time.monotonic() > ends:
        started.kill()
    return started.wait(limit), written.decode()


def plain(text: str) -> list[str]:
    """Lines of a terminal's output, without what was drawn over."""
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "\r", text)
    return [x.split("\r")[-1] for x in re.sub("\r+\n", "\n", text).split("\n")]
