"""From batches of NumPy arrays on each host to global arrays on the devices."""

import math
import queue
import threading
from collections.abc import Iterator

import jax
import numpy as np
from jax.sharding import Mesh

from ppcjax.console import screen
from ppcjax.train import mesh as meshes
from ppcjax.types import UserError

_END = object()


def to_devices(
    batches: Iterator[dict[str, np.ndarray]], mesh: Mesh, *, depth: int = 2
) -> Iterator[dict[str, jax.Array]]:
    """Global batches, the next `depth` of them made while a step runs.

    All have the shapes of the first one: what the first step needs of memory is what
    all need, and nothing is compiled again.

    Args:
        batches: this process's rows of each global batch.
        mesh: one axis, "data", over which the rows are split.
        depth: batches that wait on the devices.

    Raises: whatever `batches` raises, in the order of its batches; ValueError where a
        batch has other shapes than the first.
    """
    sharding = meshes.sharded(mesh)
    ready = queue.Queue(maxsize=depth)
    stop = threading.Event()

    def place(rows: np.ndarray) -> jax.Array:
        return jax.make_array_from_process_local_data(sharding, rows)

    def put(item) -> None:
        while not stop.is_set():
            try:
                return ready.put(item, timeout=0.1)
            except queue.Full:
                continue

    def work() -> None:
        first = None
        try:
            for batch in batches:
                shapes = jax.tree.map(lambda rows: (rows.shape, rows.dtype), batch)
                first = first or shapes
                if shapes != first:
                    raise ValueError(f"a batch of {shapes} follows one of {first}")
                put((jax.tree.map(place, batch), None))
                if stop.is_set():
                    return
            put((_END, None))
        except BaseException as error:  # handed to the loop, which raises it
            put((_END, error))

    thread = threading.Thread(target=work, name="feed", daemon=True)
    thread.start()
    try:
        while True:
            batch, error = ready.get()
            if error is not None:
                raise error
            if batch is _END:
                return
            yield batch
    finally:
        stop.set()
        thread.join()


def first_of(batches: Iterator[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The next batch; UserError where there is none."""
    with screen.waiting("reading the first batch"):
        first = next(batches, None)
    if first is None:
        raise UserError("the training data has no batch; is the split empty?")
    return first


def global_spec(rows: dict[str, np.ndarray]) -> dict[str, jax.ShapeDtypeStruct]:
    """Shapes and types of a global batch, from this process's rows of it."""
    processes = jax.process_count()
    return jax.tree.map(
        lambda x: jax.ShapeDtypeStruct((len(x) * processes, *x.shape[1:]), x.dtype),
        rows,
    )


def count_images(rows: dict[str, np.ndarray]) -> int:
    """Images of a global batch: also where its rows are episodes or pairs of views."""
    mine = sum(
        math.prod(x.shape[:-3])
        for name, x in rows.items()
        if name.endswith("image") and name != "second_image"
    )
    return jax.process_count() * mine
