"""Training episodes: photos of drawn rows, cut, with masks made of evidence.

They come as tf.data batches; episode t of a seed is a pure function of (seed, t).
Episodes to evaluate are in `examples`.
"""

import dataclasses
import logging
from collections.abc import Sequence
from functools import partial
from typing import Annotated, Literal

import numpy as np

from ppcjax.data_pipelines.episodes.arrays import (
    Evidence,
    Shot,
    assemble,
    cut,
    layout,
    whole,
)
from ppcjax.data_pipelines.episodes.folds import class_ids
from ppcjax.data_pipelines.episodes.plans import (
    ClassIndex,
    Row,
    Shape,
    class_index,
    count_pixels,
    draw_row,
)
from ppcjax.data_pipelines.geometry import draw_window
from ppcjax.data_pipelines.order import Draws
from ppcjax.data_pipelines.settings import (
    Batch,
    Count,
    Factors,
    OnBadImage,
    Side,
    Sides,
    Workers,
)
from ppcjax.data_pipelines.sources.base import Source, read_checked
from ppcjax.data_pipelines.stream import Reader, Rows
from ppcjax.fields import Free, Range, kinds
from ppcjax.types import IGNORE, UserError

_LOG = logging.getLogger(__name__)
_TRIES = 100  # episodes drawn in place of one with an unreadable photo


@dataclasses.dataclass(frozen=True, kw_only=True)
class EpisodeSettings:
    """The settings of training episodes in config.data.

    batch_size: episodes in a global batch, over all processes.
    crop: side of the square canvas.
    way: classes of an episode.
    shot: masked examples of each class, at most.
    query: photos of an episode in which its classes are sought.
    least_shot: smallest number of examples, drawn for each episode; 0: always `shot`.
    novel: classes that training never learns, by name or by fold ("pascal-5i:0").
    validation_classes: others that it never learns, on which checkpoints are chosen.
    train_classes: classes of the training episodes; empty: all that are not held out.
    sampling: how an episode is drawn: "class", a class, then photos of it (PANet), so
        that all classes are met alike, however few photos they have; or "image", the
        query among all photos, then one of its classes (ASGNet), so that all photos
        are.
    with_novel: what becomes of training photos that show held-out classes: "drop"
        leaves them out; in "background" those pixels are background (PANet), in
        "ignore" void.
    evidence: what the masks of examples say.
    min_pixels: fewest pixels of a class in a photo that is drawn for it.
    fit: "squash" resizes photos to the canvas, whatever their shape (PANet); "crop"
        resizes by `long_side` or `scale`, then crops.
    long_side: range of the longer side after resizing, both ends included.
    scale: range of the factor by which photos are resized, in place of `long_side`.
    flip: whether half of the photos are mirrored, at random.
    index: file that keeps the class counts of the training photos; "" for none.
    on_bad_image: "stop" raises; "skip" leaves photos without a usable mask out, and
        draws another episode where a photo is unreadable.
    workers: episodes prepared at a time; 0 lets tf.data choose.
    """

    batch_size: Batch
    crop: Side
    way: Count
    shot: Count
    query: Count = 1
    least_shot: Annotated[int, Range(0, 1000)] = 0
    novel: tuple[str, ...] = ()
    validation_classes: tuple[str, ...] = ()
    train_classes: tuple[str, ...] = ()
    sampling: Literal["class", "image"] = "class"
    with_novel: Literal["drop", "background", "ignore"] = "drop"
    evidence: Evidence = Evidence()
    min_pixels: Annotated[kinds.Total, "pixels"] = 1
    fit: Literal["squash", "crop"] = "squash"
    long_side: Sides | None = None
    scale: Factors | None = None
    flip: bool = True
    index: Annotated[str, Free()] = ""
    on_bad_image: OnBadImage = "stop"
    workers: Workers = 0

    def __post_init__(self):
        """Raises UserError where two settings do not go together."""
        if self.least_shot > self.shot:
            raise UserError(
                f"config.data.least_shot={self.least_shot} is above "
                f"config.data.shot={self.shot}; lower it"
            )
        if self.sampling == "image" and (self.way, self.query) != (1, 1):
            raise UserError(
                "config.data.sampling='image' is for episodes of one class and one "
                "query; set config.data.way=1 and config.data.query=1"
            )
        if (self.fit == "crop") != ((self.long_side is None) != (self.scale is None)):
            raise UserError(
                "config.data.fit='crop' needs one of config.data.long_side and "
                "config.data.scale; fit='squash' needs neither"
            )

    @property
    def shape(self) -> Shape:
        """Classes, examples and queries of an episode."""
        return Shape(self.way, self.shot, self.query, self.least_shot)


def rows(stream: EpisodeSettings, source: Source, seed: int) -> Rows:
    """Rows of EpisodeBatches: one drawn episode each; reads all masks first.

    Raises:
        UserError: the held-out classes do not fit the source, or a class has too few
            photos.
    """
    return Rows(_Episodes(source, seed, stream), layout(stream.shape, stream.crop))


READER = Reader(EpisodeSettings, rows, "episodes")


class _Episodes:
    """position -> the arrays of one training episode."""

    def __init__(self, source: Source, seed: int, stream: EpisodeSettings):
        self.source = source
        self.seed = seed
        self.stream = stream
        self.held_out = held_out(stream, source.classes)
        counts = count_pixels(source, stream.index, skip=stream.on_bad_image == "skip")
        report = leak_report(source, counts, self.held_out, stream.with_novel)
        _LOG.warning("%s", report)
        self.index = training_index(source, counts, stream)

    def __call__(self, position: int):
        stream, draws = self.stream, Draws(self.seed, position)
        for _ in range(_TRIES):
            drawn = draw_row(self.index, stream.shape, draws, sampling=stream.sampling)
            row = Row.of(drawn, stream.shape)
            try:
                shot_of = partial(self._shot, draws)
                arrays = assemble(row, stream.crop, stream.evidence, shot_of)
                return tuple(arrays.values())
            except UserError as error:
                if stream.on_bad_image == "stop":
                    raise
                _LOG.warning("episode %d is drawn again: %s", position, error)
        raise UserError(
            f"{self.source.name}: {_TRIES} episodes in turn had unusable photos"
        )

    def _shot(self, draws: Draws, index: int) -> Shot:
        stream, record = self.stream, self.source.record(index)
        squash = stream.fit == "squash"
        least = stream.crop if squash else (stream.long_side or (0, 0))[1]
        photo = record.photo(least)
        mask = read_checked(record, photo)
        hidden = IGNORE if stream.with_novel == "ignore" else 0
        mask = np.where(np.isin(mask, self.held_out), hidden, mask)
        if squash:
            flip = stream.flip and draws.integer(0, 1) == 1
            window = whole(stream.crop, stream.crop, flip=flip)
        else:
            window = draw_window(
                photo.height,
                photo.width,
                draws,
                crop=stream.crop,
                long_side=stream.long_side,
                scale=stream.scale,
            )
            window = window if stream.flip else window._replace(flip=False)
        return cut(photo.pixels, mask, window, stream.crop)


def held_out(stream: EpisodeSettings, classes: Sequence[str]) -> list[int]:
    """Ids of the classes that training never learns; UserError if one is in both."""
    novel, validation = (
        class_ids(f"config.data.{name}", getattr(stream, name), classes)
        for name in ("novel", "validation_classes")
    )
    _check_apart("validation_classes", validation, "novel", novel, classes)
    return sorted([*novel, *validation])


def _check_apart(field, ids, other, of_other, classes) -> None:
    both = sorted(set(ids) & set(of_other))
    if both:
        raise UserError(
            f"config.data.{field}: {classes[both[0]]!r} is held out by "
            f"config.data.{other}; name it in one of them"
        )


def training_index(
    source: Source, counts: np.ndarray, stream: EpisodeSettings
) -> ClassIndex:
    """The photos and classes of the training episodes."""
    names = stream.train_classes
    chosen = class_ids("config.data.train_classes", names, source.classes)
    for field in ("novel", "validation_classes"):
        others = class_ids(
            f"config.data.{field}", getattr(stream, field), source.classes
        )
        _check_apart("train_classes", chosen, field, others, source.classes)
    without = held_out(stream, source.classes)
    every = range(1, len(source.classes))
    index = class_index(
        source,
        counts,
        chosen or [c for c in every if c not in without],
        min_pixels=stream.min_pixels,
        without=without if stream.with_novel == "drop" else (),
    )
    if not names:
        index = _without_rare(index, stream)
    index.check(stream.shape)
    return index


def _without_rare(index: ClassIndex, stream: EpisodeSettings) -> ClassIndex:
    """Without classes of too few photos, where others are enough; a line says which."""
    needed = stream.shape.shot + stream.shape.query
    rare = {
        c: len(photos)
        for c, photos in zip(index.classes, index.photos, strict=True)
        if len(photos) < needed
    }
    if not rare or len(index.classes) - len(rare) < stream.shape.way:
        return index
    _LOG.warning(
        "%s: classes with fewer than %d photos that show %d pixels of them are left "
        "out of training: %s",
        index.source,
        needed,
        stream.min_pixels,
        ", ".join(f"{index.names[c]} ({count})" for c, count in rare.items()),
    )
    return index.without(tuple(rare))


def leak_report(
    source: Source, counts: np.ndarray, novel: Sequence[int], with_novel: str
) -> str:
    """One line: how many photos show classes that are held out, and what they become.

    Args:
        source: the training photos.
        counts: [photos, C] of `count_pixels`.
        novel: ids of the held-out classes.
        with_novel: what becomes of such photos, a value of EpisodeSettings.
    """
    if not len(novel):
        return f"{source.name}: no class is held out (config.data.novel is empty)"
    shown = counts[:, list(novel)] > 0
    photos = int(shown.any(1).sum())
    each = ", ".join(
        f"{source.classes[c]} {n}" for c, n in zip(novel, shown.sum(0), strict=True)
    )
    fate = {
        "drop": "left out",
        "background": "kept, those pixels as background",
        "ignore": "kept, those pixels as void",
    }[with_novel]
    return (
        f"{source.name}: {photos} of {len(source)} photos show held-out classes "
        f"({each}) and are {fate}"
    )
