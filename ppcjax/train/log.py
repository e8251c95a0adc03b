"""What a run tells: console, log.txt, metrics.jsonl and TensorBoard.

On a terminal a progress bar; elsewhere plain lines. Only process 0 writes.
"""

import json
import math
import os
import sys
import time
from datetime import datetime
from pathlib import Path

import jax
from rich.console import Console

from ppcjax.report.progress import make_bar, speed


class Log:
    """Writes for one run into its folder; `close` it at the end."""

    def __init__(self, workdir: str | Path):
        """Opens log.txt in `workdir`, which exists."""
        self._workdir = Path(workdir)
        self._writes = jax.process_index() == 0
        self._bar = self._task = self._metrics = self._board = None
        self._text = (self._workdir / "log.txt").open("a") if self._writes else None

    def line(self, message: str) -> None:
        """One line on the console and, with the time, in log.txt."""
        if not self._writes:
            return
        now = datetime.now().isoformat(sep=" ", timespec="seconds")
        print(f"{now} {message}", file=self._text, flush=True)
        if self._bar is None:
            print(message, file=sys.stderr, flush=True)
        else:
            self._bar.console.print(message, markup=False, highlight=False)

    def start(self, step: int, steps: int) -> None:
        """Opens the progress bar and the metric files to go on after `step`."""
        self._steps = steps
        if not self._writes:
            return
        from tensorboardX import SummaryWriter  # 0.6 s that evaluation does not need

        path = self._workdir / "metrics.jsonl"
        _drop_after(path, step)
        self._metrics = path.open("a")
        self._board = SummaryWriter(
            str(self._workdir / "tensorboard"), purge_step=step + 1
        )
        console = Console(stderr=True)
        if console.is_terminal:
            self._bar = make_bar(console)
            self._task = self._bar.add_task("", total=steps, completed=step, speed="")
            self._bar.start()

    def scalars(
        self, step: int, values: dict[str, float], rate: float, seconds_left: float
    ) -> None:
        """Records the values of training at `step`.

        Args:
            step: number of updates made.
            values: name -> value, without the prefix "train/".
            rate: images per second.
            seconds_left: until the run is finished.
        """
        if not self._writes:
            return
        named = {f"train/{name}": value for name, value in sorted(values.items())}
        record = {"step": step, **named, "images_per_second": rate}
        print(json.dumps(record), file=self._metrics, flush=True)
        for name, value in record.items():
            if name != "step":
                self._board.add_scalar(name, value, step)
        losses = "  ".join(
            f"{name.removeprefix('loss/')} {value:.4g}"
            for name, value in sorted(values.items())
            if name.startswith("loss/")
        )
        pace = speed(rate, "images", seconds_left)
        self.line(f"step {step}/{self._steps}  {losses}  {pace}".rstrip())

    def scores(self, step: int, values: dict[str, float], *, note: str) -> None:
        """Records scores that were taken after `step` updates.

        Args:
            step: number of updates made.
            values: name -> score, without the prefix "val/".
            note: what the line on the console ends with.
        """
        if not self._writes:
            return
        named = {f"val/{name}": value for name, value in values.items()}
        finite = {name: x for name, x in named.items() if math.isfinite(x)}
        print(json.dumps({"step": step, **finite}), file=self._metrics, flush=True)
        for name, value in finite.items():
            self._board.add_scalar(name, value, step)
        shown = "  ".join(f"{name} {value:.4g}" for name, value in named.items())
        self.line(f"step {step}/{self._steps}  {shown}  ({note})")

    def progress(self, step: int, rate: float, seconds_left: float) -> None:
        """Moves the bar; costs nothing where there is none."""
        if self._bar is not None:
            pace = speed(rate, "images", seconds_left)
            self._bar.update(self._task, completed=step, speed=pace)

    def close(self) -> None:
        """Ends the bar and flushes the files."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
        for stream in (self._metrics, self._board, self._text):
            if stream is not None:
                stream.close()


class Meter:
    """Means of the scalars since the last report, and the speed.

    Scalars are fetched two steps late, so that the devices always have work queued
    while the host waits for a value.
    """

    def __init__(self, images_per_step: int):
        """Starts with no values and no clock."""
        self._images = images_per_step
        self._queue: list[tuple[int, dict[str, jax.Array]]] = []
        self._clock = None  # (step, time) of the first fetched step of the window
        self._sums: dict[str, float] = {}
        self._count = 0
        self.rate = 0.0  # images per second
        self.is_steady = False  # whether the rate is more than that of first steps

    def push(self, step: int, scalars: dict[str, jax.Array], *, lag: int = 2):
        """Adds the scalars of `step`; yields (step, values) of those now known."""
        self._queue.append((step, scalars))
        yield from self.fetch(lag=lag)

    def fetch(self, *, lag: int = 0):
        """Yields (step, values) in order until `lag` steps are still in flight."""
        while len(self._queue) > lag:
            step, scalars = self._queue.pop(0)
            values = {name: float(x) for name, x in jax.device_get(scalars).items()}
            for name, value in values.items():
                self._sums[name] = self._sums.get(name, 0.0) + value
            self._count += 1
            self._tick(step)
            yield step, values

    def seconds_left(self, steps: int) -> float:
        """Time that `steps` more steps take; 0 while the speed is not known."""
        return steps * self._images / self.rate if self.rate else 0.0

    def pause(self) -> None:
        """Starts the clock anew: the time since the last step was no training."""
        self._clock = None

    def means(self) -> dict[str, float]:
        """Means since the last call, from which on they start anew."""
        means = {name: total / self._count for name, total in self._sums.items()}
        self._sums, self._count = {}, 0
        return means

    def _tick(self, step: int) -> None:
        now = time.perf_counter()
        if self._clock is None:
            self._clock = (step, now)  # the first step compiles: not timed
            return
        first, then = self._clock
        if step > first and now > then:
            self.rate = (step - first) * self._images / (now - then)
            self.is_steady |= step - first >= 5 or now - then >= 10
        if now - then > 20:
            self._clock = (step, now)  # the rate follows the last seconds


def _drop_after(path: Path, step: int) -> None:
    """Removes the records of steps that a killed run made after its checkpoint."""
    if not path.exists():
        return
    kept = []
    for line in path.read_text().splitlines():
        try:
            if json.loads(line)["step"] <= step:
                kept.append(line + "\n")
        except (ValueError, KeyError):
            continue  # half a line, from a process that was killed
    temporary = path.with_suffix(".tmp")
    temporary.write_text("".join(kept))
    os.replace(temporary, path)
