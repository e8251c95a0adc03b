"""How many files a process may open: as many as the system lets it, and enough."""

import contextlib

from ppcjax.errors import UserError

LEAST = 64  # what training with a small set needs, and some to spare


def raise_open_files() -> None:
    """Raises the soft limit on open files to the hard one.

    Raises:
        UserError: that is too low to begin with, and what fails then is anything.
    """
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):  # some systems have a lower one
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    if 0 <= soft < LEAST:
        raise UserError(
            f"only {soft} files may be open at a time, and {LEAST} are needed; raise "
            "the limit: see `ulimit -n`"
        )
