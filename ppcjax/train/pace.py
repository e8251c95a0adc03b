"""How long a step takes, measured on steps that are forgotten."""

import itertools
import time
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh

from ppcjax.train import feed
from ppcjax.train import mesh as meshes
from ppcjax.types import TrainState

LONGEST = 8.0  # seconds that are measured, unless one step takes longer
MOST = 30  # steps that are measured
# Batches that were ready when the first step had compiled: they say nothing of how
# long a batch takes to make.
READY = 3


def measure(
    step_function: Callable[[TrainState, Any], tuple[TrainState, Any]],
    state: TrainState,
    batches: Iterator[dict[str, np.ndarray]],
    mesh: Mesh,
) -> tuple[float, TrainState, Iterator[dict[str, np.ndarray]]]:
    """Makes a few steps, and takes them back.

    Args:
        step_function: compiled when it is first called, which is not timed.
        state: where training starts; its buffers are donated.
        batches: this process's rows of the first global batches.
        mesh: one axis, "data".

    Returns:
        Seconds of a step, 0 where there are too few batches, equal on all processes;
        the state, bit for bit; and the same batches from the first one on.
    """
    start = jax.tree.map(lambda leaf: np.array(leaf), state)
    taken: list[dict[str, np.ndarray]] = []

    def noted():
        for batch in batches:
            taken.append(batch)
            yield batch

    on_devices = feed.to_devices(noted(), mesh)
    ends: list[float] = []
    begun = time.perf_counter()
    try:
        for batch in on_devices:
            state, scalars = step_function(state, batch)
            jax.block_until_ready(scalars)
            ends.append(_agreed(time.perf_counter() - begun))
            if is_enough(ends):
                break
    finally:
        on_devices.close()
    del state
    return seconds_of(ends), _placed(start, mesh), itertools.chain(taken, batches)


def is_enough(ends: list[float]) -> bool:
    """Whether steps that ended at these times tell how long one takes."""
    return len(ends) > 1 and (ends[-1] - ends[0] >= LONGEST or len(ends) > MOST)


def seconds_of(ends: list[float]) -> float:
    """Mean time of a step; 0 where it is not known.

    Args:
        ends: when each step ended; the first one was compiled before it ran.
    """
    if len(ends) < 2:
        return 0.0
    if len(ends) > READY + 2:
        ends = ends[READY:]
    return (ends[-1] - ends[0]) / (len(ends) - 1)


def _agreed(value: float) -> float:
    """The value of process 0: all must make as many steps."""
    if jax.process_count() == 1:
        return value
    return float(multihost_utils.broadcast_one_to_all(np.float32(value)))


def _placed(start: Any, mesh: Mesh) -> TrainState:
    """Arrays of the host as new arrays of the devices, which may be donated."""
    copies = jax.jit(
        lambda leaves: jax.tree.map(jnp.copy, leaves),
        out_shardings=meshes.replicated(mesh),
    )
    return copies(start)
