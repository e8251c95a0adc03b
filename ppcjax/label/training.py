"""A segmenter on the accepted masks: a run as any other, in a process of its own."""

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

CONFIG = "segment_dino_folder"
_LEAST = 4  # accepted masks
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

    def start(self) -> str:
        """Starts a training on what is accepted; returns the folder of the run.

        Raises:
            UserError: one is running, or too little is accepted.
        """
        with self._lock:
            if self._process is not None and self._process.poll() is None:
                raise UserError(f"a training is running already, in {self._folder}")
            photos = exporting.chosen(self._session, "accepted")
            if len(photos) < _LEAST:
                raise UserError(
                    f"{len(photos)} masks are accepted: accept {_LEAST} or more"
                )
            folder = exporting.new_folder(self._session, _FOLDER)
            ids = exporting.contiguous(self._session)
            self._write(folder, photos, ids)
            writing.write_file(folder / _IDS, json.dumps(ids).encode())
            with contextlib.closing(writing.Appending(folder / _LOG)) as log:
                self._process = self._start(
                    self._command(folder),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )
            self._folder = folder
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

    def _write(self, folder: Path, photos: list[int], ids: dict[int, int]) -> None:
        """A folder as `source="folder"` reads it, of what is learnt from alone."""
        table = np.zeros(256, np.uint8)
        table[IGNORE] = IGNORE
        for key, value in ids.items():
            table[key] = value
        album = self._session.album
        for i in photos:
            mask = composing.mask(self._session, i)
            if mask is not None:
                photo = folder / "images" / f"{album.ids[i]}{album.file(i).suffix}"
                writing.link_file(photo, album.file(i))
                file = folder / "masks" / f"{album.ids[i]}.png"
                writing.write_file(file, as_png(table[mask]))
        classes = self._session.state.classes
        names = ["background", *(classes[key].name for key in ids)]
        content = "".join(f"{name}\n" for name in names).encode()
        writing.write_file(folder / "classes.txt", content)

    def _command(self, folder: Path) -> list[str]:
        return [
            *(sys.executable, "-m", "ppcjax", "train", f"--config={CONFIG}"),
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
