"""What the command lines share: a user's mistake is one line and exit code 1."""

import logging
import os
import re
import sys
from collections.abc import Callable, Sequence

from absl import app, flags

from ppcjax import checkout
from ppcjax.console import memory, raw, screen
from ppcjax.errors import UserError

HELP = frozenset(("--help", "-h"))


def run(main: Callable[[list[str]], None], help_text: Callable[[], str]) -> None:
    """Parses the flags, runs `main` and exits; absl's `app.run` with short errors.

    `help_text` is what --help says, beside a --config of the settings in it.

    Misspelt flags or config fields, values of the wrong type, a config file that
    does not exist and every `UserError` become "error: ..." on stderr and exit
    code 1. Anything else is a defect of ppcjax and keeps its traceback.
    """

    def guarded(argv):
        if len(argv) > 1:
            _fail(
                f"unexpected argument {argv[1]!r}; options begin with --, and a "
                "pattern such as 'photos/*.jpg' needs quotes"
            )
        try:
            one_line(main, argv)
        except OSError as error:
            # ml_collections reports a missing config file when it is first read.
            _fail(missing_config(error))

    if HELP & set(sys.argv):
        argv = [word for word in sys.argv if word not in HELP]
        if len(argv) > 1:
            parse(argv)
        else:
            flags.FLAGS.mark_as_parsed()
        one_line(lambda: print(help_text()))
        return
    app.run(guarded, flags_parser=parse)


def run_options(main: Callable[[list[str]], None]) -> None:
    """Calls `main` with the arguments of the process, and exits; errors are short."""
    one_line(main, sys.argv[1:])


def one_line(main: Callable[..., None], *arguments) -> None:
    """Calls `main`; a `UserError` becomes one line on stderr and exit code 1.

    So do a lack of memory and Ctrl-C, and what libraries write past Python is kept off
    a terminal.
    """
    # absl lets every library talk; what concerns the user is printed by ppcjax.
    logging.getLogger("jax").setLevel(logging.WARNING)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # and its two lines
    screen.write_all()
    try:
        with raw.aside(), memory.guarded("working"):
            main(*arguments)
    except UserError as error:
        _fail(_one_line(error))
    except KeyboardInterrupt:
        screen.line("stopped by Ctrl-C")
        sys.exit(130)
    except RuntimeError as error:
        # What pathlib says of ~NAME where there is no such user.
        if "home directory" not in str(error):
            raise
        _fail("a path begins with ~ and a name that is no user here; write it in full")


def keep_compiled_programs() -> None:
    """Lets a second run of the same program start without compiling it again."""
    import jax  # not needed to read the flags

    folder = os.environ.get("JAX_COMPILATION_CACHE_DIR", "~/.cache/ppcjax")
    jax.config.update("jax_compilation_cache_dir", os.path.expanduser(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)


def parse(argv: list[str], values: flags.FlagValues | None = None) -> list[str]:
    """Reads the flags and returns what is left; a mistake ends the process.

    Args:
        argv: name of the program and its arguments.
        values: the flags; None for those of the process.
    """
    argv = with_files(underscored(argv))
    try:
        return (flags.FLAGS if values is None else values)(argv)
    except (flags.Error, UserError) as error:
        if "Flag --config must have a value" in str(error):
            _fail("--config=configs/NAME.py is missing; --help says more")
        _fail(_one_line(error))
    except (AttributeError, KeyError, TypeError) as error:
        if "ml_collections" not in _origin(error):
            raise
        _fail(_unknown_field(argv, str(error)))
    except OSError as error:
        _fail(missing_config(error))


def underscored(argv: Sequence[str]) -> list[str]:
    """Arguments in which --on-bad-image is --on_bad_image; values stay as they are."""
    return [
        re.sub(r"^--[\w.-]+", lambda m: "--" + m[0][2:].replace("-", "_"), word)
        for word in argv
    ]


def with_files(argv: Sequence[str]) -> list[str]:
    """Arguments in which --config names a file, also where a shipped config is named.

    Raises:
        UserError: no config is shipped under the name that is given.
    """
    words = list(argv)
    for place, word in enumerate(words):
        if word.startswith("--config="):
            words[place] = "--config=" + checkout.config_file(word[len("--config=") :])
        elif word == "--config" and place + 1 < len(words):
            words[place + 1] = checkout.config_file(words[place + 1])
    return words


def _origin(error: BaseException) -> str:
    """File in which `error` was raised."""
    frame = error.__traceback__
    while frame.tb_next is not None:
        frame = frame.tb_next
    return frame.tb_frame.f_code.co_filename


def _unknown_field(argv: list[str], error: str) -> str:
    hint = re.search(r'Did you mean "([^"]+)"', error)
    quoted = re.findall(r"'(\w+)'", error.replace("\\", "").partition("\n")[0])
    overrides = [a for a in argv[1:] if a.startswith("--config.")]
    named = [a for a in overrides if quoted and re.search(rf"\.{quoted[0]}\b", a)]
    return f"{' '.join(named or overrides)}: the config has no such field" + (
        f"; did you mean {hint.group(1)!r}?" if hint else ""
    )


def _one_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if len(lines) > 1 and "parsing config file" in lines[0]:
        return f"{lines[0].rstrip(':')}: {lines[-1]}"  # drops the traceback between
    return " ".join(lines)


def missing_config(error: OSError) -> str:
    """What to say of a config file that does not exist; another error is raised on."""
    text = str(error)
    if "Failed loading config file" not in text:
        raise error
    paths = re.findall(r"\[[^\]]* path\]:\s+(.+)", text)
    return f"no config file {paths[0] if paths else text!r}; see configs/ for those"


def _fail(message: str) -> None:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(1)
