"""What stops a run with one line, before or while it trains."""

import contextlib
import math
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax

from ppcjax import fields
from ppcjax.console import disk, memory
from ppcjax.fields import Free, Place
from ppcjax.frozen.settings import FrozenSettings
from ppcjax.runs import checkpoint, messages
from ppcjax.train import needs
from ppcjax.types import UserError

# What a resumed run must share with its checkpoints, but for settings that are
# declared to be free or the place of something.
_SAME = ("method", "data", "optim", "seed", "accumulate", "frozen")
# What holds where a checkpoint is older than a setting.
_BEFORE = {"accumulate": 1, "frozen": {}}


@contextlib.contextmanager
def enough_room(workdir: Path, config: Mapping[str, Any]) -> Iterator[None]:
    """Turns what a disk refuses, and a lack of memory, into a UserError.

    Args:
        workdir: folder of the run, where logs and checkpoints may find no space.
        config: config of the run, which says what needs less memory.
    """
    try:
        with memory.guarded("training", needs.advice(config)):
            yield
    except disk.CannotWrite as error:
        raise _stopped(error.path, error.refusal, workdir) from error
    except UserError:
        raise
    except Exception as error:
        refusal = disk.refusal(error, workdir)
        if refusal is None:
            raise
        raise _stopped(workdir, refusal, workdir) from error


def _stopped(path: Path, refusal: disk.Refusal, workdir: Path) -> UserError:
    # Who takes the run folder away may do so between a look at it and a write.
    if refusal is disk.GONE and path.is_relative_to(workdir):
        return disk.taken_away(workdir)
    newest = checkpoint.newest_step(workdir)
    return messages.stopped(refusal, f"writing to {path}", newest)


def check_room(workdir: Path, state: Any) -> None:
    """Checks before the first step that the disk has room for a checkpoint.

    Args:
        workdir: folder of the run.
        state: what is saved.

    Raises:
        UserError: there is less than half of what it takes, as some of it, such as
            zeros, is stored in less.
    """
    size = sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(state))
    try:
        free = shutil.disk_usage(workdir).free
    except OSError:  # some file systems do not tell
        return
    if free < size // 2:
        raise messages.stopped(
            disk.Refusal(
                f"disk full, with {memory.as_text(free)} left,",
                "free some space there, or choose another --workdir",
            ),
            f"a checkpoint in {workdir} takes {memory.as_text(size)}",
            checkpoint.newest_step(workdir),
        )


def check_same_run(
    meta: dict[str, Any] | None,
    config: dict[str, Any],
    workdir: Path,
    classes: Sequence[str] = (),
    *,
    log: Callable[[str], None],
) -> None:
    """Checks that a run goes on as it began; what lies elsewhere now is said.

    Args:
        meta: what a checkpoint of the run holds; None where there is none yet.
        config: what this process is to train; JSON types.
        workdir: named in the message.
        classes: names that the data has now; empty where it has none.
        log: takes one line.

    Raises:
        UserError: the run in `workdir` was made by another config, or learnt other
            classes.
    """
    if meta is None:
        return
    marks = data_marks() | {
        f"frozen.{name}": fields.marks_of(field.hint)
        for name, field in fields.fields_of(FrozenSettings).items()
    }
    old, new = (
        {
            k: v
            for part in _SAME
            for k, v in _flat(given.get(part, _BEFORE.get(part)), part)
        }
        for given in (meta["config"], config)
    )
    differ, moved = [], []
    for name in sorted(old.keys() | new.keys()):
        was, now = old.get(name), new.get(name)
        kinds = {type(mark) for mark in marks.get(name, ())}
        if was == now or Free in kinds:
            continue
        if Place in kinds and was and now:
            moved.append(f"config.{name} is {now} now; it was {was}")
        else:
            differ.append(f"{name} (there {was!r}, now {now!r})")
    learnt = meta.get("classes") or ()
    if learnt and classes and tuple(learnt) != tuple(classes):
        differ.append(f"classes (there {', '.join(learnt)}, now {', '.join(classes)})")
    if differ:
        raise UserError(
            f"{workdir} holds a run of another config: {', '.join(differ)}; choose "
            "another --workdir, or remove that folder to start again"
        )
    for line in moved:
        log(line)


def data_marks() -> dict[str, tuple[Any, ...]]:
    """The marks of every setting of config.data, by its path in a config."""
    from ppcjax import data_pipelines  # the training loop itself needs no data side

    readers = [reader.settings for reader in data_pipelines.READERS.values()]
    common = (data_pipelines.SourceSettings, data_pipelines.SplitSettings)
    return {
        f"data.{name}": fields.marks_of(field.hint)
        for declared in (*common, *data_pipelines.SOURCES.values(), *readers)
        for name, field in fields.fields_of(declared).items()
    }


def _flat(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flat(inner, f"{name}.{key}")
    else:
        yield name, value


def check_finite(
    step: int, values: dict[str, float], saver: checkpoint.Checkpoints
) -> None:
    """Raises UserError where a loss term or the update of `step` is NaN or infinite."""
    guarded = {
        name: value
        for name, value in values.items()
        if name.startswith("loss/") or name == "stat/update_norm"
    }
    bad = sorted(name for name, value in guarded.items() if not math.isfinite(value))
    if not bad:
        return
    saver.wait()
    kept = checkpoint.newest_step(saver.workdir)
    raise UserError(
        f"not finite at step {step}: {', '.join(f'{n}={values[n]}' for n in bad)}; "
        + ("nothing was saved" if kept is None else f"checkpoint {kept} is kept")
        + "; lower config.optim.lr, or look at the images of that step"
    )
