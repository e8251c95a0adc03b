"""A side of a race in a process of its own, which runs when it is told to.

Two frameworks in one process disturb each other on a CPU: their threads and what they
keep of the memory. Apart, each has the machine while the other waits for a line, and
its process tells what it held at most.
"""

import json
import os
import re
import resource
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from ppcjax.types import UserError


class Apart:
    """A side, see `benchmarks.sides`, in a child process.

    name: the side's name.
    command: a program that calls `serve`.
    environment: variables of the child besides those of this process.
    """

    def __init__(
        self, name: str, command: Sequence[str], environment: Mapping[str, str]
    ):
        self.name, self.command = name, list(command)
        self.environment = dict(environment)
        self.loss = self.program = self.child = None

    def start(self) -> float:
        """Starts the child; seconds that its side took to be ready.

        Raises:
            RuntimeError: it could not; with the child's own words.
        """
        self.child = subprocess.Popen(
            self.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | self.environment,
        )
        try:
            return self._ask("start")["seconds"]
        except UserError as error:
            self.close()
            raise RuntimeError(str(error)) from error

    def run(self, steps: int) -> float:
        """Takes steps in the child, one after the other; seconds of these alone.

        Raises:
            UserError: the child failed or ended.
        """
        return self._ask(f"run {steps}")["seconds"]

    def memory(self) -> float | None:
        """MiB that the child held at most, libraries and all."""
        return self._ask("memory")["peak_mib"]

    def close(self) -> None:
        """Ends the child."""
        if self.child is None:
            return
        self.child.stdin.close()
        self.child.wait()
        self.child.stdout.close()
        self.child = None

    def _ask(self, line: str) -> dict[str, Any]:
        """The child's answer to a line."""
        try:
            self.child.stdin.write(line + "\n")
            self.child.stdin.flush()
            text = self.child.stdout.readline()
        except BrokenPipeError:
            text = ""
        if not text:
            status = self.child.wait()
            raise UserError(
                f"{self.name}: its process ended with status {status} at {line!r}; "
                "for -9 memory was short: take a smaller --batch or --crop"
            )
        answer = json.loads(text)
        if "error" in answer:
            raise UserError(f"{self.name}: {answer['error']}")
        self.loss = answer.get("loss", self.loss)
        self.program = answer.get("program_mib", self.program)
        return answer


def serve(side: Any, lines: TextIO, answers: TextIO) -> None:
    """Does what the lines say, and answers each by a line of JSON, until they end.

    Args:
        side: one of `benchmarks.sides`.
        lines: "start", "run N" or "memory".
        answers: where answers go; nothing else may be written there.
    """
    for line in lines:
        word, _, number = line.strip().partition(" ")
        try:
            if word == "memory":
                answer = {"peak_mib": peak_mib()}
            else:
                seconds = side.start() if word == "start" else side.run(int(number))
                answer = {"seconds": seconds, "loss": side.loss}
                answer["program_mib"] = side.program
        except Exception as error:  # such as too little memory: said where it is asked
            text = f"{type(error).__name__}: {error}".splitlines()[0][:300]
            answer = {"error": text}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def own_stdout() -> TextIO:
    """The standard output for answers; what else is printed goes to the errors."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return answers


def peak_mib() -> float:
    """MiB that this process held at most."""
    status = Path("/proc/self/status")
    if status.exists():  # on Linux, where ru_maxrss begins with that of the parent
        peak = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
        if peak:
            return int(peak[1]) / 1024
    unit = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss, in bytes
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20
