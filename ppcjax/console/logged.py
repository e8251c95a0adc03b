"""What modules of ppcjax log is said as all else is: one line, above the bar."""

import contextlib
import logging
from collections.abc import Iterator

from ppcjax.console import screen


class _Lines(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        screen.line(record.getMessage())


@contextlib.contextmanager
def as_lines() -> Iterator[None]:
    """Says it so, whatever libraries do with the log of the process.

    Some add a handler to the root, which puts "WARNING:" and the name of the module in
    front, into the middle of the bar.
    """
    logger = logging.getLogger("ppcjax")
    handler, before = _Lines(logging.WARNING), logger.propagate
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = before
