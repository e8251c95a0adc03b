"""Evaluation episodes: the rows of a plan, one by one, without TensorFlow."""

from collections.abc import Callable, Iterator
from typing import Annotated, NamedTuple

import numpy as np

from ppcjax import fields
from ppcjax.data_pipelines.episodes import marks as drawn
from ppcjax.data_pipelines.episodes.arrays import Evidence, Shot, assemble, cut, whole
from ppcjax.data_pipelines.episodes.plans import Row, Shape
from ppcjax.data_pipelines.sources.base import Source, read_checked
from ppcjax.fields import OneOf
from ppcjax.types import UserError

FITS = ("squash", "pad", "keep")
SCORES = ("input", "original")


class EpisodeExample(NamedTuple):
    """One episode to evaluate.

    row: row of the plan.
    arrays: those of an EpisodeBatch, without the batch axis.
    truths: mask of each query, [H, W] int32 in 0..N or IGNORE, at the size that is
        scored.
    """

    row: Row
    arrays: dict[str, np.ndarray]
    truths: list[np.ndarray]


def make_eval(
    source: Source,
    plan: np.ndarray,
    shape: Shape,
    *,
    fit: str,
    size: int,
    score: str,
    evidence: Evidence,
    canvas: Callable[[int], int],
    marks: str = "masks",
) -> Iterator[EpisodeExample]:
    """The episodes of a plan, in its order.

    Args:
        source: whose photos the plan names.
        plan: [episodes, columns].
        shape: size of its episodes.
        fit: "squash" resizes photos to `size` x `size`; "pad" keeps their shape, with
            `size` as the longer side; "keep" leaves them as they are.
        size: pixels; the side of the canvas but for "keep".
        score: whether queries are scored as large as the network sees them ("input")
            or as they are ("original").
        evidence: how the masks of supports are read.
        canvas: side -> side of the canvas, for "keep".
        marks: what supports are marked with, one of `marks.MARKS`.

    Raises:
        UserError: a photo or its mask is unusable (while iterating).
    """
    fields.check(Annotated[str, OneOf(FITS)], fit, "config.eval.fit")
    fields.check(Annotated[str, OneOf(SCORES)], score, "config.eval.score")
    for values in plan:
        row = Row.of(values, shape)
        photos = {i: _read(source, i) for i in {*row.supports.flat, *row.queries}}
        photos.pop(-1, None)
        side = size
        if fit == "keep":
            side = canvas(max(max(mask.shape) for _, mask in photos.values()))
        shots = {i: _fitted(*photo, fit, side) for i, photo in photos.items()}
        arrays = assemble(row, side, evidence, shots.__getitem__)
        for place in zip(*np.nonzero(arrays["shot_valid"]), strict=True):
            mask = arrays["support_mask"][place]
            arrays["support_mask"][place] = drawn.draw(marks, mask)
        truths = []
        for q, i in enumerate(row.queries.tolist()):
            if score == "input":
                _, _, bottom, right = arrays["query_valid"][q]
                truths.append(arrays["query_mask"][q, :bottom, :right])
            else:
                truths.append(evidence.query(photos[i][1], row.classes))
        yield EpisodeExample(row, arrays, truths)


def _read(source: Source, index: int):
    """Pixels [H, W, 3] and mask [H, W] of a photo; None for a missing shot."""
    if index < 0:
        return None
    record = source.record(int(index))
    photo = record.photo(0)
    mask = read_checked(record, photo)
    if mask is None:
        raise UserError(f"{source.name}: image {record.id!r} has no mask; add one")
    return photo.pixels, mask


def _fitted(pixels: np.ndarray, mask: np.ndarray, fit: str, side: int) -> Shot:
    height, width = mask.shape
    if fit == "squash":
        height = width = side
    elif fit == "pad":
        longer = max(height, width)
        height, width = (max(round(n * side / longer), 1) for n in (height, width))
    return cut(pixels, mask, whole(height, width), side)
