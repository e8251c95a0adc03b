"""Commands in processes that are forked after all imports, so that each costs little.

    python -m tests.faults.forker

A line on stdin is a task, as JSON: the words of a command, the folder it runs in, its
log, and after how many seconds it is killed with all that it started. The answer is a
line, too: how it ended, and after how long.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path
from typing import NamedTuple
from unittest import mock

ROOT = Path(__file__).resolve().parents[2]


class Ended(NamedTuple):
    """How a command ended.

    code: exit code; -9 where it was killed.
    seconds: how long it ran.
    said: what it printed.
    """

    code: int
    seconds: float
    said: str


class Forker:
    """The process that forks; close it when all is done."""

    def __init__(self, cache):
        environment = {
            **os.environ,
            "JAX_PLATFORMS": "cpu",
            "JAX_NUM_CPU_DEVICES": "1",
            "JAX_COMPILATION_CACHE_DIR": str(cache),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.forker"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, words, folder, *, after=None, env=None) -> Ended:
        """Runs a command to its end, or until it is killed.

        Args:
            words: what is typed behind `ppcjax`, or "toy" and words of
                tests/train/toy.py.
            folder: where it runs.
            after: seconds until it is killed; None: never.
            env: environment variables besides.
        """
        log = Path(folder) / "log.out"
        log.write_text("")
        task = {"words": [*map(str, words)], "folder": str(folder), "log": str(log)}
        task |= {"after": after, "env": env or {}}
        self._process.stdin.write(json.dumps(task) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        return Ended(answer["code"], answer["seconds"], log.read_text(errors="replace"))

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait()


def main() -> None:
    for line in sys.stdin:
        task = json.loads(line)
        begun = time.perf_counter()
        child = os.fork()
        if not child:
            _as_child(task)
        code = _ended(child, task["after"], begun)
        seconds = time.perf_counter() - begun
        print(json.dumps({"code": code, "seconds": seconds}), flush=True)


def _ended(child, after, begun) -> int:
    """Exit code of a child, which is killed after so many seconds."""
    while after is not None and time.perf_counter() - begun < after:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        time.sleep(min(0.001, after))
    if after is not None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child, signal.SIGKILL)
        os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _as_child(task) -> None:
    """Runs a task and ends the process."""
    code = 1
    try:
        os.setsid()
        log = os.open(task["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for stream in (1, 2):
            os.dup2(log, stream)
        os.chdir(task["folder"])
        os.environ.update(task["env"])
        if task["env"].get("TORN"):
            os.replace = _torn
        _run(task["words"])
        code = 0
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _torn(source, target) -> None:
    """What `os.replace` is not: files grow under their final names, masks for ever."""
    content = Path(source).read_bytes()
    with open(target, "wb") as file:
        file.write(content[: len(content) // 2])
        file.flush()
        time.sleep(600 if Path(target).suffix == ".png" else 0)
        file.write(content[len(content) // 2 :])
    os.unlink(source)


def _run(words) -> None:
    from ppcjax import program
    from ppcjax.evaluate import opening
    from tests.program.toy import make_run
    from tests.train import toy

    if words[0] == "toy":
        toy.main(words[1:])
        return
    if "RUN" in words or "--ckpt=RUN" in words:  # one that sees colours
        run = make_run(Path("RUN"))
        opened = mock.patch.object(opening, "open_any", lambda *_, **__: run)
    else:
        opened = contextlib.nullcontext()
    kept = mock.patch("ppcjax.cli.keep_compiled_programs")
    # The checkout may move on between two commands.
    same = mock.patch("ppcjax.runs.provenance.commit", lambda: "0" * 40)
    with opened, kept, same:
        program.main(*words)


def _import_all() -> None:
    """What commands import when they run; no device may be touched before a fork."""
    import importlib

    from jax._src import xla_bridge

    for name in (
        *("ppcjax.program." + word for word in ("eval", "predict", "score", "weights")),
        *("ppcjax.evaluate.command", "ppcjax.evaluate.predicting"),
        *("ppcjax.runs", "ppcjax.weights.writers", "ppcjax.predict.export"),
        *("tests.train.toy", "tests.program.toy", "tests.small_methods"),
    ):
        importlib.import_module(name)
    assert not xla_bridge.backends_are_initialized()


if __name__ == "__main__":
    _import_all()
    main()
