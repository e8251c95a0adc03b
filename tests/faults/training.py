"""A program that trains the toy as the command does, with faults of its own.

python -m tests.faults.training RUN --fault=photo --process=1 --at=7
"""

import argparse
import math
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ppcjax import cli
from ppcjax.errors import UserError


def photo(_) -> None:
    """A photo that this process cannot read."""
    raise UserError("photo 12.jpg is truncated: cannot read it; remove it")


def memory(_) -> None:
    """A lack of memory of this process."""
    raise MemoryError("Unable to allocate 44.7 GiB")


def defect(_) -> None:
    """An error that nobody foresaw."""
    raise ZeroDivisionError("division by zero")


def abort(_) -> None:
    """A crash in C++."""
    os.write(2, b"F0000 Check failed: a stack of C++ follows\n")
    os.abort()


def poison(batch: dict[str, Any]) -> None:
    """A loss that is not finite, in all processes."""
    batch["image"][:] = math.nan


def send(number: int):
    """A signal to this very process."""
    return lambda _: os.kill(os.getpid(), number)


FAULTS = {
    "": lambda _: None,
    "photo": photo,
    "memory": memory,
    "defect": defect,
    "abort": abort,
    "poison": poison,
    "kill": send(signal.SIGKILL),
    "segv": send(signal.SIGSEGV),
    "stop": send(signal.SIGSTOP),
    "int": send(signal.SIGINT),
    "term": send(signal.SIGTERM),
    "hup": send(signal.SIGHUP),
}


def _batches(asked: argparse.Namespace, step: int) -> Iterator[dict[str, Any]]:
    import jax

    from tests.train import toy

    for number, batch in enumerate(toy.batches_from(step, delay=asked.delay), step):
        if number == asked.at and jax.process_index() == asked.process:
            FAULTS[asked.fault](batch)
        yield batch


def _score(asked: argparse.Namespace):
    from tests.train import toy

    def score(params, model_state, step):
        end = time.monotonic() + asked.scoring
        while time.monotonic() < end:
            time.sleep(0.01)
        return toy.score(params, model_state, step)

    return score


def main(argv: list[str]) -> None:
    """Trains."""
    parser = argparse.ArgumentParser()
    parser.add_argument("workdir", type=Path)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--delay", type=float, default=0.02)
    parser.add_argument("--checkpoint_every", type=int, default=5)
    parser.add_argument("--ballast", type=int, default=1)
    parser.add_argument("--eval_every", type=int, default=0)
    parser.add_argument("--scoring", type=float, default=0.0)
    parser.add_argument("--fault", choices=FAULTS, default="")
    parser.add_argument("--process", type=int, default=0)
    parser.add_argument("--at", type=int, default=-1)
    parser.add_argument("--apart", action="store_true", help="nobody tells of an end")
    asked = parser.parse_args(argv)
    # As the commands do, inside of `one_line`.
    from ppcjax.train import loop, mesh, peers
    from ppcjax.train.watch import Watch
    from tests.train import toy

    if asked.apart:
        peers.meet = lambda: None
    cli.keep_compiled_programs()
    mesh.maybe_distributed()
    watch = Watch(_score(asked), asked.eval_every, keep_best=True)
    loop.fit(
        toy.method(ballast=asked.ballast),
        toy.optimizer(asked.steps),
        lambda step: _batches(asked, step),
        steps=asked.steps,
        workdir=asked.workdir,
        seed=0,
        classes=("background", "cat", "dog"),
        log_every=5,
        checkpoint_every=asked.checkpoint_every,
        watch=watch if asked.eval_every else None,
    )


if __name__ == "__main__":
    # It hears what those that began it may ignore, as nohup does.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for heard in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(heard, signal.SIG_DFL)
    import sys

    cli.one_line(main, sys.argv[1:])
