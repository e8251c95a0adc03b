"""What Orbax says, and of what: versions, errors in a line, its own log lines."""

import importlib.metadata
import logging
import platform
import traceback
from pathlib import Path

from ppcjax.console import disk
from ppcjax.errors import UserError
from ppcjax.version import __version__


def cannot_save(error: Exception, directory: Path, newest: int | None) -> UserError:
    """What to say where saving failed.

    Args:
        error: what saving raised.
        directory: folder of the checkpoints.
        newest: step of the newest one that is complete; None where there is none.
    """
    refusal = disk.refusal(error, directory)
    if not directory.is_dir() or refusal is disk.GONE:
        return disk.taken_away(directory)
    unknown = disk.Refusal(
        f"the checkpoint was not written ({first_line(error)[:200]})",
        f"see whether something else changes {directory}",
    )
    return stopped(refusal or unknown, f"saving to {directory}", newest)


def stopped(refusal: disk.Refusal, doing: str, newest: int | None) -> UserError:
    """What ends a run: what was refused, what is safe, and what to do.

    Args:
        refusal: why a disk does not do what it should.
        doing: what was being done.
        newest: step of the newest checkpoint that is complete; None: there is none.
    """
    kept = (
        "no checkpoint was saved before"
        if newest is None
        else f"the checkpoint of step {newest} is kept"
    )
    return UserError(
        f"{refusal.what} while {doing}: {kept}; {refusal.advice}, and run the same "
        "command again to resume"
    )


def versions() -> dict[str, str]:
    """Versions of ppcjax, Python and the libraries that a result depends on."""
    names = ("jax", "flax", "optax", "orbax-checkpoint", "numpy")
    found = {name: importlib.metadata.version(name) for name in names}
    return {"python": platform.python_version(), "ppcjax": __version__, **found}


def first_line(error: Exception) -> str:
    """Type and first line of an error."""
    lines = str(error).strip().splitlines() or [""]
    if isinstance(error, UserError):
        return lines[0]
    return f"{type(error).__name__}: {lines[0]}"


def quieten_orbax() -> None:
    """Drops what Orbax logs of every file; what goes wrong it also raises."""
    logging.getLogger("absl").addFilter(_not_from_orbax)
    logging.getLogger("asyncio").addFilter(_not_of_orbax)


def _not_from_orbax(record: logging.LogRecord) -> bool:
    return "/orbax/" not in record.pathname.replace("\\", "/")


def _not_of_orbax(record: logging.LogRecord) -> bool:
    """Of several writes that fail, Orbax raises one, and the others would be told."""
    if "orbax" in record.getMessage():
        return False
    trace = record.exc_info[2] if record.exc_info else None
    files = (frame.f_code.co_filename for frame, _ in traceback.walk_tb(trace))
    return not any("/orbax/" in name.replace("\\", "/") for name in files)
