"""Stopping between two steps when the user or the cluster asks for it."""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator

import jax

from ppcjax.console import screen, signals
from ppcjax.runs import checkpoint


class Stopper:
    """Keeps signals from ending a process that has steps to save, until it is closed.

    Before the first step of this process there is nothing to save, and nobody waits
    long for it. With several processes a signal may reach only one of
    them; jax's preemption service, which has taken SIGTERM for itself, then agrees on
    a step.
    """

    def __init__(self):
        """Takes the signals, where this thread may."""
        self.number: int | None = None  # of the signal, once there is one
        self._has_steps = self._may_break = False
        self._stack = contextlib.ExitStack()
        # Not after JAX has taken SIGTERM, which it then would not get.
        if jax.process_count() == 1 or signals.are_caught():
            self._stack.enter_context(signals.kept_by(self._keep))

    def close(self) -> None:
        """Gives the signals back."""
        self._stack.close()

    @property
    def reason(self) -> str:
        """Who asks to stop; empty: nobody."""
        return "" if self.number is None else signals.name(self.number)

    def note_step(self) -> None:
        """From now on there is something to save."""
        self._has_steps = True

    def stop(self, saver: checkpoint.Checkpoints, done: int) -> bool:
        """Whether to stop after `done` updates; the same on all processes."""
        if jax.process_count() == 1:
            return self.number is not None
        agreed = saver.reached_preemption(done)
        if agreed and self.number is None:
            self.number = signal.SIGTERM
        return agreed

    @property
    def is_asked(self) -> bool:
        """Whether this process alone decides, and is asked to stop."""
        return self.number is not None and jax.process_count() == 1

    @contextlib.contextmanager
    def breaking(self) -> Iterator[None]:
        """A signal breaks off what is done inside; the steps so far are saved."""
        self._may_break = jax.process_count() == 1
        try:
            yield
        except signals.Stopped as stopped:
            self.number = stopped.number
            screen.line(f"{self.reason}: breaks off the scoring and saves the steps")
        finally:
            self._may_break = False

    def _keep(self, number: int) -> bool:
        """Whether the process goes on for now; asked again by another thread."""
        if threading.current_thread() is not threading.main_thread():
            return self._has_steps
        if self._may_break:
            return False
        if self.number is None:
            self.number = number
            # Not here: the signal may have come in the middle of another line.
            told = _told(number, self._has_steps)
            threading.Thread(target=screen.line, args=(told,)).start()
            if jax.process_count() > 1:
                os.kill(os.getpid(), signal.SIGTERM)  # which tells the others
        return True


def _told(number: int, has_steps: bool) -> str:
    name = signals.name(number)
    if not has_steps:
        return f"{name}: ends after the first step, or within {signals.GRACE:.0f} s"
    more = "; once more ends at once" if number == signal.SIGINT else ""
    return f"{name}: ends after this step and saves it{more}"
