"""What a run tells: console, log.txt, metrics.jsonl, TensorBoard and a tracker.

On a terminal a progress bar; elsewhere plain lines. Only process 0 writes. The console
has the total loss alone; all terms stand in the other places.
"""

import json
import math
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import jax

from ppcjax.console import compiling, disk, plain, raw, screen
from ppcjax.console.loops import speed
from ppcjax.console.writing import Appending, write_file
from ppcjax.runs import checked
from ppcjax.train import tracking
from ppcjax.train.board import Board


class Log:
    """Writes for one run into its folder; `close` it at the end."""

    def __init__(self, workdir: str | Path):
        """Opens log.txt in `workdir`, which exists.

        Where that cannot be, lines are for the console alone until `start`.
        """
        self._workdir = Path(workdir)
        self._writes = jax.process_index() == 0
        self._row = self._metrics = self._board = self._tracker = self._text = None
        self._said = time.monotonic()
        self._told = -1  # step of the last line of scalars
        self._place = disk.Place(self._workdir)
        self._refused: disk.CannotWrite | None = None
        if self._writes:
            path = self._workdir / "log.txt"
            try:
                self._text = Appending(path)
            except disk.CannotWrite as error:
                self._refused = error
            else:
                raw.keep_in(path)

    def need_file(self) -> None:
        """Raises CannotWrite where there is no log.txt: a run must have one."""
        if self._refused is not None:
            raise self._refused

    def line(self, message: str, *, full: str = "") -> None:
        """One line on the console and, with the time, in log.txt.

        Args:
            message: the line.
            full: what log.txt has in its place; "" for the same.
        """
        if not self._writes:
            return
        now = datetime.now().isoformat(sep=" ", timespec="seconds")
        if self._text is not None:
            self._place.check()  # or the line goes to another run, or to none
            self._text.write(f"{now} {plain.line(full or message)}\n".encode())
        self._said = time.monotonic()
        screen.line(message)

    def start(self, step: int, steps: int, config: Mapping[str, Any]) -> None:
        """Opens the progress bar and the metric files to go on after `step`.

        Args:
            step: updates made before.
            steps: updates of the whole run.
            config: config of the run, whose tracker takes all values, too.
        """
        self._steps = steps
        if not self._writes:
            return
        self.need_file()
        path = self._workdir / "metrics.jsonl"
        _drop_after(path, step)
        self._metrics = Appending(path)
        self._board = Board(self._workdir / "tensorboard", step)
        self._tracker = tracking.opened(config, self._workdir, self.line)
        self._row = screen.Row("training", steps)
        self._row.show(step)

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
        self._place.check()
        named = {f"train/{name}": value for name, value in sorted(values.items())}
        record = {"step": step, **named, "images_per_second": rate}
        self._metrics.write(f"{json.dumps(record)}\n".encode())
        self._record(step, {k: v for k, v in record.items() if k != "step"})
        self._told = step
        pace = speed(rate, "images", seconds_left)
        head = f"step {step}/{self._steps}"
        total = values.get("loss/total")
        short = [head, "" if total is None else f"loss {total:.4g}", pace]
        terms = [
            f"{name.removeprefix('loss/')} {value:.4g}"
            for name, value in sorted(values.items())
            if name.startswith("loss/")
        ]
        full = [head, *terms, pace]
        self.line("  ".join(filter(None, short)), full="  ".join(filter(None, full)))

    def scores(self, step: int, values: dict[str, float], *, note: str) -> None:
        """Records scores that were taken after `step` updates.

        Args:
            step: number of updates made.
            values: name -> score, without the prefix "val/".
            note: what the line on the console ends with.
        """
        if not self._writes:
            return
        self._place.check()
        named = {f"val/{name}": value for name, value in values.items()}
        finite = {name: x for name, x in named.items() if math.isfinite(x)}
        self._metrics.write(f"{json.dumps({'step': step, **finite})}\n".encode())
        self._record(step, finite)
        shown = "  ".join(f"{name} {value:.4g}" for name, value in named.items())
        self.line(f"step {step}/{self._steps}  {shown}  ({note})")

    def progress(self, step: int, rate: float, seconds_left: float) -> None:
        """Moves the bar; where there is none, says a line when the last one is old."""
        if self._row is None:
            return
        pace = speed(rate, "images", seconds_left)
        self._row.show(step, note=pace)
        idle = time.monotonic() - self._said >= screen.PAUSE
        if idle and step != self._told and not screen.is_drawn():
            self._said = time.monotonic()
            screen.line(f"step {step}/{self._steps}  {pace}".rstrip())

    def close(self) -> None:
        """Ends the bar and flushes the files."""
        for part in (self._row, self._metrics, self._board, self._tracker, self._text):
            if part is not None:
                part.close()
        self._row = None

    def _record(self, step: int, values: dict[str, float]) -> None:
        self._board.add(step, values)
        if self._tracker is not None:
            self._tracker.record(step, values)


class Meter:
    """Means of the scalars since the last report, and the speed.

    Scalars are fetched two steps late, so that the devices always have work queued
    while the host waits for a value. The sums since the last report travel with the
    checkpoints, so that a resumed run reports what an unbroken one does.
    """

    def __init__(self, images_per_step: int, meta: Mapping[str, Any] | None = None):
        """Starts without a clock.

        Args:
            images_per_step: images in the global batch.
            meta: what the checkpoint says that the run goes on from; None: it is new.
        """
        self._images = images_per_step
        self._queue: list[tuple[int, dict[str, jax.Array]]] = []
        # (step, time without compiling) of the first fetched step of the window
        self._clock = None
        kept = (meta or {}).get("window") or {"steps": 0, "sums": {}}
        self._sums: dict[str, float] = dict(kept["sums"])
        self._count: int = kept["steps"]
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
            if lag:  # what nothing follows was done before, and tells no speed
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

    def as_meta(self) -> dict[str, Any]:
        """What a checkpoint keeps of it: the sums, and of how many steps they are."""
        return {"steps": self._count, "sums": dict(self._sums)}

    def _tick(self, step: int) -> None:
        now = time.perf_counter() - compiling.seconds()
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
    try:
        rows = list(checked.lines(path))
        is_whole = not rows or path.read_bytes().endswith(b"\n")
    except OSError as error:
        raise disk.cannot_write(path, error) from error
    # What is no record is half a line, from a process that was killed.
    kept = [
        row
        for row in rows
        if isinstance(row, dict)
        and checked.is_step(row.get("step"))
        and row["step"] <= step
    ]
    if len(kept) < len(rows) or not is_whole:
        text = "".join(json.dumps(row) + "\n" for row in kept)
        write_file(path, text.encode())
