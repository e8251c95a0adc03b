"""Pairs of random crops of unlabelled photos, as tf.data on the host CPU.

Both views are cut from the same decoded photo, each with draws of its own, and know
where they lie in it. Colour belongs to the device. Randomness is that of `stream`.
"""

import dataclasses
from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from ppcjax.data_pipelines import settings
from ppcjax.data_pipelines import stream as streams
from ppcjax.data_pipelines.crops import crop_box, cut_crop, draw_crop, pixels_needed
from ppcjax.data_pipelines.order import Draws
from ppcjax.data_pipelines.sources.base import Source

from ppcjax.types import UserError, ViewBatch


@dataclasses.dataclass(frozen=True, kw_only=True)
class ViewSettings:
    """The settings of pairs of views in config.data.

    batch_size: photos in a global batch, over all processes; each gives two views.
    crop: side of the square views, pixels.
    scale: range of a crop's share of its photo's area, in (0, 1].
    ratio: range of a crop's width over its height.
    on_bad_image: "stop" raises; "skip" takes the next photo of the epoch's order
        and notes the reason in source.skipped.
    workers: photos prepared at a time; 0 lets tf.data choose.
    """

    batch_size: int
    crop: int
    scale: tuple[float, float] = (0.08, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    on_bad_image: str = "stop"
    workers: int = 0

    def __post_init__(self):
        """Raises UserError naming the setting that is wrong."""
        settings.whole_number("batch_size", self.batch_size, least=1)
        settings.whole_number("crop", self.crop, least=1)
        settings.whole_number("workers", self.workers, least=0)
        settings.one_of("on_bad_image", self.on_bad_image, ("stop", "skip"))
        settings.number_range("ratio", self.ratio, "width over height, above 0")
        settings.number_range("scale", self.scale, "share of the area, above 0")
        if self.scale[1] > 1:
            raise UserError(
                f"config.data.scale is {self.scale!r}; of views it is the share of "
                "the photo's area, at most 1"
            )

    @classmethod
    def of(cls, data: Any, **replaced: Any) -> "ViewSettings":
        """From config.data, of which fields that are not settings of views are left."""
        known = (*settings.STREAM, *settings.VIEWS)
        chosen = {k: v for k, v in settings.fields(data).items() if k in known}
        return settings.call(cls, chosen | replaced, where="training on views")


class Pair(NamedTuple):
    """Two views of one photo.

    image: [2, crop, crop, 3] uint8 RGB.
    box: [2, 4] float32 (x0, y0, x1, y1) of each in the photo, see crops.crop_box.
    """

    image: np.ndarray
    box: np.ndarray


class PairExample(NamedTuple):
    """A photo with two views of it, to evaluate.

    id: as in source.ids.
    pair: its views.
    """

    id: str
    pair: Pair


def make_train(
    data: Any,
    source: Source,
    *,
    seed: int,
    batch_size: int | None = None,
    start_step: int = 0,
    process_index: int = 0,
    process_count: int = 1,
) -> Iterator[ViewBatch]:
    """Endless batches of views; arguments as of dense.make_train.

    Returns:
        An iterator over ViewBatches of NumPy arrays with this process's rows: image
        [B, 2, crop, crop, 3] uint8 and box [B, 2, 4] float32.
    """
    replaced = {} if batch_size is None else {"batch_size": batch_size}
    stream = ViewSettings.of(data, **replaced)
    crop = stream.crop
    return streams.batches(
        streams.Loader(
            source,
            seed,
            partial(_views, source, stream),
            on_bad_image=stream.on_bad_image,
        ),
        {"image": ((2, crop, crop, 3), np.uint8), "box": ((2, 4), np.float32)},
        batch_size=stream.batch_size,
        start_step=start_step,
        process_index=process_index,
        process_count=process_count,
        workers=stream.workers,
    )


def make_eval(data: Any, source: Source, *, seed: int) -> Iterator[PairExample]:
    """A pair of views of every photo once, in order, without TensorFlow.

    Args:
        data: config.data; on_bad_image as there.
        source: what make_source made.
        seed: the views of photo i are a function of (seed, i).

    Raises:
        UserError: a setting is wrong, or a photo cannot be read (while iterating).
    """
    stream = ViewSettings.of(data)
    for index in range(len(source)):
        try:
            pair = Pair(*_views(source, stream, index, Draws(seed, index)))
        except UserError as error:
            if stream.on_bad_image == "stop":
                raise
            source.skipped[source.ids[index]] = str(error)
            continue
        yield PairExample(source.ids[index], pair)


def _views(source: Source, stream: ViewSettings, index: int, draws: Draws) -> tuple:
    """Image [2, crop, crop, 3] and box [2, 4] of a photo."""
    needed = pixels_needed(stream.crop, stream.scale, stream.ratio)
    photo = source.record(index).photo(needed)
    size = {"height": photo.height, "width": photo.width}
    crops = [
        draw_crop(**size, draws=draws, scale=stream.scale, ratio=stream.ratio)
        for _ in range(2)
    ]
    image = [cut_crop(photo.pixels, crop, stream.crop, **size) for crop in crops]
    return np.stack(image), np.stack([crop_box(crop, **size) for crop in crops])
