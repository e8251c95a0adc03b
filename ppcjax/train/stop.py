"""Stopping between two steps when the user or the cluster asks for it."""

import signal
import threading

import jax

from ppcjax.console import screen
from ppcjax.runs import checkpoint


class Stopper:
    """Turns SIGINT and SIGTERM into a flag until it is closed.

    With several processes the signal may reach only one of them; jax's preemption
    service then agrees on a step, and has taken SIGTERM for itself.
    """

    def __init__(self):
        """Takes the signals, where this thread may."""
        self.reason = ""
        self._old = {}
        alone = jax.process_count() == 1
        if alone and threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._old[number] = signal.signal(number, self._note)

    def close(self) -> None:
        """Gives the signals back."""
        for number, handler in self._old.items():
            signal.signal(number, handler)

    def stop(self, saver: checkpoint.Checkpoints, done: int) -> bool:
        """Whether to stop after `done` updates; the same on all processes."""
        if jax.process_count() > 1 and saver.reached_preemption(done):
            self.reason = "the cluster (SIGTERM)"
        return bool(self.reason)

    def _note(self, number, _) -> None:
        self.reason = signal.Signals(number).name
        # Not here: the signal may have come in the middle of another line.
        threading.Thread(target=screen.line, args=(_told(self.reason),)).start()
        # A second signal of this kind does what it does elsewhere.
        signal.signal(number, self._old[number])


def _told(reason: str) -> str:
    key = "Ctrl-C" if reason == "SIGINT" else reason
    return f"{key}: ends after this step and saves it; once more ends at once"
