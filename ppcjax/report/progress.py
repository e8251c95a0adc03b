"""How far a long loop is: a bar on a terminal, plain lines in a log."""

import sys
import time
from collections.abc import Iterable, Iterator


def show_progress(
    items: Iterable, total: int | None, name: str, *, unit: str = "images"
) -> Iterator:
    """Passes items on and says how far it is: a bar on a terminal, else plain lines."""
    terminal = sys.stderr.isatty()
    pause = 0.2 if terminal else 20.0  # seconds
    start = shown = time.monotonic()
    count = 0
    for count, item in enumerate(items, 1):
        yield item
        now = time.monotonic()
        if now - shown >= pause:
            shown = now
            _say(name, unit, count, total, now - start, terminal)
    _say(name, unit, count, total, time.monotonic() - start, terminal)
    if terminal:
        print(file=sys.stderr)


def _say(name, unit, count, total, seconds, terminal) -> None:
    rate = count / max(seconds, 1e-9)
    text = f"{name}: {count}{f'/{total}' if total else ''} {unit}, {rate:.1f}/s"
    if total and rate and count < total:
        left = round((total - count) / rate)
        text += f", {left // 60}:{left % 60:02d} left"
    if terminal:
        filled = 24 * min(count, total or 0) // (total or 1)
        bar = f"[{'#' * filled:<24}] " if total else ""
        print(f"\r{bar}{text}\x1b[K", end="", file=sys.stderr, flush=True)
    else:
        print(text, file=sys.stderr, flush=True)
