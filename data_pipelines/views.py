"""Pairs of random crops of unlabelled photos, as tf.data on the host CPU.

Both views are cut from the same decoded photo, each with draws of its own, and know
where they lie in it. Colour belongs to the device. Randomness is that of `stream`.
"""

import dataclasses
from collections.abc import Iterator
from functools import partial
from typing import Annotated, Any, NamedTuple

import numpy as np

from ppcjax.data_pipelines import settings
from ppcjax.data_pipelines.crops import crop_box, cut_crop, draw_crop, pixels_needed
from ppcjax.data_pipelines.order import Draws
from ppcjax.data_pipelines.settings import Batch, Factors, OnBadImage, Side, Workers
from ppcjax.data_pipelines.sources.base import Source
from ppcjax.data_pipelines.stream import InTurn, Reader, Rows
from ppcjax.fields import Ordered, Range
from ppcjax.types import UserError

_AreaShare = Annotated[float, Range(above=0, most=1)]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ViewSettings:
    """The settings of pairs of views in config.data.

    batch_size: photos in a global batch, over all processes; each gives two views.
    crop: side of the square views.
    scale: range of a crop's share of its photo's area.
    ratio: range of a crop's width over its height.
    on_bad_image: "stop" raises; "skip" takes the next photo of the epoch's order
        and notes the reason in source.skipped.
    workers: photos prepared at a time; 0 lets tf.data choose.
    """

    batch_size: Batch
    crop: Side
    scale: Annotated[tuple[_AreaShare, _AreaShare], Ordered()] = (0.08, 1.0)
    ratio: Factors = (3 / 4, 4 / 3)
    on_bad_image: OnBadImage = "stop"
    workers: Workers = 0

    @classmethod
    def of(cls, data: Any) -> "ViewSettings":
        """From config.data; its other fields are passed over."""
        return settings.make(cls, data, what="training on views")


class Pair(NamedTuple):
    """Two views of one photo.

    image: [2, crop, crop, 3] uint8 RGB.
    box: [2, 4] float32 (x0, y0, x1, y1) of each in the photo, see crops.crop_box.
    """

    image: np.ndarray
    box: np.ndarray


class PairExample(NamedTuple):
    """A photo with two views of it, to evaluate.

    id: name of the photo, one of source.ids.
    pair: its views.
    """

    id: str
    pair: Pair


def rows(stream: ViewSettings, source: Source, seed: int) -> Rows:
    """Rows of ViewBatches: two views of one photo each."""
    views = partial(_views, source, stream)
    crop = stream.crop
    return Rows(
        InTurn(source, seed, views, on_bad_image=stream.on_bad_image),
        {"image": ((2, crop, crop, 3), np.uint8), "box": ((2, 4), np.float32)},
    )


READER = Reader(ViewSettings, rows, "views")


def make_eval(data: Any, source: Source, *, seed: int) -> Iterator[PairExample]:
    """A pair of views of every photo once, in order, without TensorFlow.

    Args:
        data: config.data; the fields of ViewSettings are read.
        source: what make_source made.
        seed: number that decides the views: those of photo i are a function of
            (seed, i).

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
