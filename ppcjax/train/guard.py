"""What stops a run with one line, before or while it trains."""

import contextlib
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ppcjax.runs import checkpoint, messages
from ppcjax.types import UserError

# What a resumed run must share with its checkpoints, and what of it may differ.
_SAME = ("method", "data", "optim", "seed")
_FREE = ("data.root", "data.eval_split", "data.val_split", "data.on_bad_image")


@contextlib.contextmanager
def full_disk(workdir: Path) -> Iterator[None]:
    """Turns a log or metric file that found no space into a UserError."""
    try:
        yield
    except OSError as error:
        if not messages.is_disk_full(error):
            raise
        raise UserError(
            f"disk full while writing to {workdir}: its checkpoints are kept; free "
            "some space and run the same command again to resume"
        ) from error


def check_same_run(
    meta: dict[str, Any] | None, config: dict[str, Any], workdir: Path
) -> None:
    """Raises UserError where the run in `workdir` was made by another config.

    Args:
        meta: what a checkpoint of the run holds; None where there is none yet.
        config: what this process is to train; JSON types.
        workdir: named in the message.
    """
    saved = meta["config"] if meta else config
    old = {k: v for part in _SAME for k, v in _flat(saved.get(part), part)}
    new = {k: v for part in _SAME for k, v in _flat(config.get(part), part)}
    differ = [
        f"{name} (there {old.get(name)!r}, now {new.get(name)!r})"
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name) and name not in _FREE
    ]
    if differ:
        raise UserError(
            f"{workdir} holds a run of another config: {', '.join(differ)}; choose "
            "another --workdir, or remove that folder to start again"
        )


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
