"""What the command lines share: a user's mistake is one line and exit code 1."""

import logging
import os
import re
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Any

import ml_collections
from absl import flags
from ml_collections import config_flags

from ppcjax import checkout
from ppcjax.console import logged, memory, raw, screen
from ppcjax.errors import UserError

HELP = frozenset(("--help", "-h"))
# Files whose lines in a traceback are not those of a config.
_LIBRARIES = (ml_collections.__file__, flags.__file__, __file__)
_NOT_OF_CONFIGS = ("<frozen", *(os.path.dirname(file) + os.sep for file in _LIBRARIES))


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
        _fail(_one_line(error))
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


def define_config(argv: Sequence[str]) -> flags.FlagValues:
    """Flags of which "config" reads a file, and what is given for its fields.

    Args:
        argv: arguments as `config_first` orders them.

    Raises:
        UserError: a file of flags cannot be read.
    """
    values = flags.FlagValues()
    typed = ["ppcjax", *argv]
    try:
        config_flags.DEFINE_config_file(
            "config", flag_values=values, lock_config=True, sys_argv=typed
        )
    except flags.Error as error:
        raise UserError(_one_line(error)) from error
    return values


def parse(argv: Sequence[str], values: flags.FlagValues) -> None:
    """Reads the flags.

    Misspelt flags or fields of the config, values of the wrong type, and a config that
    cannot be read are one line each.

    Args:
        argv: arguments as `config_first` orders them.
        values: the flags, which are filled.

    Raises:
        UserError: something in it is wrong.
    """
    try:
        rest = values(["ppcjax", *argv])[1:]
    except flags.Error as error:
        raise UserError(_one_line(error)) from error
    except Exception as error:
        if len(argv) > 1:
            # What is given for its fields fails, too, where the config itself does.
            parse(argv[:1], define_config(argv[:1]))
        raise UserError(_of_config(argv, error)) from error
    _check_made(argv[0], values.config)
    if rest:
        raise UserError(
            f"unexpected argument {rest[0]!r}; options begin with --, and a pattern "
            "such as 'photos/*.jpg' needs quotes"
        )


def underscored(argv: Sequence[str]) -> list[str]:
    """Arguments in which --on-bad-image is --on_bad_image; values stay as they are."""
    return [
        re.sub(r"^--[\w.-]+", lambda m: "--" + m[0][2:].replace("-", "_"), word)
        for word in argv
    ]


def config_first(argv: Sequence[str]) -> list[str]:
    """Arguments with --config=FILE in front, also where a shipped config is named.

    Raises:
        UserError: there is no such config, or several are given.
    """
    named, rest = [], []
    words = iter(argv)
    for word in words:
        name, equals, value = word.partition("=")
        if name not in ("--config", "-config"):
            rest.append(word)
        elif equals:
            named.append(value)
        else:
            named.append(next(words, ""))
    if len(named) > 1:
        raise UserError(f"--config is given more than once: {', '.join(named)}")
    return [f"--config={checkout.config_file(name)}" for name in named] + rest


def _check_type(argv: Sequence[str], config: Any) -> None:
    if not isinstance(config, ml_collections.ConfigDict):
        raise UserError(
            f"{argv[0]}: its get_config() returns no ml_collections.ConfigDict"
        )


def _check_made(given: str, config: Any) -> None:
    """Raises a UserError where what was read is no config."""
    try:
        # In the place of a file that cannot be opened stands what raises on use.
        getattr(config, "name", None)
    except OSError as error:
        raise UserError(f"{given}: {error.__cause__}") from error
    if not isinstance(config, ml_collections.ConfigDict):
        raise UserError(f"{given}: get_config() returns no ml_collections.ConfigDict")


def _of_config(argv: Sequence[str], error: Exception) -> str:
    """What to say of an error that a config raises, or what is given for its fields."""
    own = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith(_NOT_OF_CONFIGS)
    ]
    if not own and isinstance(error, AttributeError | KeyError | TypeError):
        if "has no attribute 'get_config'" in str(error):
            return f"{argv[0]}: there is no function get_config in it"
        return _unknown_field(argv, str(error))
    place = f" ({own[-1].filename}, line {own[-1].lineno})" if own else ""
    return f"{argv[0]}: {type(error).__name__}: {_one_line(error)}{place}"


def _unknown_field(argv: Sequence[str], error: str) -> str:
    hint = re.search(r'Did you mean "([^"]+)"', error)
    quoted = re.findall(r"'(\w+)'", error.replace("\\", "").partition("\n")[0])
    overrides = [a for a in argv if re.match(r"--(no)?config\.", a)]
    named = [a for a in overrides if quoted and re.search(rf"\.{quoted[0]}\b", a)]
    return f"{' '.join(named or overrides)}: the config has no such field" + (
        f"; did you mean {hint.group(1)!r}?" if hint else ""
    )


def _one_line(error: BaseException) -> str:
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
