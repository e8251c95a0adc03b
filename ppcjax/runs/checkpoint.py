"""Checkpoints of a run, opened: the newest sound one, or the one that is named.

A run keeps them in RUN/checkpoints/STEP/{state, meta}: the whole TrainState, and
{"step", "config", "classes", "versions"} as JSON. A step appears under its number
only when it is complete, and disappears by one rename, so a process that is killed
at any moment leaves nothing half written or half deleted under a number.
"""

import enum
import functools
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import orbax.checkpoint as ocp
from jax.experimental import multihost_utils

from ppcjax.console import memory, screen
from ppcjax.runs import digests, extent, messages, steps
from ppcjax.runs.digests import Damaged as Damaged
from ppcjax.runs.saving import Checkpoints as Checkpoints
from ppcjax.runs.steps import BEST as BEST
from ppcjax.runs.steps import FOLDER as FOLDER
from ppcjax.types import TrainState, UserError

_LOGGER = logging.getLogger(__name__)


class Restored(NamedTuple):
    """What evaluation needs of a checkpoint; NumPy arrays.

    meta: {"config": dict, "classes": list of names, "step", "versions"}.
    """

    step: int
    params: Any
    model_state: Any
    meta: dict[str, Any]


def saved_steps(workdir: str | Path, place: str = FOLDER) -> list[int]:
    """Numbers of the checkpoints of a run, ascending."""
    return steps.found(Path(workdir).expanduser() / place)


def newest_step(workdir: str | Path) -> int | None:
    """Number of the newest checkpoint of a run, None where there is none."""
    return max(saved_steps(workdir), default=None)


def run_folder(path: str | Path) -> Path:
    """The run that a folder RUN, RUN/checkpoints or RUN/checkpoints/STEP is of."""
    path = Path(path).expanduser().resolve()
    places = (FOLDER, BEST)
    above = next((p for p in (path, path.parent) if p.name in places), None)
    return path if above is None else above.parent


def names_step(path: str | Path) -> bool:
    """Whether a path names one checkpoint, not a run that has a number for a name."""
    path = Path(path).expanduser().resolve()
    return steps.is_name(path.name) and path.is_dir() and not (path / FOLDER).is_dir()


def newest_meta(workdir: str | Path) -> dict[str, Any] | None:
    """Meta of the newest checkpoint of which it can be read, None where none can."""
    workdir = Path(workdir).expanduser()
    run = steps.run_id(workdir)
    for step in reversed(saved_steps(workdir)):
        folder = workdir / FOLDER / str(step)
        try:
            digests.check(folder, run, only=digests.META)
            return digests.meta(folder)
        except UserError:
            continue  # `restore_state` reports it
    return None


def restore_state(
    workdir: str | Path,
    template: TrainState,
    *,
    log: Callable[[str], None] = _LOGGER.warning,
) -> tuple[TrainState, dict[str, Any]] | None:
    """Newest sound (state, meta) of a run; None where it has no checkpoint.

    Newer checkpoints that are damaged are reported to `log` and moved to
    checkpoints/unreadable, out of the way of the steps that will be made again.

    Args:
        workdir: folder of the run.
        template: TrainState of arrays or ShapeDtypeStructs with shardings.
        log: takes one line.
    Raises: UserError where there are checkpoints and none is sound, or one that is
        sound can't be read.
    """
    messages.quieten_orbax()
    directory = Path(workdir).expanduser().resolve() / FOLDER
    spec = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), template
    )
    damaged = []
    for step in reversed(steps.found(directory)):
        folder = directory / str(step)
        try:
            with screen.waiting("reading the checkpoint"):
                read = _read(folder, _agreed(folder), functools.partial(_whole, spec))
        except Damaged as error:
            log(f"checkpoint {folder} skipped: {error}")
            damaged.append(step)
            continue
        if not read.sealed:
            log(_WITHOUT.format(folder))
        _set_aside(directory, damaged)
        return read.tree, read.meta
    if damaged:
        raise UserError(
            f"none of the checkpoints in {directory} can be read (see the log); move "
            "that folder away to start again, or choose another --workdir"
        )
    return None


def restore(path: str | Path) -> Restored:
    """Parameters of the newest sound checkpoint at `path`, without a template.

    Args:
        path: a run folder, its checkpoints folder, or one step in it.

    Raises:
        Damaged: `path` names a step that is damaged, or none is sound.
        UserError: `path` is no checkpoint, or can't be read for now.
    """
    messages.quieten_orbax()
    path = Path(path).expanduser().resolve()
    if not path.exists():
        raise UserError(f"no checkpoint at {path}: there is no such file or folder")
    if names_step(path):
        directory, found = path.parent, [int(path.name)]
    else:
        directory = path / FOLDER if (path / FOLDER).is_dir() else path
        found = steps.found(directory)
    if not found:
        raise UserError(
            f"{path} holds no checkpoint; give a run folder such as runs/NAME (it has "
            "checkpoints/STEP once a step was saved)"
        )
    why = ""
    for step in reversed(found):
        folder = directory / str(step)
        try:
            with screen.waiting("reading the checkpoint"):
                read = _read(folder, _checked(folder), _parameters)
        except Damaged as error:
            why = str(error)
            if folder != path and folder.is_dir():  # else training has deleted it
                _LOGGER.warning("checkpoint %s skipped: %s", folder, why)
            continue
        if not read.sealed:
            _LOGGER.warning(_WITHOUT.format(folder))
        tree = read.tree
        return Restored(step, tree["params"], tree["model_state"], read.meta)
    if folder != path and max(steps.found(directory), default=0) > found[-1]:
        return restore(path)  # the run has saved another one meanwhile
    if folder == path:
        raise Damaged(f"checkpoint {path} is damaged: {why}")
    raise Damaged(f"no checkpoint in {path} can be read: {why}")


_WITHOUT = (
    "checkpoint {}: saved without digests, by an earlier version; damage in it may go "
    "unnoticed"
)


def is_sound(workdir: str | Path, step: int) -> bool:
    """Whether a checkpoint of a run can be restored; says nothing.

    Raises: UserError where it can't be read for now.
    """
    folder = Path(workdir).expanduser().resolve() / FOLDER / str(step)
    try:
        checked = _checked(folder)
        unsure = checked[0] == _Verdict.WITHOUT
        _read(folder, checked, _parameters if unsure else lambda _: None)
    except Damaged:
        return False
    return True


class _Read(NamedTuple):
    """A step: what was read of its state, its meta, whether it had digests."""

    tree: Any
    meta: dict[str, Any]
    sealed: bool


class _Verdict(enum.IntEnum):
    """What the digests of a step say."""

    SOUND = 0
    WITHOUT = 1
    DAMAGED = 2
    FAILED = 3  # to be read


_Checked = tuple[_Verdict, UserError | None]


def _checked(folder: Path) -> _Checked:
    try:
        sums = digests.check(folder, steps.run_id(run_folder(folder)))
    except Damaged as error:
        return _Verdict.DAMAGED, error
    except UserError as error:
        return _Verdict.FAILED, error
    return (_Verdict.WITHOUT if sums is None else _Verdict.SOUND), None


def _agreed(folder: Path) -> _Checked:
    """As `_checked` on process 0, so that all processes take the same step."""
    if jax.process_count() == 1:
        return _checked(folder)
    first = jax.process_index() == 0
    verdict, error = _checked(folder) if first else (_Verdict.SOUND, None)
    told = multihost_utils.broadcast_one_to_all(np.int32(verdict))
    verdict = _Verdict(int(told))
    if error is None and verdict >= _Verdict.DAMAGED:
        kind = Damaged if verdict == _Verdict.DAMAGED else UserError
        error = kind("process 0 says why")
    return verdict, error


def _read(folder: Path, checked: _Checked, opened: Callable[[Path], Any]) -> _Read:
    """A step.

    Args:
        folder: RUN/checkpoints/STEP.
        checked: what its digests say.
        opened: folder of its state -> what is read of that.

    Raises:
        Damaged: it is not what was saved.
        UserError: it can't be read for now, or not by this program.
    """
    verdict, wrong = checked
    if wrong is not None:
        raise wrong
    try:
        extent.check(folder)
    except (OSError, ValueError) as error:  # something that is no plain file
        raise Damaged(messages.first_line(error)) from error
    try:
        return _Read(
            opened(folder / "state"), digests.meta(folder), verdict == _Verdict.SOUND
        )
    except Exception as error:  # whatever Orbax meets in a damaged folder
        if memory.is_lacking(error) or isinstance(error, UserError):
            raise  # the checkpoint is as good as it was
        why = messages.first_line(error)
        if verdict == _Verdict.WITHOUT or not folder.is_dir():  # training deleted it
            raise Damaged(why) from error
        raise UserError(
            f"checkpoint {folder} is what was saved, but cannot be opened: {why}"
        ) from error


def _whole(spec: TrainState, state: Path) -> TrainState:
    with ocp.Checkpointer(ocp.StandardCheckpointHandler()) as reader:
        return reader.restore(state, args=ocp.args.StandardRestore(spec))


def _parameters(state: Path) -> dict[str, Any]:
    """Parameters and model state as NumPy, whatever devices they came from."""
    with ocp.PyTreeCheckpointer() as reader:
        tree = reader.metadata(state).item_metadata.tree
        item = {name: tree[name] for name in ("params", "model_state")}
        kinds = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), item)
        return reader.restore(
            state,
            args=ocp.args.PyTreeRestore(
                item=item, restore_args=kinds, partial_restore=True
            ),
        )


def _set_aside(directory: Path, damaged: list[int]) -> None:
    if jax.process_index() == 0:
        for step in damaged:
            steps.set_aside(directory, step)
    if damaged and jax.process_count() > 1:
        multihost_utils.sync_global_devices("ppcjax_set_aside")
