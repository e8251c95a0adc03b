"""Training batches with geometric augmentation, as tf.data on the host CPU.

Colour belongs to the device.

How rows become a stream is in `stream`.
"""

import dataclasses
import math
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from ppcjax.data_pipelines import settings
from ppcjax.data_pipelines import stream as streams
from ppcjax.data_pipelines.geometry import crop_size, cut_image, cut_mask, draw_window
from ppcjax.data_pipelines.images import Photo, read_grey
from ppcjax.data_pipelines.order import Draws
from ppcjax.data_pipelines.sources.base import Record, Source, read_checked, read_tags

from ppcjax.types import DenseBatch, UserError


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
    if source.untagged and stream.on_bad_image == "stop":
        raise UserError(source.untagged[min(source.untagged)])
    augment = partial(_augment, source, stream)
    return streams.batches(
        streams.Loader(source, seed, augment, on_bad_image=stream.on_bad_image),
        _layout(stream, len(source.classes)),
        batch_size=stream.batch_size,
        start_step=start_step,
        process_index=process_index,
        process_count=process_count,
        workers=stream.workers,
    )


def _layout(stream: StreamSettings, classes: int) -> dict:
    crop = crop_size(stream.crop)
    layout = {
        "image": ((*crop, 3), np.uint8),
        "valid": ((4,), np.int32),
        "tags": ((classes,), np.float32),
    }
    if stream.with_masks:
        layout["mask"] = (crop, np.int32)
    if stream.saliency:
        layout["saliency"] = (crop, np.uint8)
    return layout


def _augment(source: Source, stream: StreamSettings, index: int, draws: Draws) -> tuple:
    """One image at an index, in the order of `_layout`."""
    tags = read_tags(source, index)
    crop, long_side = stream.crop, stream.long_side
    record = source.record(index)
    # A factor may keep every pixel, a long side bounds what is needed of them.
    least = 0 if long_side is None else long_side[1]
    if stream.aspect is not None:
        low, high = stream.aspect
        least = math.ceil(least * max(1 / low, high, 1) ** 0.5)
    photo = record.photo(least)
    window = draw_window(
        photo.height,
        photo.width,
        draws,
        crop=crop,
        long_side=long_side,
        scale=stream.scale,
        aspect=stream.aspect,
    )
    bottom, right = window.top + window.rows, window.left + window.columns
    valid = np.array([window.top, window.left, bottom, right], np.int32)
    example = (cut_image(photo.pixels, window, crop), valid, tags)
    if stream.with_masks:
        example += (cut_mask(_mask(source, record, photo), window, crop),)
    if stream.saliency:
        file = Path(stream.saliency).expanduser() / f"{record.id}.png"
        grey = read_grey(file, (photo.height, photo.width))
        example += (cut_image(grey, window, crop),)
    return example


def _mask(source: Source, record: Record, photo: Photo) -> np.ndarray:
    mask = read_checked(record, photo)
    if mask is None:
        raise UserError(
            f"{source.name}: image {record.id!r} has no mask; add one, or set "
            "config.data.with_masks=False"
        )
    return mask
