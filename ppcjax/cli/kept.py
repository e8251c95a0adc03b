"""Compiled programs are kept, and a folder that does not take them costs no run."""

import contextlib
import os
import re
import time
import warnings
from collections.abc import Callable
from pathlib import Path

from ppcjax.console import caches, disk, screen, writing

_LEAST = 0.5  # seconds of compiling from which on a program is kept
_NEVER = 1e9
# How JAX warns, of which program, and what it met.
_FAILED = re.compile(
    r"Error (reading|writing) persistent compilation cache entry for '([^']*)': (.*)",
    re.DOTALL,
)


def keep_compiled_programs() -> None:
    """Lets a second run of the same program start without compiling it again.

    Where the folder cannot be written a line says so, and what lies there is read.
    """
    import jax  # not needed to read the flags

    named = os.environ.get("JAX_COMPILATION_CACHE_DIR")
    folder = str(caches.folder()) if named is None else os.path.expanduser(named)
    least = _LEAST
    if folder and "://" not in folder:
        try:
            writing.check_writable(Path(folder) / "program")
        except disk.CannotWrite as error:
            screen.line(_told(folder, error.refusal.what))
            least = _NEVER
            # XLA would write there, too, and not compile where it cannot.
            jax.config.update("jax_persistent_cache_enable_xla_caches", "none")
            if not os.path.isdir(folder):
                folder = None
    jax.config.update("jax_compilation_cache_dir", folder)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", least)
    if folder:
        warnings.showwarning = _shown_by(warnings.showwarning, Path(folder))


def _told(folder: str | Path, why: str) -> str:
    return (
        f"compiled programs are not kept in {folder} ({why}), so that the next run "
        "compiles them again; JAX_COMPILATION_CACHE_DIR names another folder"
    )


def _shown_by(before: Callable[..., None], folder: Path) -> Callable[..., None]:
    """What shows warnings: those about kept programs as one line, others as `before`.

    Half a program that was kept would be met again by every later run, so it goes.
    """
    begun, said = time.time(), set()
    before = getattr(before, "before", before)  # of another run in this process

    def show(message, *more, **named):
        found = _FAILED.match(str(message))
        if not found:
            before(message, *more, **named)
            return
        what, program, why = found.groups()
        _remove(folder, program, begun if what == "writing" else 0.0)
        if what in said:
            return
        said.add(what)
        if what == "writing":
            refused = disk.refusal(RuntimeError(why))
            screen.line(_told(folder, refused.what if refused else why.split("\n")[0]))
        else:
            screen.line(
                f"a compiled program that was kept in {folder} is damaged: it is "
                "removed and compiled again"
            )

    show.before = before
    return show


def _remove(folder: Path, program: str, since: float) -> None:
    """Removes what is kept of a program and was written since a time."""
    with contextlib.suppress(OSError):
        for file in folder.iterdir():
            mine = file.name.startswith(f"{program}-") and file.name.endswith("-cache")
            if mine and file.stat().st_mtime >= since - 1:
                file.unlink()
