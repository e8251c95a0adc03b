"""Writes the checkpoints of a run in the background, and keeps the newest ones.

Orbax writes a step under a temporary name and renames it when it is complete. What is
kept is decided here, when the new step lies on disk: Orbax's own manager forgets the
older steps as soon as it begins a new one, also where that fails.
"""

import contextlib
import logging
import os
import re
import shutil
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from jax.experimental import multihost_utils

from ppcjax.console import disk, memory
from ppcjax.runs import digests, messages, steps
from ppcjax.runs.files import cannot_write
from ppcjax.types import TrainState, UserError

_LOGGER = logging.getLogger(__name__)

_TRASH = "trash"  # where steps lie while they are deleted
_UNFINISHED = ".orbax-checkpoint-tmp"  # behind the number of a step that is written
_LOOKS, _PAUSE = 20, 0.1  # for a folder that is being removed; the pause in seconds
_LEFT = re.compile(rf"\d+{re.escape(_UNFINISHED)}\S*")


def is_unfinished(name: str) -> bool:
    """Whether a step of this name in a folder of checkpoints was never finished."""
    return _LEFT.fullmatch(name) is not None


class Checkpoints:
    """Writes the checkpoints of one run in the background."""

    def __init__(
        self,
        workdir: str | Path,
        *,
        keep: int,
        config: dict,
        classes: tuple[str, ...],
        place: str = steps.FOLDER,
    ):
        """Opens RUN/checkpoints and removes what a killed process left there.

        Args:
            workdir: folder of the run.
            keep: number of newest checkpoints that stay.
            config: written into each checkpoint; JSON types only.
            classes: class names, background first.
            place: folder of the run that holds them, FOLDER or BEST.

        Raises: UserError where nothing can be written there.
        """
        messages.quieten_orbax()
        self.workdir = Path(workdir).expanduser().resolve()
        self._directory = self.workdir / place
        self._keep = keep
        self._meta = {
            "config": config,
            "classes": list(classes),
            "versions": messages.versions(),
        }
        self._run_id = self._begin() if jax.process_index() == 0 else ""
        self._place = disk.Place(self.workdir)
        self._newest = max(steps.found(self._directory), default=None)
        self._written: set[int] = set()  # by this process, and complete
        self._writing = 0  # step that is written now, or was last
        self._background: Future | None = None
        self._thread = ThreadPoolExecutor(1, "checkpoints")
        self._orbax = ocp.AsyncCheckpointer(
            ocp.CompositeCheckpointHandler(),
            async_options=ocp.options.AsyncOptions(
                post_finalization_callback=self._seal
            ),
        )

    def save(self, state: TrainState, step: int, **more: Any) -> None:
        """Starts writing `state`; returns once the arrays may be changed.

        A step that is there and sound stays as it is.

        Args:
            state: what is written.
            step: its number of updates.
            **more: further entries of its meta; JSON types only.

        Raises: UserError where this or the previous checkpoint found no space.
        """
        self.wait()
        if step in self._written or self._is_there(step):
            return
        self._writing = step
        try:
            self._orbax.save(
                self._directory / str(step),
                args=ocp.args.Composite(
                    state=ocp.args.StandardSave(state),
                    meta=ocp.args.JsonSave({"step": step, **self._meta, **more}),
                ),
            )
        except Exception as error:
            self._clean(step)
            self._explain(error)
            raise
        self._background = self._thread.submit(self._finish, step)

    def check(self) -> None:
        """Raises as `save` where the writing has failed or the run folder is gone.

        It takes microseconds and waits for nothing.
        """
        self._place.check()
        if self._background is not None and self._background.done():
            self.wait()

    def wait(self) -> None:
        """Returns when the last checkpoint lies on disk; Raises: as `save`."""
        if self._background is None:
            return
        try:
            self._background.result()
        except Exception as error:
            self._background = None
            self._explain(error)
            raise
        self._background = None
        self._newest = self._writing
        self._written.add(self._writing)

    def reached_preemption(self, step: int) -> bool:
        """Whether the cluster told any process to stop; the same on all of them."""
        try:
            return multihost_utils.reached_preemption_sync_point(step)
        except RuntimeError:  # there is no such service
            return False

    def close(self) -> None:
        """Ends the background work; Raises: as `save`."""
        try:
            self.wait()
        finally:
            self._thread.shutdown()
            self._orbax.close()

    def _begin(self) -> str:
        """Makes the folder ready for process 0; gives the identity of the run."""
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            for path in self._directory.iterdir():
                if is_unfinished(path.name):
                    shutil.rmtree(path, ignore_errors=True)
            self._empty_trash()
        except OSError as error:
            raise cannot_write(self._directory, error) from error
        return steps.keep_run_id(self.workdir, self._run_id_before())

    def _run_id_before(self) -> str | None:
        """The identity that the newest step with digests names."""
        places = (self.workdir / place for place in (steps.FOLDER, steps.BEST))
        for directory in places:
            for step in reversed(steps.found(directory)):
                with contextlib.suppress(UserError):
                    sums = digests.read(directory / str(step))
                    if sums is not None:
                        return sums.run
        return None

    def _is_there(self, step: int) -> bool:
        """Whether a sound step of an earlier process is there; a damaged one goes."""
        there = False
        if jax.process_index() == 0 and step in steps.found(self._directory):
            folder = self._directory / str(step)
            try:
                digests.check(folder, self._run_id)
                there = True
            except digests.Damaged as error:
                _LOGGER.warning("checkpoint %s is written anew: %s", folder, error)
                steps.set_aside(self._directory, step)
        if jax.process_count() > 1:
            there = bool(multihost_utils.broadcast_one_to_all(np.int32(there)))
        return there

    def _seal(self) -> None:
        """Adds the digests when all is written; the step then gets its name."""
        step = self._writing
        digests.write(self._directory / f"{step}{_UNFINISHED}", self._run_id, step)

    def _finish(self, step: int) -> None:
        """In the background: waits for Orbax, then deletes what is not kept."""
        try:
            self._orbax.wait_until_finished()
        except Exception:
            self._clean(step)
            raise
        if jax.process_index() == 0:
            _to_disk(self._directory)
            self._prune(step)

    def _prune(self, step: int) -> None:
        older = [n for n in steps.found(self._directory) if n <= step]
        trash = self._directory / _TRASH
        try:
            for number in older[: -self._keep]:
                trash.mkdir(exist_ok=True)
                (self._directory / str(number)).rename(trash / str(number))
            self._empty_trash()
        except OSError as error:
            _LOGGER.warning("older checkpoints stay in %s: %s", self._directory, error)

    def _empty_trash(self) -> None:
        trash = self._directory / _TRASH
        for step in steps.found(trash):
            shutil.rmtree(trash / str(step), ignore_errors=True)
        with contextlib.suppress(OSError):
            trash.rmdir()  # not where something else lies in it

    def _clean(self, step: int) -> None:
        """Removes what a step that failed takes of the disk."""
        with contextlib.suppress(Exception):
            self._orbax.wait_until_finished()  # it may still write of its own
        if jax.process_index() == 0:
            shutil.rmtree(self._directory / f"{step}{_UNFINISHED}", ignore_errors=True)

    def _explain(self, error: Exception) -> None:
        """Raises what the user is told of an error of saving, if that is another one.

        Orbax has many words for a file that vanished, and who removes a run removes
        its files first: the folder itself may go a moment later.
        """
        if isinstance(error, UserError) or memory.is_lacking(error):
            return
        self._place.check()
        if disk.refusal(error, self._directory) is None:
            for _ in range(_LOOKS):
                time.sleep(_PAUSE)
                self._place.check()
        told = messages.cannot_save(error, self._directory, self._newest)
        raise told from error


def _to_disk(folder: Path) -> None:
    """Has the names of a folder written, before older steps are deleted."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # some file systems know it for files only
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
