"""What a signal does: Ctrl-C, SIGTERM of a scheduler, SIGHUP of a closed terminal.

A command ends with one line and with 128 and the number of the signal, as shells and
schedulers say it: 130, 143, 129. Who has something to save takes the signals with
`kept_by`. Python runs handlers between two of its own steps only; a thread sees to it
that a process ends that is in the middle of compiling, and at a second Ctrl-C.
"""

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, NoReturn

from ppcjax.console import ending

NAMES = ("SIGINT", "SIGTERM", "SIGHUP")
GRACE = 5.0  # seconds that Python has to end by itself
_TIDYING = 12  # times longer where others need the end of Python
_APART = 0.1  # seconds: terminals and what starts programs may send one press twice


class Stopped(KeyboardInterrupt):
    """A signal asks the process to end.

    number: number of the signal.
    """

    def __init__(self, number: int):
        """Notes the signal."""
        super().__init__()
        self.number = number


def number_of(error: BaseException) -> int:
    """The signal of a KeyboardInterrupt."""
    return getattr(error, "number", signal.SIGINT)


def name(number: int) -> str:
    """A signal as a person knows it."""
    return "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name


def line(number: int) -> str:
    """What is said in the end."""
    return f"stopped by {name(number)}"


class _Caught:
    """The signals that this process has got, while they are caught."""

    def __init__(self):
        self.first: int | None = None
        self.raised: int | None = None
        self.keeper: Callable[[int], bool] | None = None
        self.saved_for: int | None = None
        self.old: dict[int, Any] = {}
        self.settled = threading.Event()
        self._heard = threading.Event()
        # So the files that start a command leave it; a script starts what it leaves
        # behind with Ctrl-C ignored, which stays.
        default = signal.getsignal(signal.SIGINT) == signal.SIG_DFL
        self.is_program = default or _is_command
        self._last: float | None = None
        self._presses = 0
        self._came_first: int | None = None

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Runs in the main thread, between two steps of Python."""
        if self.first is not None:
            return  # the thread counts
        # Of several that came while Python was busy it calls the lowest number first.
        if self._heard.wait(1.0):
            number = self._came_first
        self.first = number
        if self.keeper is not None and self.keeper(number):
            return
        if _is_importing(frame):
            # Libraries crash where they are broken off while they begin.
            ending.at_once(line(number), 128 + number)
        self.raised = number
        raise Stopped(number)

    def note(self, number: int) -> None:
        """Runs in the thread as soon as a signal is there."""
        now = time.monotonic()
        again = self._last is not None and now - self._last > _APART
        if self._came_first is None:
            self._came_first = number
            self._heard.set()
            see = threading.Thread(target=self._see_to_it, args=(number,), daemon=True)
            see.start()
        self._last = now
        if number == signal.SIGINT:
            self._presses += 1 if again or not self._presses else 0
            if self._presses > 1:
                ending.at_once("stopped at once by a second Ctrl-C", 130)

    def _see_to_it(self, number: int) -> None:
        """Ends the process where Python does not, unless something is being saved."""
        settled = self.settled.wait(GRACE)
        while not settled and self.keeper is not None and self.keeper(number):
            settled = self.settled.wait(0.5)
        if not settled:
            ending.at_once(line(number), 128 + number)


_now: list[_Caught] = []
_is_command = False
tidies = False  # whether the end of Python must be waited for, as others need it


def as_program() -> None:
    """Says that this process is a command and nothing else, as train.py does."""
    global _is_command
    _is_command = True
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextlib.contextmanager
def caught() -> Iterator[None]:
    """Has signals raise `Stopped`, or asks who keeps them; does nothing inside itself.

    Signals that were ignored when the process began, as by nohup, stay so. Only the
    main thread may take signals: in others this does nothing.
    """
    if _now or threading.current_thread() is not threading.main_thread():
        yield
        return
    state = _Caught()
    numbers = [getattr(signal, x) for x in NAMES if hasattr(signal, x)]
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    thread = threading.Thread(target=_listen, args=(reader, state), daemon=True)
    thread.start()
    for number in numbers:
        if signal.getsignal(number) != signal.SIG_IGN:
            state.old[number] = signal.signal(number, state.handle)
    hook, sys.unraisablehook = sys.unraisablehook, _without_stops(sys.unraisablehook)
    _now.append(state)
    try:
        yield
    finally:
        state.settled.set()
        _now.remove(state)
        sys.unraisablehook = hook
        for number, handler in state.old.items():
            # None: a library has taken it, and keeps it.
            if signal.getsignal(number) == state.handle:
                signal.signal(number, handler)
        signal.set_wakeup_fd(before)
        os.write(writer, b"\0")
        thread.join()
        os.close(reader)
        os.close(writer)


@contextlib.contextmanager
def kept_by(keeper: Callable[[int], bool]) -> Iterator[None]:
    """Asks `keeper` before a signal ends anything.

    Args:
        keeper: takes the number of a signal; whether it sees to the end itself. It is
            asked again, in another thread, until it says no.
    """
    with caught():
        if not _now:
            yield
            return
        (state,) = _now
        before, state.keeper = state.keeper, keeper
        try:
            yield
            state.settled.set()  # whatever was to be saved is
        finally:
            state.keeper = before


def saved_for(number: int) -> None:
    """Notes that all was saved because of a signal, whose exit code is due."""
    for state in _now:
        state.saved_for = number


def are_caught() -> bool:
    """Whether `caught` is in force, as in every command from its beginning."""
    return bool(_now)


def due() -> int | None:
    """The signal because of which all was saved; None for none."""
    return next((state.saved_for for state in _now), None)


def raised() -> int | None:
    """The signal for which `Stopped` was raised; None where it was not."""
    return next((state.raised for state in _now), None)


def end_by(number: int) -> NoReturn:
    """Exits with the code of a signal; the end of Python itself is not waited for.

    While Python tidies up, which takes a second, or waits for threads that libraries
    left behind, another signal would change the code. Where something else began this
    process, such as a test, `SystemExit` is raised.
    """
    if any(state.is_program for state in _now) and not tidies:
        _exit_now(128 + number)
    sys.exit(128 + number)


@contextlib.contextmanager
def ends_soon() -> Iterator[None]:
    """Has a command that failed end within seconds, inside `caught`.

    Python waits for the threads that libraries left behind: those with which Orbax
    waits for a folder that could not be made, for five minutes.
    """
    try:
        yield
    except BaseException as error:
        code = error.code if isinstance(error, SystemExit) else 1
        if code and any(state.is_program for state in _now):
            code = code if isinstance(code, int) else 1
            seconds = GRACE * (_TIDYING if tidies else 1)
            threading.Thread(target=_exit_in, args=(seconds, code), daemon=True).start()
        raise


def _exit_in(seconds: float, code: int) -> None:
    time.sleep(seconds)
    ending.kill_workers()
    _exit_now(code)


def _exit_now(code: int) -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    os._exit(code)


def _is_importing(frame: FrameType | None) -> bool:
    """Whether a module is imported somewhere on the stack."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def _listen(reader: int, state: _Caught) -> None:
    """Reads the numbers of signals, which arrive while Python itself is busy, too."""
    while True:
        for number in os.read(reader, 64):
            if not number:
                return
            if number in state.old:
                state.note(number)


def _without_stops(hook: Callable[[Any], None]) -> Callable[[Any], None]:
    """The hook of errors that cannot be raised, which says nothing of `Stopped`."""

    def quiet(found: Any) -> None:
        if not isinstance(found.exc_value, KeyboardInterrupt):
            hook(found)

    return quiet
