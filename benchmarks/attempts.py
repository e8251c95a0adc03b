"""What was tried to make our step faster on a CPU, and not taken: to be measured again.

    python -m benchmarks.race --method ppc --batch 2 --crop 224 --attempt forward_tiles

An attempt changes the process that runs our side, before its step is compiled, and
nothing else: without --attempt no line of it is run.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import NamedTuple
from unittest import mock

from ppcjax.console import allocator
from ppcjax.types import UserError

SCHEDULE = "xla_cpu_scheduler_type"


class Attempt(NamedTuple):
    """A change of our side.

    says: what it changes, in a line.
    changes: makes the context in which the step is compiled and run.
    environment: variables that its process starts with.
    """

    says: str
    changes: Callable[[], AbstractContextManager] = contextlib.nullcontext
    environment: Mapping[str, str] = {}


def find(name: str) -> Attempt:
    """The attempt of that name; of "" one that changes nothing.

    Raises:
        UserError: there is none.
    """
    if not name:
        return Attempt("nothing")
    if name not in ALL:
        known = ", ".join(ALL)
        raise UserError(f"--attempt {name}: there is no such attempt; take {known}")
    return ALL[name]


def check(name: str, device: str, only: str | None) -> None:
    """Raises UserError where an attempt is unknown or would change nothing.

    Args:
        name: the attempt; "" for none.
        device: "cpu" or "gpu".
        only: "torch" where our side is not run.
    """
    find(name)
    if name and device != "cpu":
        raise UserError(f"--attempt {name}: attempts are for --device cpu")
    if name and only == "torch":
        raise UserError(f"--attempt {name} changes our side; leave --only torch out")


@contextlib.contextmanager
def _forward_tiles() -> Iterator[None]:
    import jax

    from ppcjax.nn import convolution

    always = jax.custom_vjp(convolution.learning, nondiff_argnums=(2,))
    always.defvjp(convolution._forward, convolution._backward)
    with mock.patch.object(convolution, "convolve", always):
        yield


@contextlib.contextmanager
def _xla_forwards() -> Iterator[None]:
    from ppcjax.nn import convolution

    def plain(x, kernel, window):
        return convolution.convolve.fun(x, kernel, window)

    with mock.patch.object(convolution, "learning", plain):
        yield


@contextlib.contextmanager
def _xla_convolutions() -> Iterator[None]:
    from ppcjax.nn import convolution

    def compiler(x, dy, window):
        return "compiler"

    with (
        mock.patch.object(convolution, "kernel_form", compiler),
        mock.patch.object(convolution, "map_form", compiler),
    ):
        yield


@contextlib.contextmanager
def _concurrent_schedule() -> Iterator[None]:
    from ppcjax.train import step

    kept = {k: v for k, v in step.cpu_options().items() if k != SCHEDULE}
    with mock.patch.object(step, "cpu_options", lambda: kept):
        yield


@contextlib.contextmanager
def _async_dispatch() -> Iterator[None]:
    from ppcjax.train import step

    with mock.patch.object(step, "inline_on_cpus", lambda: None):
        yield


ALL = {
    "forward_tiles": Attempt(
        "convolutions without gradients by Winograd's tiles, too, where those with "
        "gradients would be",
        _forward_tiles,
    ),
    "xla_forwards": Attempt(
        "forward convolutions all as XLA makes them",
        _xla_forwards,
    ),
    "xla_convolutions": Attempt(
        "convolutions and their gradients as XLA makes them",
        _xla_convolutions,
    ),
    "concurrent_schedule": Attempt(
        "XLA's own order of operations, that lets several run at once, in the place of "
        "the one for memory",
        _concurrent_schedule,
    ),
    "async_dispatch": Attempt(
        "a step is computed in other threads than the one that asks for it",
        _async_dispatch,
    ),
    "one_arena": Attempt(
        "one arena of malloc for all threads, beside the settings of commands",
        environment={
            allocator.TUNABLES: f"{allocator.SETTINGS}:glibc.malloc.arena_max=1"
        },
    ),
}
