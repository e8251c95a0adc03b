"""Runs commands and snippets of pages, each in a process of its own.

python -m tests.docs.runner     reads jobs from stdin, a line of JSON each, and answers

Each job is a fork of this process, which has imported the libraries and done nothing
with them yet, so that it begins at once.
"""

import contextlib
import json
import os
import runpy
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any, NamedTuple

from tests.docs.blocks import ROOT

ENVIRONMENT = {
    "JAX_PLATFORMS": "cpu",
    "JAX_NUM_CPU_DEVICES": "1",
    "XLA_FLAGS": "--xla_backend_optimization_level=0",
    "JAX_COMPILATION_CACHE_DIR": str(ROOT / ".cache" / "jax"),
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TF_ENABLE_ONEDNN_OPTS": "0",
}
LOG = ".output"  # what the last job of a folder said


class Done(NamedTuple):
    """How a job ended.

    code: exit code; 0 where all went well.
    output: what it said, both streams.
    seconds: time of the processor that it took.
    """

    code: int
    output: str
    seconds: float


class Runner:
    """The warm process; used as a context."""

    def __enter__(self) -> "Runner":
        """Starts it."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.docs.runner"],
            cwd=ROOT,
            env={**os.environ, **ENVIRONMENT},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(self, *_) -> None:
        """Ends it."""
        self._process.stdin.close()
        self._process.wait(60)

    def _ask(self, **job: Any) -> Done:
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        return Done(**json.loads(self._process.stdout.readline()))

    def run(self, words: list[str], folder: Path, environment: dict) -> Done:
        """Runs a command, "python ..." or "ppcjax ...", in a folder."""
        return self._ask(words=words, folder=str(folder), environment=environment)

    def execute(self, snippets: list[tuple[str, int, str]], folder: Path) -> Done:
        """Runs snippets one after the other in one namespace.

        Args:
            snippets: page, line and text of each.
            folder: where they run.
        """
        return self._ask(snippets=snippets, folder=str(folder), environment={})


def _serve() -> None:
    import importlib

    for name in ("train.loop", "evaluate.command", "predict.photos", "program.train"):
        importlib.import_module(f"ppcjax.{name}")
    for name in ("tensorflow", "tensorflow_datasets", "orbax.checkpoint"):
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    for line in sys.stdin:
        print(json.dumps(_forked(json.loads(line))._asdict()), flush=True)


def _forked(job: dict[str, Any]) -> Done:
    log = Path(job["folder"]) / LOG
    child = os.fork()
    if not child:
        code = 1
        try:
            code = _inside(job, log)
        finally:
            os._exit(code)
    _, status, used = os.wait4(child, 0)
    said = log.read_text(errors="replace")
    return Done(os.waitstatus_to_exitcode(status), said, used.ru_utime + used.ru_stime)


def _inside(job: dict[str, Any], log: Path) -> int:
    """The child: its streams go to a file, and it becomes what the job names."""
    with log.open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.environ.update(job["environment"], HOME=str(Path(job["folder"]) / "home"))
    os.chdir(job["folder"])
    try:
        if "snippets" in job:
            _execute(job["snippets"])
        else:
            _become(job["words"])
    except SystemExit as error:
        if isinstance(error.code, str):
            print(error.code, file=sys.stderr)
        return error.code if isinstance(error.code, int) else int(bool(error.code))
    except BaseException:
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


def _become(words: list[str]) -> None:
    from ppcjax import checkout

    checkout.CONFIGS = Path("configs").resolve()
    first, *rest = words
    if first == "python" and rest[0] == "-m" and rest[1] != "ppcjax":
        sys.argv = [rest[1], *rest[2:]]
        runpy.run_module(rest[1], run_name="__main__", alter_sys=True)
    elif first == "python" and rest[0] != "-m":
        sys.argv = rest
        runpy.run_path(str(ROOT / rest[0]), run_name="__main__")
    else:
        from ppcjax import program

        sys.argv = ["ppcjax", *(rest if first == "ppcjax" else rest[2:])]
        program.main()


def _execute(snippets: list[tuple[str, int, str]]) -> None:
    space: dict[str, Any] = {"__name__": "__main__"}
    for page, line, text in snippets:
        # Empty lines before it, so that an error names the line of the page.
        exec(compile("\n" * (line - 1) + text, page, "exec"), space)


if __name__ == "__main__":
    _serve()
