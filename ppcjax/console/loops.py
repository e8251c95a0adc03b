"""How far a loop is: a row of the bar, else plain lines."""

import time
from collections.abc import Iterable, Iterator

from ppcjax.console import compiling, screen


def speed(rate: float, unit: str, seconds_left: float | None) -> str:
    """Rate and time left as text; "" while the rate is not known.

    Args:
        rate: units per second.
        unit: what is counted, such as "photos".
        seconds_left: until the end; None where the end is not known.
    """
    if not rate:
        return ""
    number = f"{rate:,.0f}" if rate >= 100 else f"{rate:.3g}"
    text = f"{number} {unit}/s"
    return text if seconds_left is None else f"{text}  ETA {screen.clock(seconds_left)}"


class Progress:
    """How far something is that counts by itself; `close` it at the end.

    What compiling took is left out of the rate.
    """

    def __init__(self, name: str, total: int | None, *, unit: str = "images"):
        """Starts the clock.

        Args:
            name: what is in progress.
            total: units that there are; None where that is not known.
            unit: what is counted.
        """
        self._name, self._total, self._unit = name, total, unit
        self._row = screen.Row(name, total)
        self._is_drawn = screen.is_drawn()
        self._begun = self._said = time.monotonic()
        self._compiled = compiling.seconds()
        self.done = 0

    def show(self, done: int) -> None:
        """Shows that so many units are done."""
        self.done = done
        self._row.show(done, note=self._pace())
        if not self._is_drawn and time.monotonic() - self._said >= screen.PAUSE:
            self._said = time.monotonic()
            screen.line(self._text())

    def finish(self) -> None:
        """Takes the row away and says in a line what was done."""
        self.close()
        screen.line(self._text())

    def close(self) -> None:
        """Takes the row away."""
        self._row.close()

    def _text(self) -> str:
        of = f"/{self._total}" if self._total else ""
        text = f"{self._name}: {self.done}{of} {self._unit}"
        return ", ".join(part for part in (text, self._pace()) if part)

    def _pace(self) -> str:
        compiled = compiling.seconds() - self._compiled
        seconds = time.monotonic() - self._begun - compiled
        if seconds <= 0:  # threads that compile at the same time count twice
            return ""
        rate = self.done / seconds
        known = self._total and 0 < self.done < self._total
        left = (self._total - self.done) / rate if known else None
        return speed(rate, self._unit, left)


def show_progress(
    items: Iterable,
    total: int | None,
    name: str,
    *,
    unit: str = "images",
    compiles: str = "",
    ends: bool = True,
) -> Iterator:
    """Passes items on and says how far it is: a row on a terminal, else plain lines.

    Args:
        items: what is passed on.
        total: how many there are; None where that is not known.
        name: what the loop is over.
        unit: what the items are called.
        compiles: what is compiled before the first item comes, "" for nothing.
        ends: whether a line at the end says how many there were.
    """
    progress = Progress(name, total, unit=unit)
    source = iter(items)
    try:
        for count, item in enumerate(_first_announced(source, compiles), 1):
            yield item
            progress.show(count)
        if ends:
            progress.finish()
    finally:
        progress.close()


def _first_announced(items: Iterator, what: str) -> Iterator:
    """The same items; says that the first one is waited for, where it is."""
    if what:
        with compiling.announced(what):
            first = list(_at_most_one(items))
        yield from first
    yield from items


def _at_most_one(items: Iterator) -> Iterator:
    for item in items:
        yield item
        return
