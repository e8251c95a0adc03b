"""The command `ppcjax`: a word for each thing that it does.

Each word is a module here with `main(argv)`, whose docstring is what --help says; they
are thin over the functions that train.py and eval.py call, too.
"""

import importlib
import os
import sys
from collections.abc import Callable

from ppcjax import cli
from ppcjax.console import allocator, screen, signals
from ppcjax.errors import UserError
from ppcjax.version import __version__

# Word -> what it does, in the order of --help.
COMMANDS = {
    "train": "trains what a config describes",
    "eval": "evaluates a run: scores, masks and a report",
    "predict": "segments photos of your own: masks, overlays and a table",
    "label": "marks on a few photos become masks of all, on a page",
    "score": "compares two folders of masks",
    "inspect": "shows what is read of a folder, without training",
    "weights": "lists and fetches published weights",
}
# Those that compute, and gain from the memory of `ppcjax.console.allocator`.
_COMPUTE = ("train", "eval", "predict", "label")
# What SciPy's LAPACK, in which JAX solves systems on CPUs, reads when it is loaded.
_THREADS = ("OPENBLAS_NUM_THREADS", "GOTO_NUM_THREADS", "OMP_NUM_THREADS")


def main(*argv: str) -> None:
    """Does what the arguments ask for; without any, those of the process."""
    if not argv:
        signals.as_program()
    words = list(argv) or sys.argv[1:]
    if _computes(words):
        _solve_in_one_thread()
        allocator.start_anew()
    cli.one_line(_run, words)


def _solve_in_one_thread() -> None:
    """Keeps threads from waiting for each other longer than one of them computes.

    Systems of a few hundred equations take a millisecond so, and up to hundreds of
    them in as many threads as a busy machine has cores. What the user set stays.
    """
    if not any(name in os.environ for name in _THREADS):
        os.environ[_THREADS[0]] = "1"


def _computes(words: list[str]) -> bool:
    """Whether a command line asks for more than a text."""
    asks = {"--inspect", *cli.HELP}
    return bool(words) and words[0] in _COMPUTE and not asks & set(words)


def _run(argv: list[str]) -> None:
    word, *rest = argv or ["--help"]
    if word in ("--help", "-h"):
        print(help_text())
    elif word == "--version":
        print(f"ppcjax {__version__}")
    else:
        if _computes(argv):
            allocator.check()
        with screen.Row("loading libraries"):
            main = command(word)
        main(rest)


def command(word: str) -> Callable[[list[str]], None]:
    """What a word does: a function of the arguments behind it.

    Raises:
        UserError: there is no such word.
    """
    if word not in COMMANDS:
        raise UserError(
            f"{word!r} is no command of ppcjax; there are {', '.join(COMMANDS)}, and "
            "--help"
        )
    return importlib.import_module(f"ppcjax.program.{word}").main


def help_text() -> str:
    """What --help says."""
    width = max(map(len, COMMANDS)) + 2
    lines = [f"  {word:<{width}}{text}" for word, text in COMMANDS.items()]
    return "\n".join(
        [
            "usage: ppcjax COMMAND [ARGUMENTS]",
            "",
            *lines,
            "",
            "ppcjax COMMAND --help says more; ppcjax --version.",
        ]
    )
