"""Work on many photos in processes of their own, in order and with bounded memory."""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from ppcjax.types import UserError


def ordered_map(
    function: Callable[[Any], Any], jobs: Iterable[Any], workers: int
) -> Iterator[Any]:
    """Results of a function on jobs, in the order of the jobs.

    Args:
        function: defined in a module, or a partial of one, so that it can be pickled.
        jobs: read as they are needed: at most 2 workers + 1 are held at a time.
        workers: processes; 0: none but this one. They are spawned, so a script that
            calls this needs the usual `if __name__ == "__main__":`.

    Yields:
        The result of each job.

    Raises:
        UserError: negative workers, or a process died. What a job raises is raised
            when its turn comes; later jobs are dropped.
    """
    if workers < 0:
        raise UserError(f"workers={workers}: give 0 or more")
    return _in_processes(function, jobs, workers) if workers else map(function, jobs)


def _in_processes(function, jobs, workers):
    # A fork of a process in which JAX runs threads may hang.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_follow)
    pending = deque()
    try:
        for job in jobs:
            pending.append(pool.submit(function, job))
            if len(pending) > 2 * workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    except BrokenProcessPool as error:
        raise UserError(
            "a worker process died, most likely for want of memory; use fewer workers"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _follow() -> None:
    """A worker ends with its parent, which alone hears Ctrl-C and says a word."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_after_parent, daemon=True).start()


def _end_after_parent() -> None:
    multiprocessing.parent_process().join()
    os._exit(1)
