"""What all training streams share: rows by position, one after another, as tf.data.

A batch is a pure function of (seed, step), so the step number is all it takes to
resume, and of nothing else: not of the number of processes, threads or devices.
"""

import atexit
import contextlib
import logging
import weakref
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from ppcjax import checkout
from ppcjax.data_pipelines.images import why_left_out
from ppcjax.data_pipelines.order import Draws, image_at
from ppcjax.data_pipelines.sources.base import Source
from ppcjax.types import UserError

Layout = dict[str, tuple[tuple[int, ...], Any]]

_LOG = logging.getLogger(__name__)
_FOREVER = np.iinfo(np.int64).max
# Streams that are still open. At exit tf.data's threads would wait for a Python that
# is no longer there, and the process for them.
_OPEN = weakref.WeakSet()


@atexit.register
def _close_all():
    for stream in list(_OPEN):
        with contextlib.suppress(ValueError):  # being read by another thread
            stream.close()


class Rows(NamedTuple):
    """What makes the rows of a stream.

    make: position of a row -> its arrays, in the order of `layout`; raises UserError
        where the stream must stop.
    layout: name -> shape and type of the arrays of one row.
    """

    make: Callable[[int], tuple[np.ndarray, ...]]
    layout: Layout


class Reader(NamedTuple):
    """A kind of training batch.

    settings: dataclass that declares its fields of config.data, `batch_size` and
        `workers` among them.
    rows: (settings, source, seed) -> Rows.
    what: what its batches hold, for messages.
    """

    settings: type
    rows: Callable[[Any, Source, int], Rows]
    what: str


class InTurn:
    """position -> the arrays of one augmented photo, in the order of the epoch."""

    def __init__(
        self,
        source: Source,
        seed: int,
        augment: Callable[[int, Draws], tuple[np.ndarray, ...]],
        *,
        on_bad_image: str,
    ):
        """Starts without any photo found unusable.

        Args:
            source: where the photos are.
            seed: seed of the run.
            augment: (index of a photo, random numbers) -> arrays; raises UserError
                where the photo cannot be used.
            on_bad_image: "stop" raises; "skip" takes the next photo of the epoch's
                order and notes the reason in source.skipped.
        """
        self.source = source
        self.seed = seed
        self.augment = augment
        self.on_bad_image = on_bad_image
        self.unusable: set[int] = set()

    def __call__(self, position: int):
        """The arrays at a position of the stream."""
        for attempt in range(len(self.source)):
            index = image_at(self.seed, position, len(self.source), attempt)
            if index in self.unusable:
                continue
            try:
                return self.augment(index, Draws(self.seed, position))
            except UserError as error:
                if self.on_bad_image == "stop":
                    raise
                self._leave_out(index, why_left_out(error))
        raise UserError(
            f"{self.source.name}: none of the {len(self.source)} images can be used; "
            f"the last because: {next(reversed(self.source.skipped.values()))}"
        )

    def _leave_out(self, index: int, reason: str):
        self.unusable.add(index)
        if self.source.skipped.setdefault(self.source.ids[index], reason) is reason:
            _LOG.warning("left out (%d so far) %s", len(self.source.skipped), reason)


def batches(
    make: Callable[[int], tuple[np.ndarray, ...]],
    layout: Layout,
    *,
    batch_size: int,
    start_step: int,
    process_index: int,
    process_count: int,
    workers: int,
) -> Iterator[dict[str, np.ndarray]]:
    """Endless batches of rows, as tf.data.

    Args:
        make: position -> arrays of a row, see `Rows`.
        layout: name -> shape and type of one row.
        batch_size: rows of a global batch.
        start_step: number of the first batch.
        process_index: which share of the rows of every global batch to yield.
        process_count: number of equal shares.
        workers: rows prepared at a time; 0 lets tf.data choose.

    Raises:
        UserError: the processes cannot share a batch, or, while iterating, what `make`
            raised.
    """
    if batch_size % process_count:
        raise UserError(
            f"config.data.batch_size={batch_size} is not a multiple of the "
            f"{process_count} processes; change one of them"
        )
    rows = batch_size // process_count
    first = process_index * rows
    stream = _iterate(make, layout, batch_size, rows, first, start_step, workers)
    _OPEN.add(stream)
    return stream


def _iterate(make, layout, batch_size, rows, first, start_step, workers):
    checkout.require("training", "tensorflow")
    with checkout.keras_elsewhere():
        import tensorflow as tf  # takes seconds, and only training needs it

    tf.config.set_visible_devices([], "GPU")  # the accelerator belongs to JAX

    stopped: list[UserError] = []

    def row(position):
        try:
            return make(int(position))
        except UserError as error:
            stopped.append(error)
            raise

    def load(count):
        position = count // rows * batch_size + first + count % rows
        types = [tf.as_dtype(dtype) for _, dtype in layout.values()]
        arrays = tf.numpy_function(row, [position], types, stateful=False)
        for array, (shape, _) in zip(arrays, layout.values(), strict=True):
            array.set_shape(shape)
        return dict(zip(layout, arrays, strict=True))

    dataset = (
        tf.data.Dataset.range(start_step * rows, _FOREVER)
        .map(load, num_parallel_calls=workers or tf.data.AUTOTUNE, deterministic=True)
        .batch(rows, drop_remainder=True)
        .prefetch(2)
    )
    try:
        yield from dataset.as_numpy_iterator()
    except tf.errors.OpError:
        if not stopped:
            raise
        raise stopped[-1] from None
