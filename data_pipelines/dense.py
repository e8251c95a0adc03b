"""Training batches with geometric augmentation, as tf.data on the host CPU.

Colour belongs to the device.

A batch is a pure function of (seed, step), so the step number is all it takes to
resume, and of nothing else: not of the number of processes, threads or devices.
"""

import atexit
import contextlib
import dataclasses
import logging
import math
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from data_pipelines import settings
from data_pipelines.geometry import crop_size, cut_image, cut_mask, draw_window
from data_pipelines.images import Photo, read_grey
from data_pipelines.order import Draws, image_at
from data_pipelines.sources.base import Record, Source, read_checked, read_tags
from ppcjax.types import DenseBatch, UserError

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


@dataclasses.dataclass(frozen=True, kw_only=True)
class StreamSettings:
    """The settings of training batches in config.data.

    batch_size: images in a global batch, over all processes.
    crop: side of the square canvas, or its (rows, columns), pixels; images may be
        smaller.
    long_side: range of the longer side after resizing, pixels, both included.
    scale: instead of it, range of the factor by which images are resized.
    aspect: range of a; columns are resized by sqrt(a) more and rows by sqrt(a) less.
        None: the shape stays.
    on_bad_image: "stop" raises; "skip" takes the next image of the epoch's order
        and notes the reason in source.skipped.
    with_masks: whether batches hold "mask"; every image must then have one.
    saliency: folder of grey maps ID.png; where given, batches hold "saliency",
        [B, rows, columns] uint8, cut as the image is.
    workers: images prepared at a time; 0 lets tf.data choose.
    """

    batch_size: int
    crop: int | tuple[int, int]
    long_side: tuple[int, int] | None = None
    scale: tuple[float, float] | None = None
    aspect: tuple[float, float] | None = None
    on_bad_image: str = "stop"
    with_masks: bool = False
    saliency: str = ""
    workers: int = 0

    def __post_init__(self):
        """Raises UserError naming the setting that is wrong."""
        settings.whole_number("batch_size", self.batch_size, least=1)
        settings.canvas("crop", self.crop)
        settings.whole_number("workers", self.workers, least=0)
        settings.one_of("on_bad_image", self.on_bad_image, ("stop", "skip"))
        if (self.long_side is None) == (self.scale is None):
            raise UserError(
                "config.data.long_side and config.data.scale: give one of them, the "
                "range of the longer side in pixels or of the factor of resizing"
            )
        if self.scale is None:
            settings.number_range("long_side", self.long_side, "number of pixels")
            for side in self.long_side:
                settings.whole_number("long_side", side, least=1)
        else:
            settings.number_range("scale", self.scale, "factor, above 0")
        if self.aspect is not None:
            settings.number_range("aspect", self.aspect, "aspect, above 0")


def make_train(
    data: Any,
    source: Source,
    *,
    seed: int,
    batch_size: int | None = None,
    start_step: int = 0,
    process_index: int = 0,
    process_count: int = 1,
) -> Iterator[DenseBatch]:
    """Endless training batches from config.data.

    Args:
        data: config.data; of its fields, those of StreamSettings are read.
        source: what make_source made.
        seed: of the run.
        batch_size: images in a global batch; None = config.data.batch_size.
        start_step: number of the first batch.
        process_index: which share of the rows of every global batch to yield.
        process_count: number of equal shares.

    Returns:
        An iterator over batches of NumPy arrays with this process's rows.

    Raises:
        UserError: a setting is wrong, or an image is (possibly while iterating).
    """
    chosen = {k: v for k, v in settings.fields(data).items() if k in settings.STREAM}
    if batch_size is not None:
        chosen["batch_size"] = batch_size
    stream = settings.call(StreamSettings, chosen, where="training")
    if stream.batch_size % process_count:
        raise UserError(
            f"config.data.batch_size={stream.batch_size} is not a multiple of the "
            f"{process_count} processes; change one of them"
        )
    if source.untagged and stream.on_bad_image == "stop":
        raise UserError(source.untagged[min(source.untagged)])
    rows = stream.batch_size // process_count
    first = process_index * rows

    def position(count):
        return count // rows * stream.batch_size + first + count % rows

    return _iterate(_Loader(source, seed, stream), position, rows, start_step)


class _Loader:
    """position -> one augmented example; keeps the error that stopped it."""

    def __init__(self, source: Source, seed: int, stream: StreamSettings):
        self.source = source
        self.seed = seed
        self.stream = stream
        self.error: UserError | None = None
        self.unusable: set[int] = set()

    def __call__(self, position: int):
        """image, valid, tags and, if asked for, mask at a position of the stream."""
        try:
            return self._load(int(position))
        except UserError as error:
            self.error = error
            raise

    def _load(self, position: int):
        for attempt in range(len(self.source)):
            index = image_at(self.seed, position, len(self.source), attempt)
            if index in self.unusable:
                continue
            try:
                return self._augment(index, Draws(self.seed, position))
            except UserError as error:
                if self.stream.on_bad_image == "stop":
                    raise
                self._leave_out(index, str(error))
        raise UserError(
            f"{self.source.name}: none of the {len(self.source)} images can be used; "
            f"the last because: {next(reversed(self.source.skipped.values()))}"
        )

    def _leave_out(self, index: int, reason: str):
        self.unusable.add(index)
        if self.source.skipped.setdefault(self.source.ids[index], reason) is reason:
            _LOG.warning("left out (%d so far) %s", len(self.source.skipped), reason)

    def _augment(self, index: int, draws: Draws):
        tags = read_tags(self.source, index)
        crop, long_side = self.stream.crop, self.stream.long_side
        record = self.source.record(index)
        # A factor may keep every pixel, a long side bounds what is needed of them.
        least = 0 if long_side is None else long_side[1]
        if self.stream.aspect is not None:
            low, high = self.stream.aspect
            least = math.ceil(least * max(1 / low, high, 1) ** 0.5)
        photo = record.photo(least)
        window = draw_window(
            photo.height,
            photo.width,
            draws,
            crop=crop,
            long_side=long_side,
            scale=self.stream.scale,
            aspect=self.stream.aspect,
        )
        bottom, right = window.top + window.rows, window.left + window.columns
        valid = np.array([window.top, window.left, bottom, right], np.int32)
        example = (cut_image(photo.pixels, window, crop), valid, tags)
        if self.stream.with_masks:
            example += (cut_mask(self._mask(record, photo), window, crop),)
        if self.stream.saliency:
            file = Path(self.stream.saliency).expanduser() / f"{record.id}.png"
            grey = read_grey(file, (photo.height, photo.width))
            example += (cut_image(grey, window, crop),)
        return example

    def _mask(self, record: Record, photo: Photo) -> np.ndarray:
        mask = read_checked(record, photo)
        if mask is None:
            raise UserError(
                f"{self.source.name}: image {record.id!r} has no mask; add one, or set "
                "config.data.with_masks=False"
            )
        return mask


def _iterate(loader, position, rows, start_step) -> Iterator[DenseBatch]:
    crop, classes = crop_size(loader.stream.crop), len(loader.source.classes)
    layout = {
        "image": ((*crop, 3), np.uint8),
        "valid": ((4,), np.int32),
        "tags": ((classes,), np.float32),
    }
    if loader.stream.with_masks:
        layout["mask"] = (crop, np.int32)
    if loader.stream.saliency:
        layout["saliency"] = (crop, np.uint8)
    return batches(
        loader,
        layout,
        position=position,
        rows=rows,
        start_step=start_step,
        workers=loader.stream.workers,
    )


def batches(
    loader: Any,
    layout: dict[str, tuple[tuple[int, ...], Any]],
    *,
    position: Callable[[Any], Any],
    rows: int,
    start_step: int,
    workers: int,
) -> Iterator[dict[str, np.ndarray]]:
    """Endless batches of what a loader makes, as tf.data.

    Args:
        loader: position -> arrays in the order of `layout`; `error` is what stopped it.
        layout: name -> shape and type of one row.
        position: number of a row of this process -> its position in the stream.
        rows: of a batch.
        start_step: number of the first batch.
        workers: rows prepared at a time; 0 lets tf.data choose.
    """
    import tensorflow as tf  # takes seconds, and only training needs it

    tf.config.set_visible_devices([], "GPU")  # the accelerator belongs to JAX

    def load(count):
        types = [tf.as_dtype(dtype) for _, dtype in layout.values()]
        arrays = tf.numpy_function(loader, [position(count)], types, stateful=False)
        for array, (shape, _) in zip(arrays, layout.values(), strict=True):
            array.set_shape(shape)
        return dict(zip(layout, arrays, strict=True))

    dataset = (
        tf.data.Dataset.range(start_step * rows, _FOREVER)
        .map(load, num_parallel_calls=workers or tf.data.AUTOTUNE, deterministic=True)
        .batch(rows, drop_remainder=True)
        .prefetch(2)
    )
    stream = _as_numpy(dataset, loader, tf.errors.OpError)
    _OPEN.add(stream)
    return stream


def _as_numpy(dataset, loader, failure) -> Iterator[DenseBatch]:
    try:
        yield from dataset.as_numpy_iterator()
    except failure:
        if loader.error is None:
            raise
        raise loader.error from None
