"""What the command lines share: a user's mistake is one line and exit code 1."""

import logging
import os
import re
import sys
from collections.abc import Callable, Sequence

from ppcjax.console import logged, memory, raw, screen
from ppcjax.errors import UserError

HELP = frozenset(("--help", "-h"))


def one_line(main: Callable[..., None], *arguments) -> None:
    """Calls `main`; a `UserError` becomes one line on stderr and exit code 1.

    So do a lack of memory, Ctrl-C and what the system says of a file, a full disk or
    stdout, and what libraries write past Python is kept off a terminal. The program
    ends without a word where nobody reads its stdout any more.
    """
    # absl lets every library talk; what concerns the user is printed by ppcjax.
    logging.getLogger("jax").setLevel(logging.WARNING)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # and its two lines
    screen.write_all()
    try:
        with raw.aside(), logged.as_lines(), memory.guarded("working"):
            try:
                main(*arguments)
            finally:
                if sys.stdout:
                    sys.stdout.flush()
    except UserError as error:
        _fail(as_one_line(error))
    except KeyboardInterrupt:
        screen.line("stopped by Ctrl-C")
        sys.exit(130)
    except OSError as error:
        if error.errno is None:
            raise
        _end_stdout()
        if isinstance(error, BrokenPipeError):
            sys.exit(141)  # as the shell says of SIGPIPE: head has seen enough
        where = f"{error.filename}: " if error.filename else ""
        _fail(f"{where}{error.strerror}")
    except RuntimeError as error:
        # What pathlib says of ~NAME where there is no such user.
        if "home directory" not in str(error):
            raise
        _fail("a path begins with ~ and a name that is no user here; write it in full")


def _end_stdout() -> None:
    """Drops what stdout does not take, which Python would complain of once more."""
    try:
        if sys.stdout:
            sys.stdout.flush()
    except OSError:
        sys.stdout = None


def keep_compiled_programs() -> None:
    """Lets a second run of the same program start without compiling it again."""
    import jax  # not needed to read the flags

    folder = os.environ.get("JAX_COMPILATION_CACHE_DIR", "~/.cache/ppcjax")
    jax.config.update("jax_compilation_cache_dir", os.path.expanduser(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)


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
    """Prints an error as all of them are printed."""
    print(f"error: {message}", file=sys.stderr, flush=True)


def _fail(message: str) -> None:
    complain(message)
    sys.exit(1)
