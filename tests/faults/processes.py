"""Processes that get signals, and how they end."""

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
LONGEST = 60.0  # seconds that a process may take to end
CODES = {"SIGINT": 130, "SIGTERM": 143, "SIGHUP": 129}
ENDS = {"SIGINT": "Ctrl-C", "SIGTERM": "SIGTERM", "SIGHUP": "SIGHUP"}

# A command: what it does stands in the place of `{doing}`. It hears what those that
# began it may ignore, as nohup does.
PROGRAM = """
import faulthandler, signal, sys, time
faulthandler.register(signal.SIGUSR1, all_threads=True)
from ppcjax import cli
from ppcjax.console import signals
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_DFL)
signals.GRACE = 0.5
def main():
    print("begun", flush=True)
    {doing}
if __name__ == "__main__":
    signals.as_program()
    cli.one_line(main)
"""


class Ended(NamedTuple):
    """How a process ended.

    code: its exit code.
    seconds: since the first signal.
    lines: what it wrote to stderr.
    """

    code: int
    seconds: float
    lines: list[str]


def environment(**more: str) -> dict[str, str]:
    """The variables of a process that finds the project, on one CPU device."""
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "JAX_PLATFORMS": "cpu",
        "JAX_NUM_CPU_DEVICES": "1",
        "JAX_COMPILATION_CACHE_DIR": str(ROOT / ".cache" / "jax"),
        **more,
    }


def end(process: subprocess.Popen, signals: Sequence[str], pause: float) -> Ended:
    """Sends signals to a process, and waits until it ends.

    Args:
        process: it; what it writes to stderr is read here.
        signals: their names.
        pause: seconds between two signals.

    Raises:
        AssertionError: if it does not end, with what its threads do.
    """
    begun = time.monotonic()
    for place, name in enumerate(signals):
        time.sleep(pause if place else 0)
        process.send_signal(getattr(signal, name))
    try:
        _, text = process.communicate(timeout=LONGEST)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGUSR1)  # commands say what their threads do
        time.sleep(1)
        process.kill()
        _, text = process.communicate()
        raise AssertionError(f"it does not end: {text}") from None
    return Ended(process.returncode, time.monotonic() - begun, text.splitlines())
