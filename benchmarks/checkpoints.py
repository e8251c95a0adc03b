"""What the digests of checkpoints cost: writing, restoring, and share of a run.

python -m benchmarks.checkpoints --megabytes 400 --interval 500 --step_seconds 0.5

A state of random numbers is saved and restored, with the digests and without; the
fastest of some tries counts. Training waits for no digest, but its processor may have
to share: the time that all threads spend on the digests, by that of the steps between
two checkpoints, is the most that it can lose.
"""

import argparse
import contextlib
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np

from ppcjax.runs import checkpoint, digests
from ppcjax.types import TrainState


class Cost(NamedTuple):
    """Seconds on the clock, and of processors."""

    wall: float
    processor: float


def main(argv: Sequence[str] | None = None) -> float:
    """Prints what all costs; gives the share of the steps that digests may take."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=float, default=400, help="of the state")
    parser.add_argument("--arrays", type=int, default=100)
    parser.add_argument("--interval", type=int, default=500, help="steps between two")
    parser.add_argument("--step_seconds", type=float, default=0.5)
    parser.add_argument("--tries", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=None, help="on the disk to try")
    given = parser.parse_args(argv)
    state = _state(given.megabytes, given.arrays)
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        found = measure(state, Path(folder), given.tries)
    between = given.interval * given.step_seconds
    print(f"{'seconds':40} {'clock':>8} {'processor':>10}")
    for name, cost in found.items():
        print(f"{name:40} {cost.wall:8.3f} {cost.processor:10.3f}")
    share = found["the digests alone"].processor / between
    print(f"{share:.3%} of {given.interval} steps of {given.step_seconds} s, at most")
    return share


def measure(state: TrainState, folder: Path, tries: int) -> dict[str, Cost]:
    """The cost of each part; the least of some tries, which take turns.

    Args:
        state: what is saved and restored.
        folder: empty; runs are made in it.
        tries: how often.
    """
    costs: dict[str, list[Cost]] = {}
    for number in range(tries):
        for name, guard in (("", contextlib.nullcontext()), (", no digests", _none())):
            run = folder / f"{number}{len(name)}"
            with guard:
                for what, cost in _one(state, run):
                    costs.setdefault(what + name, []).append(cost)
            if not name:
                clock = _Clock()
                digests.write(run / checkpoint.FOLDER / "1", "0" * 32, 1)
                costs.setdefault("the digests alone", []).append(clock.read())
            shutil.rmtree(run)
    return {name: Cost(*map(min, zip(*c, strict=True))) for name, c in costs.items()}


def _one(state: TrainState, run: Path) -> Iterator[tuple[str, Cost]]:
    saver = checkpoint.Checkpoints(run, keep=1, config={"name": "run"}, classes=())
    with contextlib.closing(saver):
        clock = _Clock()
        saver.save(state, 1)
        yield "save, training waits", clock.read()
        saver.wait()
        yield "save, until it is on disk", clock.read()
    clock = _Clock()
    jax.block_until_ready(checkpoint.restore_state(run, state, log=lambda _: None)[0])
    yield "go on training", clock.read()
    clock = _Clock()
    checkpoint.restore(run)
    yield "evaluate", clock.read()


class _Clock:
    def __init__(self):
        self._begin = time.perf_counter(), time.process_time()

    def read(self) -> Cost:
        now = time.perf_counter(), time.process_time()
        return Cost(*(b - a for a, b in zip(self._begin, now, strict=True)))


@contextlib.contextmanager
def _none() -> Iterator[None]:
    sums = digests.Sums("", 1, {})
    with (
        mock.patch.object(digests, "write", lambda *_: None),
        mock.patch.object(digests, "check", lambda *_, **__: sums),
    ):
        yield


def _state(megabytes: float, arrays: int) -> TrainState:
    """A third each of parameters, and of two moments of an optimizer."""
    rng = np.random.default_rng(0)
    each = max(int(megabytes * 1e6 / 4 / 3 / arrays), 1)

    def tree():
        values = (rng.standard_normal(each, dtype=np.float32) for _ in range(arrays))
        return {f"layer{n}": jnp.asarray(value) for n, value in enumerate(values)}

    return TrainState(jnp.int32(1), tree(), {}, {"mu": tree(), "nu": tree()})


if __name__ == "__main__":
    main()
