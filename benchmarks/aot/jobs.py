"""Compiles as jobs: each is a process with a limit, its result a file that stays."""

import dataclasses
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parents[1] / "results" / "aot"
ROOT = RESULTS.parents[2]
# What the compiler asks of a machine that has no TPU.
NO_TPU = {
    "JAX_PLATFORMS": "cpu",
    "TPU_SKIP_MDS_QUERY": "1",
    "TPU_ACCELERATOR_TYPE": "v5litepod-16",
    "TPU_WORKER_HOSTNAMES": "localhost",
    "TPU_WORKER_ID": "0",
}


@dataclasses.dataclass(frozen=True)
class Job:
    """A step to be compiled.

    config: path of the config, with its variant, as benchmarks.config reads it.
    topology: chips, such as "v5e:16x16".
    classes: C.
    batch_per_chip: images or episodes on each chip.
    effort: how hard the compiler searches, -1 to 1; 0 is its default.
    """

    config: str
    topology: str
    classes: int
    batch_per_chip: int
    effort: float

    @property
    def name(self) -> str:
        """Name that files and messages have."""
        config = re.sub(r"\.(py|json)", "", Path(self.config).name).replace(":", "_")
        return f"{config}-{self.topology.replace(':', '_')}"

    def file(self, folder: Path) -> Path:
        """Its result in a folder."""
        return folder / f"{self.name}.json"

    def options(self) -> list[str]:
        """Itself as options of a command line."""
        pairs = dataclasses.asdict(self).items()
        return [f"--{name}={value}" for name, value in pairs]


class Failed(Exception):
    """A compile that gave no program; its text says why, in one line."""


def is_done(job: Job, file: Path, limit: float) -> bool:
    """Whether a file has what a job would find: its settings, and a limit as long."""
    if not file.is_file():
        return False
    record = json.loads(file.read_text())
    same = record["job"] == dataclasses.asdict(job)
    return same and ("failed" not in record or record["limit_s"] >= limit)


def run(
    job: Job,
    file: Path,
    *,
    limit: float,
    command: str,
    compile_in: Callable[[Job, float], dict[str, Any]],
) -> dict[str, Any]:
    """Compiles one job and writes its result, a failure too.

    Args:
        job: what is compiled.
        file: the JSON.
        limit: seconds that it may take.
        command: command line that a reader would repeat it with.
        compile_in: (job, limit) -> what was found; raises Failed.
    """
    record = {
        "command": command,
        "commit": commit(),
        "job": dataclasses.asdict(job),
        "limit_s": limit,
    }
    try:
        record |= compile_in(job, limit)
    except Failed as error:
        record["failed"] = str(error)
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".part")
    part.write_text(json.dumps(record, indent=1) + "\n")
    part.replace(file)  # a file is whole or not there
    return record


def in_process(job: Job, limit: float, *more: str) -> dict[str, Any]:
    """What `benchmarks.aot.compiling` finds in a process of its own.

    Args:
        job: what is compiled.
        limit: seconds until the process is ended.
        *more: further options of it.

    Raises:
        Failed: it did not end in time, or gave an error.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "found.json"
        command = [sys.executable, "-m", "benchmarks.aot.compiling", *job.options()]
        try:
            done = subprocess.run(
                [*command, f"--json={file}", *more],
                env=os.environ | NO_TPU,
                cwd=ROOT,
                stderr=subprocess.PIPE,
                text=True,
                timeout=limit,
            )
        except subprocess.TimeoutExpired as error:
            raise Failed(f"not compiled in {limit:.0f} s") from error
        if done.returncode:
            raise Failed(why(done.stderr, done.returncode))
        return json.loads(file.read_text())


def why(text: str, code: int) -> str:
    """The error in what a process wrote, in one line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if re.match(r"[\w.]*(Error|Exception)\b", line)]
    last = (errors or lines or [f"the process ended with {code}"])[-1]
    return last[:300]


def commit() -> str | None:
    """Commit of the checkout, with "+" where files of the program differ from it."""
    head = ["git", "rev-parse", "--short", "HEAD"]
    changed = ["git", "status", "--porcelain", "ppcjax", "configs"]
    found = [
        subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
        for words in (head, changed)
    ]
    name = found[0].stdout.strip()
    return (name + ("+" if found[1].stdout.strip() else "")) or None
