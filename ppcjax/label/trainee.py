"""A training in its folder, whichever server has begun it: it outlives a kill of that.

Its process is written down beside what it says, so that the next server finds it; who
goes on with it in a terminal is found by the lock of the run.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ppcjax.console import writing
from ppcjax.runs import checked, holder, lock
from ppcjax.types import UserError

_LOG, _IDS, _PROCESS = "log.txt", "ids.json", "process.json"
_FINISHED = "finished"  # how what a run says in the end begins
_AGAIN = "is finished: "  # what one says that was finished before
_DATED = len("2026-01-01 00:00:00 ")  # before a line of the run's own log
_LAST = 2000  # bytes of what a run said that are looked at


class Trainee:
    """A training; what is known of it lies in its folder.

    folder: what it learns from, and the files of this module.
    run: folder of the run.
    """

    def __init__(self, folder: Path):
        """In a folder, which may not be there yet."""
        self.folder, self.run = folder, folder / "run"
        self._process: subprocess.Popen | None = None

    def begin(
        self,
        words: Sequence[str],
        ids: dict[int, int],
        start: Callable[..., subprocess.Popen],
    ) -> None:
        """Starts it, or goes on with it.

        Args:
            words: arguments of `ppcjax`.
            ids: id of each class in the session -> id in the run.
            start: starts a process.

        Raises:
            UserError: the disk refuses.
        """
        self._write(_IDS, ids)
        self._write(_PROCESS, {"words": list(words)})
        with contextlib.closing(writing.Appending(self.folder / _LOG)) as log:
            self._process = start(
                [sys.executable, "-m", "ppcjax", *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        one = holder.of(self._process.pid)
        self._write(_PROCESS, {"words": list(words), **one._asdict()})

    def _write(self, name: str, content: Any) -> None:
        writing.write_file(self.folder / name, json.dumps(content).encode())

    def _read(self, name: str) -> dict[str, Any]:
        with contextlib.suppress(OSError, ValueError, UserError):
            found = checked.read_json(self.folder / name)
            return found if isinstance(found, dict) else {}
        return {}

    def words(self) -> list[str]:
        """Arguments of `ppcjax` that it was started with; none where not known."""
        found = self._read(_PROCESS).get("words")
        good = isinstance(found, list) and all(isinstance(word, str) for word in found)
        return found if good else []

    def ids(self) -> dict[int, int]:
        """Id of each class in the session -> id in the run; empty where not known."""
        try:
            return {int(key): int(value) for key, value in self._read(_IDS).items()}
        except (ValueError, TypeError):
            return {}

    def pid(self) -> int:
        """Number of the process that a server began and that lives; 0 for none."""
        if self._process is not None:
            return self._process.pid if self._process.poll() is None else 0
        noted = self._read(_PROCESS)
        try:
            names = holder.Holder._fields[1:]
            one = holder.Holder(int(noted["pid"]), *(str(noted[x]) for x in names))
        except (LookupError, ValueError, TypeError):
            return 0
        return one.pid if one.pid > 0 and holder.lives(one, False) else 0

    def lives(self) -> bool:
        """Whether somebody trains the run now."""
        if self.pid():
            return True
        try:
            lock.check(self.run)
        except UserError:
            return True
        return False

    def wait(self, seconds: float) -> bool:
        """Whether it lives still after so many seconds; comes back when it ends."""
        if self._process is None:
            time.sleep(seconds)
        else:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(seconds)
        return self.lives()

    def stop(self) -> bool:
        """Asks a process that a server began to save and end; whether it lives."""
        pid = self.pid()
        if pid:
            with contextlib.suppress(OSError):  # it has just ended
                os.kill(pid, signal.SIGTERM)
        return bool(pid)

    def is_finished(self) -> bool:
        """Whether all steps are made, or patience ended them."""
        lines = [line for line, _ in self._lines()]
        return any(line.startswith(_FINISHED) or _AGAIN in line for line in lines)

    def _lines(self) -> list[tuple[str, float]]:
        """The last lines of the process's words and of the run's log, with their age.

        Who goes on in a terminal has only the run's log.
        """
        found = []
        for file, dated in ((self.folder / _LOG, 0), (self.run / _LOG, _DATED)):
            with contextlib.suppress(OSError, UserError):
                lines = checked.read_bytes(file)[-_LAST:].decode(errors="replace")
                changed = file.stat().st_mtime
                found += [(line[dated:], changed) for line in lines.splitlines()]
        return found

    def progress(self) -> dict[str, Any]:
        """How far it is, by what it noted.

        Returns:
            {"step": number or None, "steps": number or None, "said": last line or ""}.
        """
        found: dict[str, Any] = {"step": None, "steps": None, "said": ""}
        lines = self._lines()
        if lines:
            newest = max(changed for _, changed in lines)
            found["said"] = [line for line, changed in lines if changed == newest][-1]
        with contextlib.suppress(
            OSError, ValueError, LookupError, TypeError, AttributeError, UserError
        ):
            config = checked.read_json(self.run / "config.json")
            found["steps"] = config.get("steps")
            noted = checked.read_bytes(self.run / "metrics.jsonl").splitlines()
            found["step"] = checked.parse(noted[-1])["step"]
        return found
