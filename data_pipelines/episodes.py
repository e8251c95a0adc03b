"""Episodes as arrays: photos of a plan's rows, cut and with masks made of evidence.

Training episodes come as tf.data batches, episode t of a seed being a pure function of
(seed, t). Evaluation episodes are in `episode_examples`.
"""

import dataclasses
import logging
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from ppcjax.data_pipelines import settings
from ppcjax.data_pipelines import stream as streams
from ppcjax.data_pipelines.episode_arrays import (
    Evidence,
    Shot,
    assemble,
    cut,
    layout,
    whole,
)
from ppcjax.data_pipelines.episode_plans import (
    ClassIndex,
    Row,
    Shape,
    class_index,
    count_pixels,
    draw_row,
)
from ppcjax.data_pipelines.folds import class_ids
from ppcjax.data_pipelines.geometry import draw_window
from ppcjax.data_pipelines.order import Draws
from ppcjax.data_pipelines.sources.base import Source, read_checked

from ppcjax.types import IGNORE, EpisodeBatch, UserError

_LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, kw_only=True)
class EpisodeSettings:
    """The settings of training episodes in config.data.

    batch_size: episodes in a global batch, over all processes.
    crop: side of the square canvas, pixels.
    way, shot, query, least_shot: see episode_plans.Shape.
    novel: classes that training never learns, by name or fold, see folds.class_ids.
    validation_classes: others that it never learns, on which checkpoints are chosen.
    train_classes: classes of the training episodes; empty: all that are not held out.
    with_novel: what becomes of training photos that show held-out classes: "drop"
        leaves them out; in "background" those pixels are background (PANet), in
        "ignore" void.
    support_void, other_ways: see Evidence.
    min_pixels: fewest pixels of a class in a photo that is drawn for it.
    fit: "squash" resizes photos to the canvas, whatever their shape (PANet); "crop"
        resizes by `long_side` or `scale`, then crops.
    long_side, scale: see dense.StreamSettings.
    flip: whether photos are mirrored at random, where they are squashed; crops are.
    index: file that keeps the class counts of the training photos; "" for none.
    on_bad_image: "stop" raises; "skip" leaves photos without a usable mask out, and
        draws another episode where a photo is unreadable.
    workers: episodes prepared at a time; 0 lets tf.data choose.
    """

    batch_size: int
    crop: int
    way: int
    shot: int
    query: int = 1
    least_shot: int = 0
    novel: Sequence[str] = ()
    validation_classes: Sequence[str] = ()
    train_classes: Sequence[str] = ()
    with_novel: str = "drop"
    support_void: str = "ignore"
    other_ways: str = "ignore"
    min_pixels: int = 1
    fit: str = "squash"
    long_side: tuple[int, int] | None = None
    scale: tuple[float, float] | None = None
    flip: bool = True
    index: str = ""
    on_bad_image: str = "stop"
    workers: int = 0

    def __post_init__(self):
        """Raises UserError naming the setting that is wrong."""
        for name, least in (
            *(("batch_size", 1), ("crop", 1), ("way", 1), ("shot", 1), ("query", 1)),
            *(("least_shot", 0), ("min_pixels", 0), ("workers", 0)),
        ):
            settings.whole_number(name, getattr(self, name), least=least)
        if self.least_shot > self.shot:
            raise UserError(
                f"config.data.least_shot={self.least_shot} is above "
                f"config.data.shot={self.shot}; lower it"
            )
        settings.one_of("with_novel", self.with_novel, ("drop", "background", "ignore"))
        settings.one_of("fit", self.fit, ("squash", "crop"))
        settings.one_of("on_bad_image", self.on_bad_image, ("stop", "skip"))
        if (self.fit == "crop") != ((self.long_side is None) != (self.scale is None)):
            raise UserError(
                "config.data.fit='crop' needs one of config.data.long_side and "
                "config.data.scale; fit='squash' needs neither"
            )

    @property
    def shape(self) -> Shape:
        """Of the episodes."""
        return Shape(self.way, self.shot, self.query, self.least_shot)


def make_train(
    data: Any,
    source: Source,
    *,
    seed: int,
    batch_size: int | None = None,
    start_step: int = 0,
    process_index: int = 0,
    process_count: int = 1,
) -> Iterator[EpisodeBatch]:
    """Endless batches of training episodes; arguments as of dense.make_train."""
    known = (*settings.STREAM, *settings.EPISODES)
    chosen = {k: v for k, v in settings.fields(data).items() if k in known}
    if batch_size is not None:
        chosen["batch_size"] = batch_size
    stream = settings.call(EpisodeSettings, chosen, where="training on episodes")
    return streams.batches(
        _Loader(source, seed, stream),
        layout(stream.shape, stream.crop),
        batch_size=stream.batch_size,
        start_step=start_step,
        process_index=process_index,
        process_count=process_count,
        workers=stream.workers,
    )


class _Loader:
    """position -> the arrays of one training episode; keeps what stopped it."""

    def __init__(self, source: Source, seed: int, stream: EpisodeSettings):
        self.source = source
        self.seed = seed
        self.stream = stream
        self.error: UserError | None = None
        self.evidence = Evidence(
            support_void=stream.support_void, other_ways=stream.other_ways
        )
        self.held_out = held_out(stream, source.classes)
        counts = count_pixels(source, stream.index, skip=stream.on_bad_image == "skip")
        report = leak_report(source, counts, self.held_out, stream.with_novel)
        _LOG.warning("%s", report)
        self.index = training_index(source, counts, stream)

    def __call__(self, position: int):
        try:
            return self._load(int(position))
        except UserError as error:
            self.error = error
            raise

    def _load(self, position: int):
        draws = Draws(self.seed, position)
        for _ in range(100):
            row = Row.of(
                draw_row(self.index, self.stream.shape, draws), self.stream.shape
            )
            try:
                shot_of = partial(self._shot, draws)
                return tuple(
                    assemble(row, self.stream.crop, self.evidence, shot_of).values()
                )
            except UserError as error:
                if self.stream.on_bad_image == "stop":
                    raise
                _LOG.warning("episode %d is drawn again: %s", position, error)
        raise UserError(f"{self.source.name}: 100 episodes in turn had unusable photos")

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
    index.check(stream.shape)
    return index


def leak_report(
    source: Source, counts: np.ndarray, novel: Sequence[int], with_novel: str
) -> str:
    """One line: how many photos show classes that are held out, and what they become.

    Args:
        source: the training photos.
        counts: [photos, C] of `count_pixels`.
        novel: ids of held-out classes.
        with_novel: as in EpisodeSettings.
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
