"""How a run begins and ends: its folder, and what is said of it."""

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
from jax.sharding import Mesh

from ppcjax.console import allocator, plain
from ppcjax.runs import checkpoint, lock, ours
from ppcjax.runs.files import cannot_write, write_file, write_json
from ppcjax.runs.kinds import RUN
from ppcjax.runs.run import LISTS
from ppcjax.train import guard
from ppcjax.train.log import Log
from ppcjax.train.stop import Stopper
from ppcjax.train.watch import Watch, Watcher, best_step, from_meta, stops
from ppcjax.types import TrainState, UserError


class Account(NamedTuple):
    """What was read of the data.

    lines: for people.
    content: for RUN/data.json.
    hints: lines for people who begin a run, which one that goes on does not repeat.
    """

    lines: Sequence[str]
    content: Mapping[str, Any]
    hints: Sequence[str] = ()


def last_line(done: int, steps: int, watcher: Watcher, stopper: Stopper) -> str:
    """Why training ended after `done` updates."""
    if done == steps:
        return f"finished: {steps} steps"
    if watcher.stops:
        return (
            f"finished early after step {done} of {steps}: the score was best at step "
            f"{best_step(watcher.scores)}, longer ago than config.patience allows"
        )
    return (
        f"stopped by {stopper.reason} after step {done} of {steps}; the same command "
        "goes on from there"
    )


def made(workdir: str | Path) -> Path:
    """The run folder, which is there now and is marked as one.

    Raises:
        UserError: it holds something else than a run, or cannot be made.
    """
    workdir = Path(workdir).expanduser()
    ours.check(workdir, RUN)
    try:
        workdir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        why = cannot_write(workdir, error).refusal
        raise UserError(
            f"cannot make the run folder {workdir} ({why.what}); {why.advice}, or "
            "choose another --workdir"
        ) from error
    if jax.process_index() == 0:
        ours.mark(workdir, RUN)
    return workdir


def look_whether_alone(workdir: Path) -> None:
    """Raises UserError where another process trains the run now."""
    if jax.process_index() == 0:
        lock.check(workdir)


@contextlib.contextmanager
def alone_in(workdir: Path) -> Iterator[None]:
    """Keeps other processes from training the run; of several, process 0 does.

    Raises:
        UserError: another one trains it, or the disk refuses.
    """
    with contextlib.ExitStack() as stack:
        if jax.process_index() == 0:
            with guard.enough_room(workdir, {}):
                stack.enter_context(lock.held(workdir))
        yield


def is_finished(
    workdir: Path,
    found: int,
    meta: dict[str, Any] | None,
    steps: int,
    watch: Watch | None,
    logger: Log,
) -> bool:
    """Whether nothing is left to train; it says so.

    Raises:
        CannotWrite: something is, and the run folder does not take its log.
    """
    early = watch is not None and stops(from_meta(meta), watch.patience)
    if found < steps and not early:
        logger.need_file()  # a finished run is read-only where its owner likes
        return False
    if not checkpoint.is_sound(workdir, found):
        return False
    why = " and the score has not become better since" if found < steps else ""
    logger.line(f"{workdir} is finished: {found} of {steps} steps are made{why}")
    return True


def announce(
    logger: Log,
    state: TrainState,
    mesh: Mesh,
    start: int,
    steps: int,
    workdir: Path,
    account: Account | None = None,
    *,
    bound: bool = False,
) -> None:
    """Says what is trained, on what, from which step on, and what was read.

    With `bound` the steps may still be lowered.

    Raises:
        UserError: the disk has no room for a checkpoint of `state`.
    """
    guard.check_room(workdir, state)
    count = sum(x.size for x in jax.tree.leaves(state.params))
    device = mesh.devices.flat[0].device_kind
    logger.line(
        f"{workdir}: {count:,} parameters on {mesh.size} x {device}, "
        + (f"resuming after step {start}" if start else "starting")
        + (f" of at most {steps}" if bound else f" of {steps}")
    )
    if said := allocator.said():
        logger.line(said)
    if account is None:
        return
    for line in (*account.lines, *(() if start else account.hints)):
        logger.line(line)
    if jax.process_index() == 0:
        write_json(workdir / "data.json", account.content)


def lists_of(workdir: Path) -> Path | None:
    """Folder of the lists that a run keeps of its splits; None before it has any."""
    there = checkpoint.newest_step(workdir) is not None
    return workdir / LISTS if there else None


def keep_lists(workdir: Path, drawn: Mapping[str, tuple[str, ...]]) -> None:
    """Writes RUN/splits/NAME.txt of the splits that were drawn for a new run."""
    if jax.process_index() or checkpoint.newest_step(workdir) is not None:
        return
    for name, ids in drawn.items():
        content = "".join(f"{plain.line(i)}\n" for i in ids)
        write_file(workdir / LISTS / f"{name}.txt", content.encode())


def savers(
    stack: contextlib.ExitStack,
    workdir: Path,
    watch: Watch | None,
    keep: int,
    kept: dict[str, Any],
) -> tuple[checkpoint.Checkpoints, checkpoint.Checkpoints | None]:
    """What writes the newest checkpoints, which `stack` closes, and the best one.

    Args:
        stack: closed at the end of training.
        workdir: folder of the run.
        watch: says whether the best one is kept.
        keep: how many of the newest stay.
        kept: config and classes that lie with each.
    """
    saver = checkpoint.Checkpoints(workdir, keep=keep, **kept)
    stack.enter_context(contextlib.closing(saver))
    if watch is None or not watch.keep_best:
        return saver, None
    best = checkpoint.Checkpoints(workdir, keep=1, place=checkpoint.BEST, **kept)
    return saver, best


def write_config(workdir: Path, config: dict[str, Any]) -> None:
    """Writes RUN/config.json."""
    if jax.process_index() == 0:
        content = json.dumps(config, indent=2) + "\n"
        write_file(workdir / "config.json", content.encode())
