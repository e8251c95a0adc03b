"""What the command lines share: a user's mistake is one line and exit code 1."""

import logging
import os
import re
import signal
import sys
from collections.abc import Callable, Sequence

from ppcjax.cli.kept import keep_compiled_programs
from ppcjax.cli.limits import raise_open_files
from ppcjax.console import disk, logged, memory, plain, raw, screen, signals
from ppcjax.errors import UserError

__all__ = [
    "HELP",
    "as_one_line",
    "complain",
    "keep_compiled_programs",
    "one_line",
    "underscored",
]

HELP = frozenset(("--help", "-h"))
_MOST = 300  # letters of what a library says


@plain.streams()
def one_line(main: Callable[..., None], *arguments) -> None:
    """Calls `main`; a `UserError` becomes one line on stderr and exit code 1.

    So do a lack of memory, signals and what the system says of a file, a full disk or
    stdout, and what libraries write past Python is kept off a terminal. The program
    ends without a word where nobody reads its stdout any more.
    """
    with signals.caught(), signals.ends_soon():
        try:
            _one_line(main, *arguments)
        except (KeyboardInterrupt, Exception) as error:
            raised = signals.raised()
            if raised is None and not isinstance(error, KeyboardInterrupt):
                raise
            # Libraries may have made another error of it.
            number = raised or signal.SIGINT
            screen.line(signals.line(number))
            signals.end_by(number)
        if signals.raised():  # and nobody heard it
            screen.line(signals.line(signals.raised()))
            signals.end_by(signals.raised())
        if signals.due():
            signals.end_by(signals.due())


def _one_line(main: Callable[..., None], *arguments) -> None:
    # absl lets every library talk; what concerns the user is printed by ppcjax.
    logging.getLogger("jax").setLevel(logging.WARNING)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # and its two lines
    screen.write_all()
    try:
        with (
            raw.aside(),
            logged.as_lines(),
            memory.guarded("working", ["take less at a time"]),
        ):
            try:
                raise_open_files()
                main(*arguments)
            finally:
                if sys.stdout:
                    sys.stdout.flush()
    except UserError as error:
        _fail(as_one_line(error))
    except OSError as error:
        refusal = disk.refusal(error)
        if error.errno is None and refusal is None:
            raise
        _end_stdout()
        if isinstance(error, BrokenPipeError):
            sys.exit(141)  # as the shell says of SIGPIPE: head has seen enough
        where = f"{error.filename}: " if error.filename else ""
        said = f"{refusal.what}; {refusal.advice}" if refusal else error.strerror
        _fail(f"{where}{said}")
    except Exception as error:
        # What pathlib says of ~NAME where there is no such user.
        if isinstance(error, RuntimeError) and "home directory" in str(error):
            _fail(
                "a path begins with ~ and a name that is no user here; write it in full"
            )
        if isinstance(error, RuntimeError) and "Symlink loop" in str(error):
            _fail(f"{str(error).removeprefix('Symlink loop from ')}: a link to itself")
        # What libraries in C++ say of a disk.
        refusal = disk.refusal(error)
        if refusal is None:
            raise
        where = " ".join(str(error).split())[:_MOST]
        _fail(f"{refusal.what}; {refusal.advice} ({where})")


def _end_stdout() -> None:
    """Drops what stdout does not take, which Python would complain of once more."""
    try:
        if sys.stdout:
            sys.stdout.flush()
    except OSError:
        sys.stdout = None


def underscored(argv: Sequence[str]) -> list[str]:
    """Arguments in which --on-bad-image is --on_bad_image; values stay as they are."""
    return [
        re.sub(r"^--[\w.-]+", lambda m: "--" + m[0][2:].replace("-", "_"), word)
        for word in argv
    ]


def as_one_line(error: BaseException) -> str:
    """The text of an error without its line feeds."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if len(lines) > 1 and "parsing config file" in lines[0]:
        # Drops the traceback between, and the name of its last line.
        where = lines[0].removeprefix("flag ").partition(": Error whilst")[0]
        return f"{where}: {lines[-1].removeprefix('ValueError: ')}"
    # What Python says of its own nodes is of no use.
    return re.sub(r": ValueError\('malformed node.*", "", " ".join(lines))


def complain(message: str) -> None:
    """Prints an error as all of them are printed, if stderr takes it."""
    try:
        print(f"error: {plain.line(message)}", file=sys.stderr, flush=True)
    except OSError:  # its disk is full, too, or nobody reads it: the code says it
        sys.stderr = None


def _fail(message: str) -> None:
    complain(message)
    sys.exit(1)
