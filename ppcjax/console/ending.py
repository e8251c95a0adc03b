"""The end of the process from any thread, at once, with one line."""

import contextlib
import functools
import os
import sys
import threading
from collections.abc import Callable

from ppcjax.console import raw, screen

_once = threading.Lock()
# Who else must be told of the line and the exit code, such as other processes.
told: list[Callable[[str, int], None]] = []


def at_once(message: str, code: int) -> None:
    """Says one line and ends the process, whatever its threads are doing.

    What is on disk is whole at any moment, so nothing has to be tidied up but the
    terminal and processes that work for this one. Only the first call is heard.

    Args:
        message: the line.
        code: exit code.
    """
    if not _once.acquire(blocking=False):
        threading.Event().wait()  # the first caller ends the process
    others = [functools.partial(tell, message, code) for tell in told]
    say = functools.partial(_say, message)
    for part in (*others, screen.end, raw.farewell, say, kill_workers):
        # A thread that is stuck may hold the lock of the screen or of a stream.
        thread = threading.Thread(target=_quietly, args=(part,), daemon=True)
        thread.start()
        thread.join(2.0)
    os._exit(code)


def _quietly(part: Callable[[], None]) -> None:
    with contextlib.suppress(Exception):
        part()


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)
    sys.stdout.flush()


def kill_workers() -> None:
    """Ends the processes that work for this one; they would wait for ever."""
    pools = sys.modules.get("multiprocessing")
    for child in pools.active_children() if pools else ():
        with contextlib.suppress(Exception):
            child.kill()
