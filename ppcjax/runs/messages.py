"""What Orbax says, and of what: versions, errors in a line, its own log lines."""

import errno
import importlib.metadata
import logging
import platform

from ppcjax.version import __version__


def is_disk_full(error: Exception) -> bool:
    """Whether `error` says that the disk or the user's share of it is full."""
    codes = (errno.ENOSPC, errno.EDQUOT)
    # The native writer of arrays tells the number in its text only.
    return getattr(error, "errno", None) in codes or any(
        f"os_error_code='{code}'" in str(error) for code in codes
    )


def versions() -> dict[str, str]:
    """Versions of ppcjax, Python and the libraries that a result depends on."""
    names = ("jax", "flax", "optax", "orbax-checkpoint", "numpy")
    found = {name: importlib.metadata.version(name) for name in names}
    return {"python": platform.python_version(), "ppcjax": __version__, **found}


def first_line(error: Exception) -> str:
    """Type and first line of an error."""
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0]}"


def quieten_orbax() -> None:
    """Drops what Orbax logs of every file; what goes wrong it also raises."""
    logging.getLogger("absl").addFilter(_not_from_orbax)


def _not_from_orbax(record: logging.LogRecord) -> bool:
    return "/orbax/" not in record.pathname.replace("\\", "/")
