"""What the processes of one run know of each other's end.

Who loses another one says in one line which, and ends: it would wait for that one in
the next step, for minutes or for ever. JAX's own check of the processes takes longer,
and ends them with a crash in C++; it is what is left where no connection can be made.
"""

import atexit
import contextlib
import ctypes
import json
import os
import secrets
import signal
import socket
import sys
import time
from collections.abc import Iterator
from typing import Any

import jax

from ppcjax.console import ending, memory, raw, screen, signals
from ppcjax.runs.messages import first_line
from ppcjax.train.links import BEAT, SILENCE, Peers, Who
from ppcjax.types import UserError

KEY = "ppcjax/peers"
# The peers of this process, once it has any, and what must not be collected.
_now: list[Peers] = []
_held: list[Any] = []
_joins: list[str] = []  # what is said where they cannot be joined, as long as they are


@contextlib.contextmanager
def joining(where: str) -> Iterator[None]:
    """Around what joins the processes: a failure is one line, also where C++ aborts.

    Args:
        where: address of process 0, for the message.

    Raises:
        UserError: they do not find each other.
    """
    line = f"the processes do not find each other at {where}"
    _held.append(contextlib.ExitStack())
    _held[-1].enter_context(raw.aside(anyway=True))
    atexit.register(_at_exit)
    _joins[:] = [f"{line}: not all have come in time; see what the others say"]
    _wait_at_abort()
    try:
        yield
    except (RuntimeError, ValueError, OSError) as error:
        raise UserError(f"{line}: {first_line(error)}") from error
    _joins.clear()


def meet() -> None:
    """Begins to watch the processes that `jax.distributed` has joined.

    Raises:
        UserError: process 0 was lost before.
    """
    from jax._src import distributed  # the only way to the store of the coordinator

    state = distributed.global_state
    if state.client is None or state.num_processes < 2:
        return
    me = Who(state.process_id, os.getpid(), socket.gethostname())
    if me.index == 0:
        peers = Peers(me, secrets.token_hex(16), end)
        told = [peers.listen(), peers.token, me.pid, me.host]
        state.client.key_value_set(KEY, json.dumps(told))
    else:
        try:
            told = state.client.blocking_key_value_get(KEY, 60_000)
        except Exception as error:
            raise UserError(
                f"process 0 does not answer any more: {first_line(error)}"
            ) from error
        port, token, *first = json.loads(told)
        peers = Peers(me, token, end)
        host = state.coordinator_address.rpartition(":")[0].strip("[]")
        try:
            peers.connect(host, port, Who(0, *first))
        except OSError as error:
            screen.line(
                f"process 0 cannot be reached at {host}:{port} ({error.strerror}): "
                "the loss of a process shows late and without its name"
            )
            return
    _now[:] = [peers]
    ending.told[:] = [_tell]
    signals.tidies = True


def end(line: str) -> None:
    """Ends this process because another one is lost, and says so."""
    ending.at_once(
        f"error: {line}; all processes end, and the same command, started again in all "
        "of them, goes on from the last checkpoint",
        1,
    )


@contextlib.contextmanager
def leaving() -> Iterator[None]:
    """What is raised inside is told to the other processes; alone it does nothing.

    Raises:
        UserError: what was raised came of the loss of another process, of which
            nothing is known.
    """
    try:
        yield
    except (Exception, KeyboardInterrupt) as error:
        for peers in _now:
            if _is_of_others(error):
                # A thread ends the process, and may be about it.
                time.sleep(SILENCE + 2 * BEAT)
                lost = f"the processes have lost each other: {first_line(error)}"
                peers.leave(lost, 1)
                raise UserError(lost) from error
            peers.leave(*_last_word(error))
        raise


def _tell(line: str, code: int) -> None:
    """Tells the others of an end at once, as of a signal in the middle of compiling."""
    for peers in _now:
        peers.leave(line.removeprefix("error: "), code)


def _is_of_others(error: BaseException) -> bool:
    """Whether an error may come of a process that is gone."""
    return isinstance(error, jax.errors.JaxRuntimeError) and not memory.is_lacking(
        error
    )


def _last_word(error: BaseException) -> tuple[str, int]:
    """What a process says of its end to the others, and its exit code."""
    if isinstance(error, KeyboardInterrupt):
        number = signals.number_of(error)
        return signals.line(number), 128 + number
    if memory.is_lacking(error):
        return memory.said(error, "training"), 1
    known = isinstance(error, UserError)
    return " ".join(str(error).split()) if known else first_line(error), 1


def _at_exit() -> None:
    """Before JAX waits for the others, which it does for minutes."""
    for peers in _now:
        peers.close()
        if peers.code is not None:
            for stream in (sys.stdout, sys.stderr):
                with contextlib.suppress(Exception):
                    stream.flush()
            raw.farewell()
            os._exit(peers.code)
    for stack in _held:
        stack.close()


def _wait_at_abort() -> None:
    """Lets a thread of C++ that aborts the process wait, so that Python has the word.

    Where process 0 is lost, JAX's client aborts in the same moment in which the thread
    here learns of it.
    """

    @ctypes.CFUNCTYPE(None, ctypes.c_int)
    def wait(_: int) -> None:
        if _joins:
            ending.at_once(f"error: {_joins[0]}", 1)
        time.sleep(2 * BEAT)
        word = "a library has crashed; what was saved is kept"
        for peers in _now:
            peers.leave(word, 134)
        ending.at_once(f"error: {word}", 134)

    with contextlib.suppress(OSError, AttributeError, TypeError):
        libc = ctypes.CDLL(None)
        libc.signal.restype = ctypes.c_void_p
        libc.signal(ctypes.c_int(signal.SIGABRT), wait)
        _held.append(contextlib.ExitStack())
        _held[-1].callback(lambda: wait)  # which C may call to the end
