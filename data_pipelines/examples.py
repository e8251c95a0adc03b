"""Evaluation examples: one pass in order, without TensorFlow.

Photos have their full size, but for very large ones, see `large`.
"""

import logging
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from ppcjax.data_pipelines import large, settings
from ppcjax.data_pipelines.images import Photo, why_left_out
from ppcjax.data_pipelines.settings import OnBadImage
from ppcjax.data_pipelines.sources.base import Source, read_checked
from ppcjax.types import UserError

_LOG = logging.getLogger(__name__)


class Example(NamedTuple):
    """One image to evaluate.

    id: name of the image, one of source.ids.
    image: [H, W, 3] uint8 RGB; of a very large photo, reduced.
    tags: [C] float32 in {0, 1}, background 1; None where unknown.
    mask: [H, W] int32 in 0..C-1 or IGNORE; None where there is none. Of a reduced
        photo, the pixels of its mask that are nearest.
    full_size: rows and columns of the photo where it was reduced, else None.
    """

    id: str
    image: np.ndarray
    tags: np.ndarray | None
    mask: np.ndarray | None
    full_size: tuple[int, int] | None = None


def make_eval(data: Any, source: Source) -> Iterator[Example]:
    """All images of a source once, in the order of source.ids.

    Args:
        data: config.data; on_bad_image="skip" leaves unusable images out and notes the
            reason in source.skipped, "stop" (the default) raises.
        source: what make_source made.

    Raises:
        UserError: an image, its mask or its tags are unusable (while iterating).
    """
    return settings.make(eval_stream, data, what="evaluation", source=source)


def eval_stream(
    source: Source, *, on_bad_image: OnBadImage = "stop"
) -> Iterator[Example]:
    """All images of a source once; see make_eval.

    Args:
        source: where the images are.
        on_bad_image: "stop" raises; "skip" leaves unusable images out and notes the
            reason in source.skipped.
    """
    return _examples(source, skip=on_bad_image == "skip")


def _examples(source: Source, *, skip: bool) -> Iterator[Example]:
    count = 0  # of reduced photos
    for index in range(len(source)):
        try:
            record = source.record(index)
            photo = record.photo(0)
            mask = read_checked(record, photo)
            example = _example(record.id, photo, record.tags(), mask)
        except UserError as error:
            if not skip:
                raise
            source.skipped[source.ids[index]] = reason = why_left_out(error)
            _LOG.warning("left out (%d so far) %s", len(source.skipped), reason)
            continue
        if example.full_size is not None:
            count += 1
            if count == 1:
                _LOG.warning("%s", large.said(example.id, photo))
        yield example
    if count > 1:
        _LOG.warning("%d photos were predicted reduced", count)


def _example(name: str, photo: Photo, tags, mask) -> Example:
    image, full = large.reduced(photo), (photo.height, photo.width)
    if image.shape[:2] == full:
        return Example(name, image, tags, mask)
    if mask is not None:
        mask = large.nearest(mask, image.shape[:2])
    return Example(name, image, tags, mask, full)
