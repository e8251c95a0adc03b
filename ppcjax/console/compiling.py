"""A word while a program is compiled, which takes longest at first."""

import contextlib
import functools
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from ppcjax.console import screen

# Events of `jax.monitoring`; where they have other names, nothing is counted.
TRACED = "/jax/core/compile/jaxpr_trace_duration"
COMPILED = "/jax/core/compile/backend_compile_duration"
LOWERED = "/jax/core/compile/jaxpr_to_mlir_module_duration"
FOUND = "/jax/compilation_cache/cache_hits"

PATIENCE = 5.0  # seconds: so long may be traced before it is known what is kept
LEAST = 1.0  # seconds of compiling that are worth a word


class Counted(NamedTuple):
    """What this process has compiled so far.

    fresh: seconds that it took.
    kept: seconds that reading programs took that an earlier run compiled.
    before: seconds of what comes before both: tracing and lowering.
    """

    fresh: float = 0.0
    kept: float = 0.0
    before: float = 0.0


class _Counter:
    def __init__(self):
        self.counted = Counted()
        self._is_found = False
        self._ended: list[tuple[float, float]] = []  # begin and seconds

    def add_seconds(self, event: str, seconds: float, **_: Any) -> None:
        now = self.counted
        if event in (TRACED, LOWERED, COMPILED):
            seconds = self._alone(seconds)
        if event in (TRACED, LOWERED):
            self.counted = now._replace(before=now.before + seconds)
        elif event == COMPILED and not self._is_found:
            self.counted = now._replace(fresh=now.fresh + seconds)
        elif event == COMPILED:
            self.counted = now._replace(kept=now.kept + seconds)
            self._is_found = False

    def _alone(self, seconds: float) -> float:
        """What is new of a stretch that ends now: those inside of it are counted.

        A trace has others inside, and now and then what is compiled to be run at once.
        """
        begin, inner = time.monotonic() - seconds, 0.0
        while self._ended and self._ended[-1][0] >= begin:
            inner += self._ended.pop()[1]
        self._ended.append((begin, seconds))
        return max(seconds - inner, 0.0)

    def add_event(self, event: str, **_: Any) -> None:
        self._is_found |= event == FOUND


@functools.cache
def _counter() -> _Counter:
    """The one counter, which JAX tells what it does from now on."""
    import jax.monitoring

    counter = _Counter()
    jax.monitoring.register_event_duration_secs_listener(counter.add_seconds)
    jax.monitoring.register_event_listener(counter.add_event)
    return counter


def counted() -> Counted:
    """What was compiled since the first call; nothing where JAX is not in use."""
    return _counter().counted if "jax" in sys.modules else Counted()


def seconds() -> float:
    """Time that compiling took since the first call, or reading what was kept."""
    return sum(counted())


def folder() -> str:
    """Where compiled programs are kept, as a person writes it; "" for nowhere."""
    import jax

    kept = jax.config.jax_compilation_cache_dir or ""
    home = str(Path.home())
    return "~" + kept[len(home) :] if kept.startswith(home + "/") else kept


def note() -> str:
    """What may be said while a program is compiled."""
    kept = folder()
    return "usually 20 to 100 s, once" + (f"; kept in {kept}" if kept else "")


@contextlib.contextmanager
def announced(what: str) -> Iterator[None]:
    """Says that `what` is compiled while that lasts, and how long it took.

    Where it was kept from an earlier run this is quick, and nothing is said.
    """
    before = counted()

    def done(took: float) -> str:
        fresh, kept, _ = (a - b for a, b in zip(counted(), before, strict=True))
        if fresh >= LEAST:
            return f"{what}: compiled in {screen.span(fresh)}"
        ready = f"{what}: compiled by an earlier run, ready in {screen.span(took)}"
        return ready if kept else ""

    with screen.waiting(f"compiling {what}", note(), done=done, after=PATIENCE):
        yield


def at_first_call(function: Callable[..., Any], what: str) -> Callable[..., Any]:
    """The same function, which is compiled when it is first called, and then says so.

    Its first results are waited for, so that a lack of memory shows here.
    """
    calls = 0

    def call(*arguments):
        nonlocal calls
        calls += 1
        if calls > 1:
            return function(*arguments)
        import jax

        with announced(what):
            results = function(*arguments)
        return jax.block_until_ready(results)

    return call
