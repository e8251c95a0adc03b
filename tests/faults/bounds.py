"""What reading a file from a stranger may take, and how it may be refused."""

import contextlib
import time
from pathlib import Path

from ppcjax.types import UserError

_MORE_MEMORY = 420 << 20  # bytes: small objects, and arrays that may be zeros
_SECONDS = 20  # of a processor; a few at most on an idle machine
_LONGEST = 900  # letters of a line


@contextlib.contextmanager
def bounded(size=0):
    """Fails where a block takes more memory or time than `size` bytes explain."""
    begun = time.process_time()
    # The kernel counts the most that was held from here on.
    Path("/proc/self/clear_refs").write_text("5")
    before = _held("VmRSS")
    yield
    took, more = time.process_time() - begun, _held("VmHWM") - before
    assert more < 20 * size + _MORE_MEMORY, f"took {more >> 20} MiB"
    assert took < _SECONDS, f"took {took:.0f} s"


def _held(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(x for x in lines if x.startswith(name)).split()[1])


def refused(function, *arguments):
    """The line that says what is wrong; None where nothing is."""
    try:
        function(*arguments)
    except UserError as error:
        text = str(error)
        assert "\n" not in text and "\x1b" not in text, text
        assert len(text) < _LONGEST, f"{len(text)} letters"
        return text
    return None
