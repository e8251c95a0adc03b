"""Lines on stderr, and below them the one bar: a row for each thing in progress.

On a terminal rows are drawn anew, and lines appear above them. Elsewhere there are
lines only.
"""

import contextlib
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.progress import Progress, ProgressColumn, Task
from rich.text import Text

from ppcjax.console import plain

PAUSE = 20.0  # seconds between two plain lines
PATIENCE = 2.0  # seconds after which is said what takes its time
WIDEST = 40  # cells of the longest bar
SPINNER = "|/-\\"


def is_drawn() -> bool:
    """Whether stderr is a terminal on which rows can be drawn anew."""
    isatty = getattr(sys.stderr, "isatty", None)
    if isatty is None or sys.stderr.closed or not isatty():
        return False
    return Console(stderr=True).is_interactive


def line(message: str) -> None:
    """One line on stderr; on a terminal it is wrapped between words."""
    _SCREEN.line(message)


def result(message: str) -> None:
    """Lines on stdout, which belong to a result; wrapped where that is a terminal."""
    message = plain.lines(message)
    if sys.stdout.isatty():
        width = Console().width
        message = "\n".join(wrapped(x, width) for x in message.split("\n"))
    print(message, flush=True)


def end() -> None:
    """Takes the bar away for good, as the process is about to end."""
    _SCREEN.end()


def write_all() -> None:
    """Lets stdout and stderr take any text, whatever letters the terminal has."""
    for stream in (sys.stdout, sys.stderr):
        # Streams of notebooks and of tests have no such method.
        with contextlib.suppress(AttributeError, ValueError):
            stream.reconfigure(errors="backslashreplace")


class Row:
    """One thing in progress: a row of the bar, and nothing where that is not drawn.

    `close` it, or use it in a `with`.
    """

    def __init__(self, name: str, total: float | None = None, note: str = ""):
        """Shows a row.

        Args:
            name: what is in progress.
            total: units that there are; None where that is not known.
            note: text behind the bar.
        """
        self._task = _SCREEN.open(name, total, note)

    def show(self, done: float, *, total: float | None = None, note: str = "") -> None:
        """Shows how far it is: units done, units that there are if known anew."""
        if self._task is not None:
            _SCREEN.update(self._task, done, total, note)

    def close(self) -> None:
        """Takes the row away; a second call does nothing."""
        if self._task is not None:
            _SCREEN.close(self._task)
            self._task = None

    def __enter__(self) -> "Row":
        return self

    def __exit__(self, *_) -> None:
        self.close()


@contextlib.contextmanager
def waiting(
    what: str,
    note: str = "",
    *,
    done: Callable[[float], str] | None = None,
    after: float = PATIENCE,
) -> Iterator[None]:
    """Says what takes its time, once it does: a row with a clock, elsewhere a line.

    Args:
        what: what is being done.
        note: what else may be said of it.
        done: seconds -> the line at the end, "" for none; None: there is none.
        after: seconds until something is said; of what takes less, nothing is.
    """
    begun = time.monotonic()
    shown = threading.Event()
    full = f"{what}: {note}" if note else what
    with contextlib.ExitStack() as rows:
        if is_drawn():
            rows.enter_context(Row(what, note=note))
        else:
            timer = threading.Timer(after, lambda: (shown.set(), line(full)))
            timer.daemon = True
            timer.start()
            rows.callback(timer.cancel)
        yield
    took = time.monotonic() - begun
    if done is not None and (shown.is_set() or took >= after):
        last = done(took)
        if last:
            line(last)


def clock(seconds: float) -> str:
    """A time as H:MM:SS."""
    whole = max(int(seconds), 0)
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"


def span(seconds: float) -> str:
    """How long something took: seconds, and from two minutes on as H:MM:SS."""
    return f"{seconds:.0f} s" if seconds < 120 else clock(seconds)


def wrapped(message: str, width: int) -> str:
    """A line in the lines of a terminal, broken between words.

    What follows stands below the last word that has a gap of two before it: below the
    values of a table, else two further in.

    Args:
        message: text without line breaks.
        width: cells of the terminal.
    """
    if cell_len(message) <= width:
        return message
    lead = len(message) - len(message.lstrip())
    gap = message.find("  ", lead)
    inner = len(message[:gap]) + len(message[gap:]) - len(message[gap:].lstrip())
    further = inner if lead and 0 < gap and inner <= width // 2 else lead + 2
    return textwrap.fill(
        message,
        width,
        subsequent_indent=" " * further,
        break_long_words=False,
        break_on_hyphens=False,
        replace_whitespace=False,
    )


def drawn(
    name: str,
    done: float,
    total: float | None,
    note: str,
    seconds: float,
    *,
    width: int,
    plain: bool = False,
) -> str:
    """A row in at most `width` cells; where it is too narrow, the bar goes first.

    Args:
        name: what is in progress.
        done: units that are done.
        total: units that there are; None: a clock takes the place of the bar.
        note: text at the end.
        seconds: since it began.
        width: cells that there are.
        plain: whether only ASCII may be drawn.
    """
    if total is None:
        turn = SPINNER[int(seconds * 8) % len(SPINNER)]
        count = f" {done:,.0f}" if done else ""
        text = f"{turn} {name}{count}  {span(seconds)}"
        full = f"{text}  {note}" if note else text
        return _cut(full if cell_len(full) <= width else text, width)
    count = f"{done:,.0f}/{total:,.0f}"
    text = "  ".join(part for part in (name, count, note) if part)
    room = min(width - cell_len(text) - 2, WIDEST)
    if room < 8:
        return _cut(text, width)
    filled = min(int(room * done / total), room) if total else 0
    full, rest = ("#", "-") if plain else ("\N{BOX DRAWINGS HEAVY HORIZONTAL}", " ")
    bar = full * filled + rest * (room - filled)
    return "  ".join(part for part in (name, bar, count, note) if part)


def _cut(text: str, width: int) -> str:
    return text if cell_len(text) <= width else set_cell_size(text, max(width, 1))


class _Column(ProgressColumn):
    """Draws a whole row; rich's own columns overflow on narrow terminals."""

    def __init__(self, console: Console):
        self._console = console
        super().__init__()

    def render(self, task: Task) -> Text:
        text = drawn(
            task.description,
            task.completed,
            task.total,
            task.fields["note"],
            task.elapsed or 0.0,
            width=self._console.width - 1,  # some terminals break a full line
            plain=not self._console.encoding.startswith("utf"),
        )
        return Text(text, no_wrap=True, overflow="crop", style="progress.description")


class _Screen:
    """The bar of the process, there as long as it has rows; any thread may use it."""

    def __init__(self):
        self._lock = threading.RLock()
        self._bar: Progress | None = None

    def open(self, name: str, total: float | None, note: str):
        """The key of a new row; None where rows are not drawn."""
        with self._lock:
            if self._bar is None:
                if not is_drawn():
                    return None
                console = Console(file=plain.under(sys.stderr), highlight=False)
                # Without that, results on stdout would come out on stderr where only
                # this one is a terminal.
                both = getattr(sys.stdout, "isatty", lambda: False)()
                self._bar = Progress(
                    _Column(console),
                    console=console,
                    transient=True,
                    redirect_stdout=both,
                )
                self._bar.start()
                # rich has set its own streams, which let through what steers.
                sys.stdout, sys.stderr = map(plain.Stream, (sys.stdout, sys.stderr))
            return self._bar.add_task(name, total=total, note=note)

    def update(self, task, done: float, total: float | None, note: str) -> None:
        with self._lock:
            if self._bar is None:
                return
            more = {} if total is None else {"total": total}
            self._bar.update(task, completed=done, note=note, **more)

    def close(self, task) -> None:
        with self._lock:
            if self._bar is None:
                return
            self._bar.remove_task(task)
            if not self._bar.tasks:
                self._bar.stop()
                self._bar = None

    def end(self) -> None:
        with self._lock:
            if self._bar is not None:
                self._bar.stop()
                self._bar = None

    def line(self, message: str) -> None:
        message = plain.line(message)
        with self._lock:
            if self._bar is not None:
                console = self._bar.console
                text = wrapped(message, console.width)
                console.print(text, markup=False, highlight=False, soft_wrap=True)
                return
            if is_drawn():
                message = wrapped(message, Console(stderr=True).width)
            with contextlib.suppress(BrokenPipeError):
                print(message, file=sys.stderr, flush=True)


_SCREEN = _Screen()
