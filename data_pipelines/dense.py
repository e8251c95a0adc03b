"""Training batches with geometric augmentation, as tf.data on the host CPU.

Colour belongs to the device.

How rows become a stream is in `stream`.
"""

import dataclasses
import math
from functools import partial
from pathlib import Path

import numpy as np

from ppcjax.data_pipelines.geometry import crop_size, cut_image, cut_mask, draw_window
from ppcjax.data_pipelines.images import Photo, read_grey
from ppcjax.data_pipelines.order import Draws
from ppcjax.data_pipelines.settings import (
    Batch,
    Factors,
    Folder,
    OnBadImage,
    Side,
    Sides,
    Workers,
)
from ppcjax.data_pipelines.sources.base import Record, Source, read_checked, read_tags
from ppcjax.data_pipelines.stream import InTurn, Layout, Reader, Rows
from ppcjax.types import UserError


@dataclasses.dataclass(frozen=True, kw_only=True)
class StreamSettings:
    """The settings of training batches in config.data.

    batch_size: images in a global batch, over all processes.
    crop: side of the square canvas, or its (rows, columns); images may be smaller.
    long_side: range of the longer side after resizing, both ends included.
    scale: range of the factor by which images are resized, in place of `long_side`.
    aspect: range of a; columns are resized by sqrt(a) more and rows by sqrt(a) less.
        None: the shape stays.
    flip: whether half of the images are mirrored, at random.
    on_bad_image: "stop" raises; "skip" takes the next image of the epoch's order
        and notes the reason in source.skipped.
    with_masks: whether batches hold "mask"; every image must then have one.
    saliency: folder of grey maps ID.png; where given, batches hold "saliency",
        [B, rows, columns] uint8, cut as the image is. "" for none.
    workers: images prepared at a time; 0 lets tf.data choose.
    """

    batch_size: Batch
    crop: Side | tuple[Side, Side]
    long_side: Sides | None = None
    scale: Factors | None = None
    aspect: Factors | None = None
    flip: bool = True
    on_bad_image: OnBadImage = "stop"
    with_masks: bool = False
    saliency: Folder = ""
    workers: Workers = 0

    def __post_init__(self):
        """Raises UserError where images have no size, or two."""
        if (self.long_side is None) == (self.scale is None):
            raise UserError(
                "config.data.long_side and config.data.scale: give one of them, the "
                "range of the longer side in pixels or of the factor of resizing"
            )


def rows(stream: StreamSettings, source: Source, seed: int) -> Rows:
    """Rows of DenseBatches: one augmented image each.

    Raises:
        UserError: an image has no tag, nor a mask that tells it, and such images are
            not to be skipped.
    """
    needed = stream.on_bad_image == "stop" and not stream.with_masks
    if source.untagged and needed:
        raise UserError(source.untagged[min(source.untagged)])
    augment = partial(_augment, source, stream)
    photos = InTurn(source, seed, augment, on_bad_image=stream.on_bad_image)
    return Rows(photos, _layout(stream, len(source.classes)))


READER = Reader(StreamSettings, rows, "photos")


def _layout(stream: StreamSettings, classes: int) -> Layout:
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
    tags = None if stream.with_masks else read_tags(source, index)
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
    window = window if stream.flip else window._replace(flip=False)
    bottom, right = window.top + window.rows, window.left + window.columns
    valid = np.array([window.top, window.left, bottom, right], np.int32)
    mask = _mask(source, record, photo) if stream.with_masks else None
    if tags is None:
        tags = read_tags(source, index, mask)
    example = (cut_image(photo.pixels, window, crop), valid, tags)
    if mask is not None:
        example += (cut_mask(mask, window, crop),)
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
