"""A segmenter on accepted masks, or on tags: a run as any other, in a process."""

import contextlib
import functools
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ppcjax.console import writing
from ppcjax.label import composing, exporting
from ppcjax.label.session import Session
from ppcjax.label.store import as_png
from ppcjax.label.worker import Worker
from ppcjax.predict.photos import Predictor, load
from ppcjax.predict.prediction import uncertainty
from ppcjax.runs import checked
from ppcjax.types import IGNORE, UserError

# What is learnt from -> the config that does.
CONFIGS = {"masks": "segment_dino_folder", "tags": "ppc_dino_folder"}
_LEAST = 4  # photos
_FOLDER = "trainings"
_LOG, _IDS = "log.txt", "ids.json"
_FINISHED = "finished"  # how what a run says in the end begins
_LAST = 2000  # bytes of what a run said that are looked at


class Training:
    """The trainings of a session, one at a time."""

    def __init__(
        self,
        session: Session,
        worker: Worker,
        options: Sequence[str] = (),
        start: Callable[..., subprocess.Popen] = subprocess.Popen,
    ):
        """For a session.

        Args:
            session: whose masks are learnt from.
            worker: proposes by what was trained.
            options: --config.FIELD=VALUE that the training gets.
            start: starts a process.
        """
        self._session, self._worker = session, worker
        self._options, self._start = tuple(options), start
        self._process: subprocess.Popen | None = None
        self._folder = Path()
        self._state: dict[str, Any] | None = None
        self._lock = threading.Lock()
        self._starting = threading.Lock()

    def start(self, by: str = "masks") -> str:
        """Starts a training; returns the folder of the run.

        Args:
            by: what is learnt from, a key of CONFIGS.

        Raises:
            UserError: one is running, or there is too little to learn from.
        """
        if by not in CONFIGS:
            raise UserError(f"by: give one of {', '.join(CONFIGS)}")
        if not self._starting.acquire(blocking=False):
            raise UserError("a training is about to start")
        try:
            if self._process is not None and self._process.poll() is None:
                raise UserError(f"a training is running already, in {self._folder}")
            folder = exporting.new_folder(self._session, _FOLDER)
            ids = exporting.contiguous(self._session)
            self._write(folder, by, ids)
            writing.write_file(folder / _IDS, json.dumps(ids).encode())
            with contextlib.closing(writing.Appending(folder / _LOG)) as log:
                process = self._start(
                    self._command(folder, by),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )
        finally:
            self._starting.release()
        with self._lock:
            self._process, self._folder = process, folder
            self._state = {"run": str(folder / "run"), "state": "running"}
        watch = threading.Thread(target=self._watch, args=(ids,), daemon=True)
        watch.start()
        return str(folder / "run")

    def progress(self) -> dict[str, Any] | None:
        """How far it is; None where none was started.

        Returns:
            {"run": folder, "state": "running", "done" or "failed", "step", "steps",
            "said": last line}.
        """
        with self._lock:
            if self._state is None:
                return None
            return {**self._state, **_progress(self._folder)}

    def stop(self) -> None:
        """Asks a training that runs to save and end."""
        with self._lock:
            if self._process is not None and self._process.poll() is None:
                self._process.terminate()

    def _write(self, folder: Path, by: str, ids: dict[int, int]) -> None:
        """A folder as `source="folder"` reads it, of what is learnt from alone.

        Raises:
            UserError: that is too little.
        """
        session = self._session
        if by == "tags":
            photos = exporting.tagged_photos(session)
            _need(len(photos), "photos have tags: tag")
            exporting.write_tagged(session, folder, photos)
            return
        photos = exporting.chosen(session, "accepted")
        _need(len(photos), "masks are accepted: accept")
        table = np.zeros(256, np.uint8)
        table[IGNORE] = IGNORE
        for key, value in ids.items():
            table[key] = value
        exporting.link_photos(session, folder, photos)
        for i in photos:
            mask = composing.mask(session, i)
            if mask is not None:
                file = folder / "masks" / f"{session.album.ids[i]}.png"
                writing.write_file(file, as_png(table[mask]))
        exporting.write_names(session, folder)

    def _command(self, folder: Path, by: str) -> list[str]:
        return [
            *(sys.executable, "-m", "ppcjax", "train", f"--config={CONFIGS[by]}"),
            f"--config.data.root={folder}",
            f"--workdir={folder / 'run'}",
            *self._options,
        ]

    def _watch(self, ids: dict[int, int]) -> None:
        code = self._process.wait()
        with self._lock:
            self._state["state"] = "failed" if code else "done"
        if code:
            said = _progress(self._folder)["said"]
            self._session.say(f"the training in {self._folder} ended: {said}")
            return
        self._worker.use(Trained(self._session, self._folder / "run", ids))
        self._session.say("trained: Propose uses the segmenter from now on")

    def resume(self) -> None:
        """Proposes by the last training that was finished, if there was one."""
        folders = sorted((self._session.folder / _FOLDER).glob("[0-9]*"), reverse=True)
        for folder in folders:
            said = _progress(folder)
            try:
                noted = checked.read_json(folder / _IDS)
                ids = {int(key): int(value) for key, value in noted.items()}
            except (ValueError, TypeError, UserError):
                continue
            if ids and said["said"].startswith(_FINISHED):
                self._folder = folder
                self._state = {"run": str(folder / "run"), "state": "done"}
                self._worker.use(Trained(self._session, folder / "run", ids))
                return


class Trained:
    """Proposals of a trained segmenter."""

    def __init__(self, session: Session, run: Path, ids: dict[int, int]):
        """Of a run, which is opened when it is first asked.

        Args:
            session: whose photos are proposed for.
            run: folder of the run.
            ids: id of each class in the session -> id in the run.
        """
        self._session, self._run = session, run
        self._ids = np.zeros(256, np.uint8)
        for key, value in ids.items():
            self._ids[value] = key

    @functools.cached_property
    def _predictor(self) -> Predictor:
        return load(self._run)

    def __call__(self, i: int) -> tuple[np.ndarray, float]:
        """Mask [H, W] uint8 and uncertainty of a photo. Raises: UserError."""
        found = self._predictor.predict(self._session.album.file(i))
        unsure = uncertainty(found.scores, self._predictor.threshold)
        return self._ids[found.mask], unsure


def _need(count: int, text: str) -> None:
    if count < _LEAST:
        raise UserError(f"{count} {text} {_LEAST} or more")


def _progress(folder: Path) -> dict[str, Any]:
    """Step of a run, by what it noted, and the last line that it said."""
    found: dict[str, Any] = {"step": None, "steps": None, "said": ""}
    try:
        lines = checked.read_bytes(folder / _LOG)[-_LAST:].splitlines()
        found["said"] = lines[-1].decode(errors="replace") if lines else ""
        noted = checked.read_bytes(folder / "run" / "metrics.jsonl").splitlines()
        found["step"] = checked.parse(noted[-1])["step"]
        config = checked.read_json(folder / "run" / "config.json")
        found["steps"] = config.get("steps")
    except (OSError, ValueError, LookupError, TypeError, UserError):
        pass
    return found
