"""Processes that hold a folder, forked from one that has its libraries loaded.

It reads lines "run FOLDER" and "results FOLDER", and prints the number of the process
that holds the folder then, or "0 MESSAGE" where it is refused.
"""

import os
import sys
import time
from pathlib import Path

from ppcjax.runs import lock
from ppcjax.types import UserError


def _hold(kind: str, folder: Path, answer: int) -> None:
    way = {"run": lock.held, "results": lock.written}[kind]
    try:
        with way(folder):
            os.write(answer, f"{os.getpid()}\n".encode())
            time.sleep(120)
    except UserError as error:
        os.write(answer, f"0 {error}\n".encode())


def main() -> None:
    """Answers until its input ends."""
    for line in sys.stdin:
        kind, folder = line.rstrip("\n").split(" ", 1)
        reader, writer = os.pipe()
        if not os.fork():
            os.close(reader)
            sys.stdin.close()
            _hold(kind, Path(folder), writer)
            os._exit(0)
        os.close(writer)
        with os.fdopen(reader) as answer:
            print(answer.readline(), end="", flush=True)


if __name__ == "__main__":
    main()
