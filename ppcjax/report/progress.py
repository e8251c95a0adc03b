"""How far a long loop is: one bar on a terminal, plain lines in a log."""

import time
from collections.abc import Iterable, Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

PAUSE = 20.0  # seconds between two plain lines


def make_bar(console: Console) -> Progress:
    """The bar of all loops; its tasks have a field "speed", see `speed`."""
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[speed]}", markup=False),
        console=console,
    )


def speed(rate: float, unit: str, seconds_left: float | None) -> str:
    """Rate and time left as text; "" while the rate is not known.

    Args:
        rate: units per second.
        unit: what is counted, such as "photos".
        seconds_left: until the end; None where the end is not known.
    """
    if not rate:
        return ""
    text = f"{rate:.3g} {unit}/s"
    if seconds_left is None:
        return text
    whole = int(seconds_left)
    return f"{text}  ETA {whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"


def show_progress(
    items: Iterable, total: int | None, name: str, *, unit: str = "images"
) -> Iterator:
    """Passes items on and says how far it is: a bar on a terminal, else plain lines.

    Args:
        items: what is passed on.
        total: how many there are; None where that is not known.
        name: what the loop is over.
        unit: what the items are called.
    """
    console = Console(stderr=True)
    show = _on_terminal if console.is_terminal else _in_log
    yield from show(console, items, total, name, unit)


def _on_terminal(console, items, total, name, unit) -> Iterator:
    start = time.monotonic()
    with make_bar(console) as bar:
        task = bar.add_task(name, total=total, speed="")
        for count, item in enumerate(items, 1):
            yield item
            text = _speed(count, total, time.monotonic() - start, unit)
            bar.update(task, completed=count, speed=text)


def _in_log(console, items, total, name, unit) -> Iterator:
    start = shown = time.monotonic()
    count = 0

    def say(count):
        of = f"/{total}" if total else ""
        text = _speed(count, total, time.monotonic() - start, unit)
        line = f"{name}: {count}{of} {unit}, {text}"
        console.print(line, markup=False, highlight=False, soft_wrap=True)

    for count, item in enumerate(items, 1):
        yield item
        if time.monotonic() - shown >= PAUSE:
            shown = time.monotonic()
            say(count)
    say(count)


def _speed(count: int, total: int | None, seconds: float, unit: str) -> str:
    rate = count / max(seconds, 1e-9)
    left = (total - count) / rate if total and 0 < count < total else None
    return speed(rate, unit, left)
