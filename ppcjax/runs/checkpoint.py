"""Checkpoints: everything that touches Orbax.

A run keeps them in RUN/checkpoints/STEP/{state, meta}: the whole TrainState, and
{"step", "config", "classes", "versions"} as JSON. A step appears under its number
only when it is complete, and disappears by one rename, so a process that is killed
at any moment leaves nothing half written or half deleted under a number.
"""

import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import orbax.checkpoint as ocp
from jax.experimental import multihost_utils

from ppcjax.console import memory, screen
from ppcjax.runs import messages
from ppcjax.types import TrainState, UserError

_LOGGER = logging.getLogger(__name__)

FOLDER = "checkpoints"
BEST = "best"  # beside it: the checkpoint with the best score, see `Checkpoints`
_TRASH = "trash"  # of Orbax: where it moves what is to be deleted
_UNREADABLE = "unreadable"  # where we move what could not be restored


class Restored(NamedTuple):
    """What evaluation needs of a checkpoint; NumPy arrays.

    meta: {"config": dict, "classes": list of names, "step", "versions"}.
    """

    step: int
    params: Any
    model_state: Any
    meta: dict[str, Any]


class Checkpoints:
    """Writes the checkpoints of one run in the background."""

    def __init__(
        self,
        workdir: str | Path,
        *,
        keep: int,
        config: dict,
        classes: tuple[str, ...],
        place: str = FOLDER,
    ):
        """Opens RUN/checkpoints and removes what a killed process left there.

        Args:
            workdir: folder of the run.
            keep: number of newest checkpoints that stay.
            config: written into each checkpoint; JSON types only.
            classes: class names, background first.
            place: folder of the run that holds them, FOLDER or BEST.
        """
        messages.quieten_orbax()
        self.workdir = Path(workdir).expanduser().resolve()
        self._directory = self.workdir / place
        self._meta = {
            "config": config,
            "classes": list(classes),
            "versions": messages.versions(),
        }
        self._manager = ocp.CheckpointManager(
            self._directory,
            options=ocp.CheckpointManagerOptions(
                max_to_keep=keep,
                todelete_subdir=_TRASH,
                cleanup_tmp_directories=True,
            ),
        )
        self._newest = self._manager.latest_step()  # known to be complete
        self._empty_trash()

    def save(self, state: TrainState, step: int, **more: Any) -> None:
        """Starts writing `state`; returns once the arrays may be changed.

        Args:
            state: what is written.
            step: its number of updates.
            **more: further entries of its meta; JSON types only.

        Raises: UserError where this or the previous checkpoint found no space.
        """
        if step in self._manager.all_steps():
            return
        self.wait()
        try:
            self._manager.save(
                step,
                args=ocp.args.Composite(
                    state=ocp.args.StandardSave(state),
                    meta=ocp.args.JsonSave({"step": step, **self._meta, **more}),
                ),
            )
        except Exception as error:
            raise self._explained(error) from error

    def wait(self) -> None:
        """Returns when the last checkpoint lies on disk; Raises: as `save`."""
        try:
            self._manager.wait_until_finished()
            self._manager.check_for_errors()
        except Exception as error:
            raise self._explained(error) from error
        self._newest = self._manager.latest_step()
        self._empty_trash()

    def reached_preemption(self, step: int) -> bool:
        """Whether the cluster told any process to stop; the same on all of them."""
        return self._manager.reached_preemption(step)

    def close(self) -> None:
        """Ends the background work; Raises: as `save`."""
        try:
            self._manager.close()
        except Exception as error:
            raise self._explained(error) from error

    def _empty_trash(self) -> None:
        if jax.process_index() == 0:
            shutil.rmtree(self._directory / _TRASH, ignore_errors=True)

    def _explained(self, error: Exception) -> Exception:
        """`error`, or a UserError where the user can mend it."""
        if not messages.is_disk_full(error):
            return error
        kept = (
            "no checkpoint was saved before"
            if self._newest is None
            else f"the checkpoint of step {self._newest} is kept"
        )
        return UserError(
            f"disk full while saving to {self._directory}: {kept}; free some space "
            "and run the same command again to resume"
        )


def saved_steps(workdir: str | Path, place: str = FOLDER) -> list[int]:
    """Numbers of the checkpoints of a run, ascending."""
    return sorted(_steps(Path(workdir).expanduser() / place))


def newest_step(workdir: str | Path) -> int | None:
    """Number of the newest checkpoint of a run, None where there is none."""
    return max(saved_steps(workdir), default=None)


def run_folder(path: str | Path) -> Path:
    """The run that a folder RUN, RUN/checkpoints or RUN/checkpoints/STEP is of."""
    path = Path(path).expanduser().resolve()
    places = (FOLDER, BEST)
    steps = next((p for p in (path, path.parent) if p.name in places), None)
    return path if steps is None else steps.parent


def newest_meta(workdir: str | Path) -> dict[str, Any] | None:
    """Meta of the newest checkpoint of which it can be read, None where none can."""
    directory = Path(workdir).expanduser() / FOLDER
    for step in sorted(_steps(directory), reverse=True):
        try:
            return json.loads((directory / str(step) / "meta" / "metadata").read_text())
        except (OSError, ValueError):
            continue  # `restore_state` reports it
    return None


def restore_state(
    workdir: str | Path,
    template: TrainState,
    *,
    log: Callable[[str], None] = _LOGGER.warning,
) -> tuple[TrainState, dict[str, Any]] | None:
    """Newest restorable (state, meta) of a run; None where it has no checkpoint.

    Newer checkpoints that cannot be read are reported to `log` and moved to
    checkpoints/unreadable, out of the way of the steps that will be made again.

    Args:
        workdir: folder of the run.
        template: TrainState of arrays or ShapeDtypeStructs with shardings.
        log: takes one line.
    Raises: UserError where there are checkpoints and none can be read.
    """
    messages.quieten_orbax()
    directory = Path(workdir).expanduser().resolve() / FOLDER
    spec = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), template
    )
    unreadable = []
    for step in sorted(_steps(directory), reverse=True):
        try:
            items = _read(directory, step, ocp.args.StandardRestore(spec))
        except Exception as error:  # whatever Orbax meets in a damaged folder
            if memory.is_lacking(error):
                raise  # the checkpoint is as good as it was
            why = messages.first_line(error)
            log(f"checkpoint {directory / str(step)} skipped: {why}")
            unreadable.append(step)
            continue
        _set_aside(directory, unreadable)
        return items.state, items.meta
    if unreadable:
        raise UserError(
            f"none of the checkpoints in {directory} can be read (see the log); move "
            "that folder away to start again, or choose another --workdir"
        )
    return None


def restore(path: str | Path) -> Restored:
    """Parameters of the newest restorable checkpoint at `path`, without a template.

    Args:
        path: a run folder, its checkpoints folder, or one step in it.
    Raises: UserError where `path` is no checkpoint or none can be read.
    """
    messages.quieten_orbax()
    path = Path(path).expanduser().resolve()
    if not path.exists():
        raise UserError(f"no checkpoint at {path}: there is no such file or folder")
    if path.name.isdigit() and (path / "state").is_dir():
        directory, steps = path.parent, [int(path.name)]
    else:
        directory = path / FOLDER if (path / FOLDER).is_dir() else path
        steps = sorted(_steps(directory), reverse=True)
    if not steps:
        raise UserError(
            f"{path} holds no checkpoint; give a run folder such as runs/NAME (it has "
            "checkpoints/STEP once a step was saved)"
        )
    for step in steps:
        try:
            items = _read(directory, step, _parameters_only(directory / str(step)))
        except Exception as error:
            if memory.is_lacking(error):
                raise
            last = messages.first_line(error)
            _LOGGER.warning("checkpoint %s skipped: %s", directory / str(step), last)
            continue
        tree = items.state
        return Restored(step, tree["params"], tree["model_state"], items.meta)
    raise UserError(f"no checkpoint in {path} can be read: {last}")


def _read(directory: Path, step: int, state_args) -> Any:
    manager = ocp.CheckpointManager(
        directory, options=ocp.CheckpointManagerOptions(read_only=True)
    )
    with screen.waiting("reading the checkpoint"), manager:
        return manager.restore(
            step,
            args=ocp.args.Composite(state=state_args, meta=ocp.args.JsonRestore()),
        )


def _parameters_only(step_directory: Path) -> ocp.args.PyTreeRestore:
    """Restores params and model_state as NumPy, whatever devices they came from."""
    with ocp.PyTreeCheckpointer() as reader:
        tree = reader.metadata(step_directory / "state").item_metadata.tree
    item = {name: tree[name] for name in ("params", "model_state")}
    kinds = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), item)
    return ocp.args.PyTreeRestore(item=item, restore_args=kinds, partial_restore=True)


def _steps(directory: Path) -> list[int]:
    if not directory.is_dir():
        return []
    return [int(p.name) for p in directory.iterdir() if p.name.isdigit() and p.is_dir()]


def _set_aside(directory: Path, steps: list[int]) -> None:
    if steps and jax.process_index() == 0:
        target = directory / _UNREADABLE
        target.mkdir(exist_ok=True)
        for step in steps:
            shutil.rmtree(target / str(step), ignore_errors=True)
            (directory / str(step)).rename(target / str(step))
    if steps and jax.process_count() > 1:
        multihost_utils.sync_global_devices("ppcjax_set_aside")
