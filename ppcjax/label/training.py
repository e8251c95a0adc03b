"""A segmenter on accepted masks, or on tags: a run as any other, in a process."""

import functools
import shlex
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ppcjax.checkout import program
from ppcjax.console import writing
from ppcjax.console.words import counted
from ppcjax.label import composing, exporting
from ppcjax.label.lessons import DEFAULTS, Lessons
from ppcjax.label.session import Session
from ppcjax.label.store import as_png
from ppcjax.label.trainee import Trainee
from ppcjax.label.worker import Worker
from ppcjax.predict.photos import Predictor, load
from ppcjax.predict.prediction import uncertainty
from ppcjax.types import IGNORE, UserError

_LEAST = 4  # photos
_FOLDER = "trainings"
_LOOK = 1.0  # seconds between two looks at how far it is


class Training:
    """The trainings of a session, one at a time."""

    def __init__(
        self,
        session: Session,
        worker: Worker,
        lessons: Lessons = DEFAULTS,
        start: Callable[..., subprocess.Popen] = subprocess.Popen,
    ):
        """For a session.

        Args:
            session: whose masks are learnt from.
            worker: proposes by what was trained.
            lessons: how trainings are typed.
            start: starts a process.
        """
        self._session, self._worker = session, worker
        self._lessons, self._start = lessons, start
        self._trainee: Trainee | None = None
        self._state = ""  # of the newest training: "running", "done" or "failed"
        self._lock = threading.Lock()
        self._starting = threading.Lock()

    def start(self, by: str = "masks") -> str:
        """Starts a training; returns the folder of the run.

        Args:
            by: what is learnt from, a key of `lessons.CONFIGS`.

        Raises:
            UserError: one is running, or there is too little to learn from.
        """
        words = self._lessons.words(by)
        with self._alone():
            folder = exporting.new_folder(self._session, _FOLDER)
            ids = exporting.contiguous(self._session)
            self._write(folder, by, ids)
            trainee = Trainee(folder)
            places = f"--config.data.root={folder}", f"--workdir={trainee.run}"
            trainee.begin([*words, *places], ids, self._start)
            return self._watched(trainee)

    def go_on(self) -> str:
        """Goes on with the newest training, which has ended before its last step.

        Returns:
            The folder of the run.

        Raises:
            UserError: there is none, or one is running.
        """
        with self._alone():
            trainee = self._trainee
            if trainee is None or self._state == "done" or not trainee.words():
                raise UserError("no training has ended before its last step")
            trainee.begin(trainee.words(), trainee.ids(), self._start)
            return self._watched(trainee)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Raises UserError where a training is running, or another one is started."""
        if not self._starting.acquire(blocking=False):
            raise UserError("a training is about to start")
        try:
            trainee = self._trainee
            if trainee is not None and trainee.lives():
                raise UserError(f"a training is running already, in {trainee.folder}")
            yield
        finally:
            self._starting.release()

    def progress(self) -> dict[str, Any] | None:
        """How far it is; None where none was started.

        Returns:
            {"run": folder, "state": "running", "done" or "failed", "step", "steps",
            "said": last line}.
        """
        with self._lock:
            trainee, state = self._trainee, self._state
        if trainee is None:
            return None
        return {"run": str(trainee.run), "state": state, **trainee.progress()}

    def stop(self) -> bool:
        """Asks a training that a server began to save and end; whether one runs."""
        with self._lock:
            return self._trainee is not None and self._trainee.stop()

    def _write(self, folder: Path, by: str, ids: dict[int, int]) -> None:
        """A folder as `source="folder"` reads it, of what is learnt from alone.

        Raises:
            UserError: that is too little.
        """
        session = self._session
        if by == "tags":
            photos = exporting.tagged_photos(session)
            have = counted(len(photos), "photo has tags", "photos have tags")
            _need(len(photos), have, "tag")
            exporting.write_tagged(session, folder, photos)
            return
        photos = exporting.chosen(session, "accepted")
        have = counted(len(photos), "mask is", "masks are")
        _need(len(photos), f"{have} accepted", "accept")
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

    def _watched(self, trainee: Trainee) -> str:
        """The folder of a run that goes on from now on."""
        with self._lock:
            self._trainee, self._state = trainee, "running"
        threading.Thread(target=self._watch, args=(trainee,), daemon=True).start()
        return str(trainee.run)

    def _watch(self, trainee: Trainee) -> None:
        before: dict[str, Any] = {}
        while trainee.wait(_LOOK):
            now = trainee.progress()
            if now != before:
                before = now
                self._session.changed()
        done = trainee.is_finished()
        with self._lock:
            self._state = "done" if done else "failed"
        if done:
            self._use(trainee)
            self._session.say("trained: Propose uses the segmenter from now on")
        else:
            self._tell_end(trainee)
        self._session.changed()

    def _use(self, trainee: Trainee) -> None:
        self._worker.use(Trained(self._session, trainee.run, trainee.ids()))

    def _tell_end(self, trainee: Trainee) -> None:
        """Says that a training has ended before its last step, and what goes on."""
        said = trainee.progress()["said"]
        line = f"the training in {trainee.folder} ended: {said or 'it was killed'}"
        words = trainee.words()
        if words and trainee.run.is_dir():
            command = f"{program(words[0])} {shlex.join(words[1:])}"
            line += f"; this goes on with it: {command}"
        self._session.say(line)

    def resume(self) -> None:
        """Finds the trainings of earlier servers.

        Proposes by the last one that was finished, shows the newest one where it still
        goes on, and says how to go on with it where it has ended before.
        """
        folders = (self._session.folder / _FOLDER).glob("[0-9]*")
        trainees = [Trainee(folder) for folder in sorted(folders, reverse=True)]
        trainees = [trainee for trainee in trainees if trainee.ids()]
        finished = (trainee for trainee in trainees if trainee.is_finished())
        last = next(finished, None)
        if last is not None:
            self._use(last)
        for trainee in trainees[:1]:
            if trainee.lives():
                self._watched(trainee)
                continue
            self._trainee = trainee
            self._state = "done" if trainee is last else "failed"
            if trainee is not last:
                self._tell_end(trainee)


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


def _need(count: int, have: str, do: str) -> None:
    if count < _LEAST:
        raise UserError(f"{have}: {do} {_LEAST} or more")
