"""Steps that need one another, several at a time."""

import subprocess
import time
from collections.abc import Callable, Iterable
from concurrent import futures
from typing import NamedTuple


class Step(NamedTuple):
    """Something to do.

    name: its own; of several steps with one name the first is done.
    needs: names of steps that come before, as far as there are any.
    work: does it.
    """

    name: str
    needs: tuple[str, ...]
    work: Callable[[], object]


def run(steps: Iterable[Step], jobs: int = 1, minutes: float = 0) -> list[str]:
    """Does all steps, those that came first before others where there is a choice.

    A step whose command fails, and those that need it, do not stop others.

    Args:
        steps: in any order.
        jobs: how many run at a time.
        minutes: after which none is begun; 0 for no end.

    Returns: names of steps that failed or were not begun, in their order.

    Raises: whatever else a step raises than a command's failure.
    """
    waiting: dict[str, Step] = {}
    for step in steps:
        waiting.setdefault(step.name, step)
    order = list(waiting)
    failed, running = set(), {}
    ends = time.monotonic() + 60 * minutes if minutes else float("inf")
    with futures.ThreadPoolExecutor(jobs) as pool:
        while waiting or running:
            begun = waiting if time.monotonic() < ends else {}
            for step in _ready(begun, set(running.values()), failed):
                if len(running) == jobs:
                    break
                running[pool.submit(waiting.pop(step.name).work)] = step.name
            if not running:
                break
            done, _ = futures.wait(running, return_when=futures.FIRST_COMPLETED)
            for future in done:
                name = running.pop(future)
                error = future.exception()
                if isinstance(error, subprocess.CalledProcessError):
                    failed.add(name)
                    print(f"failed: {name}: {' '.join(error.cmd[1:3])} ...", flush=True)
                elif error:
                    raise error
    return [name for name in order if name in failed or name in waiting]


def _ready(waiting, running, failed) -> list[Step]:
    """Steps that wait for none."""
    missing = waiting.keys() | running | failed
    return [step for step in waiting.values() if not missing.intersection(step.needs)]
