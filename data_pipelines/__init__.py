"""The data side: sources, training batches, evaluation examples.

Imports nothing of ppcjax but types and fields; TensorFlow only while training batches
are made.
"""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from ppcjax import fields
from ppcjax.console import screen
from ppcjax.data_pipelines import dense, settings, views
from ppcjax.data_pipelines.episodes import training as episodes
from ppcjax.data_pipelines.examples import Example, make_eval
from ppcjax.data_pipelines.settings import WHERE, Folder
from ppcjax.data_pipelines.sources import CLASSES, SOURCES, SPLITS, Record, Source
from ppcjax.data_pipelines.sources.replaced import replace_masks
from ppcjax.data_pipelines.sources.subset import few
from ppcjax.data_pipelines.stream import batches
from ppcjax.fields import Free, Name, OneOf, kinds
from ppcjax.types import UserError

__all__ = [
    "READERS",
    "SOURCES",
    "Example",
    "Record",
    "Source",
    "check",
    "class_names",
    "make_eval",
    "make_source",
    "make_train",
]

# What training batches hold, by what a method says that it reads.
READERS = {"dense": dense.READER, "episodes": episodes.READER, "views": views.READER}
STREAM_FIELDS = {n for r in READERS.values() for n in fields.fields_of(r.settings)}


@dataclasses.dataclass(frozen=True, kw_only=True)
class SourceSettings:
    """What config.data says of its source, whichever it is.

    source: which data set is read, a key of SOURCES, whose settings are fields of
        config.data too.
    masks: folder of masks to learn from in place of the source's own, each named as
        its image; "" for its own.
    eval_masks: folder of masks to compare results with in place of the source's own,
        each named as its image; "" for its own.
    limit: how many images of the split `train_split` are learnt from; 0: all. With
        `with_masks` they are drawn among those with a mask.
    limit_seed: which images a limit draws; those of a smaller limit are among those of
        a larger one.
    """

    source: Annotated[str, OneOf(SOURCES)]
    masks: Folder = ""
    eval_masks: Annotated[str, Free()] = ""
    limit: Annotated[kinds.Total, "images"] = 0
    limit_seed: kinds.Seed = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class SplitSettings:
    """Which splits of the source a run uses, by the names that the source gives them.

    train_split: split that is learnt from.
    eval_split: split that is evaluated where none is named.
    val_split: split on which thresholds and checkpoints are chosen; "" for none.
    """

    train_split: Annotated[str, Name()]
    eval_split: Annotated[str, Name(), Free()]
    val_split: Annotated[Literal[""] | Annotated[str, Name()], Free()] = ""


def check(data: Any, reads: str) -> None:
    """Checks all of config.data before anything is opened.

    Args:
        data: config.data.
        reads: what the method reads, a key of READERS.

    Raises:
        UserError: a field is unknown or missing, or its value is not allowed.
    """
    given = settings.as_dict(data)
    name = settings.make(SourceSettings, given, what="config.data").source
    reader = READERS[reads]
    training = f"training on {reader.what}"
    whole = {
        SourceSettings: "config.data",
        SplitSettings: "config.data",
        reader.settings: training,
    }
    known = {n for d in (*whole, SOURCES[name]) for n in fields.fields_of(d)}
    unknown = sorted(set(given) - known)
    if unknown:
        raise UserError(
            f"{WHERE}.{unknown[0]} is not a setting of source {name}, nor of "
            f"{training}; the settings are {', '.join(sorted(known))}"
        )
    fields.checked(
        SOURCES[name],
        settings.declared_in(given, SOURCES[name]),
        where=WHERE,
        what=f"source {name}",
    )
    for declared, what in whole.items():
        settings.make(declared, given, what=what)
    for split in fields.fields_of(SplitSettings):
        there = SPLITS.get(name, ())
        if there and given.get(split) and given[split] not in there:
            raise UserError(
                f"{WHERE}.{split}={given[split]!r}: source {name} has no such split; "
                f"give one of {', '.join(there)}"
            )


@screen.waiting("reading the data")
def make_source(
    data: Any,
    split: str,
    *,
    reads: str = "dense",
    classes: tuple[str, ...] | None = None,
    evaluation: bool = False,
    lists: Path | None = None,
) -> Source:
    """A split of the data set that config.data describes.

    Args:
        data: config.data; fields of SourceSettings and of the named source are read.
        split: name of the split.
        reads: what the method reads, a key of READERS; views need no tags.
        classes: names that a checkpoint was trained with, background first; the source
            must have these. None = whatever the data has.
        evaluation: whether masks are to be compared with, not learnt from: then
            `eval_masks` count, which are rarely those that a segmenter learns from.
        lists: folder with the lists of splits that a run keeps; None for none.

    Raises:
        UserError: a setting is wrong, or the data is missing or malformed.
    """
    given = settings.as_dict(data)
    common = settings.make(SourceSettings, given, what="config.data")
    others = STREAM_FIELDS.union(
        fields.fields_of(SourceSettings), fields.fields_of(SplitSettings)
    )
    own = {name: value for name, value in given.items() if name not in others}
    extra: dict[str, Any] = {"split": split}
    if common.source == "folder":
        extra["tagged"] = reads != "views"
        extra["lists"] = lists
        if classes:
            has_background = given.get("background", True)
            extra["trained"] = tuple(classes[1:] if has_background else classes)
    make, what = SOURCES[common.source], f"source {common.source}"
    source = fields.build(make, own, where=WHERE, what=what, **extra)
    if classes and tuple(classes) != source.classes:
        raise UserError(
            f"{source.name}: has the classes {', '.join(source.classes)}, but the "
            f"checkpoint was trained with {', '.join(classes)}; use its own data"
        )
    setting = "eval_masks" if evaluation else "masks"
    masks = common.eval_masks if evaluation else common.masks
    if masks:
        # They hold class ids; void ids of other numbers are none of theirs.
        void = () if given.get("label_ids") else tuple(given.get("void", ()))
        source = replace_masks(source, masks, void, setting=setting)
    if common.limit and split == given.get("train_split") and not evaluation:
        masked = bool(given.get("with_masks"))
        source = few(source, common.limit, seed=common.limit_seed, masked=masked)
    return source


def class_names(data: Any, *, reads: str) -> tuple[str, ...]:
    """Names by class id of the data that config.data describes.

    The data itself is opened only where neither its data set nor a list in the config
    fixes them.

    Args:
        data: config.data.
        reads: what the method reads, a key of READERS.

    Raises:
        UserError: the data is needed, and missing or malformed.
    """
    given = settings.as_dict(data)
    source, names = given.get("source"), given.get("classes")
    if source in CLASSES:
        return CLASSES[source]
    if isinstance(names, list | tuple) and names:
        first = ("background",) if given.get("background", True) else ()
        return (*first, *(name for name in names if (name,) != first))
    split = "all" if source == "folder" else given["eval_split"]
    return make_source(data, split, reads=reads).classes


def make_train(
    data: Any,
    source: Source,
    *,
    reads: str,
    seed: int,
    batch_size: int | None = None,
    start_step: int = 0,
    process_index: int = 0,
    process_count: int = 1,
) -> Iterator[dict[str, Any]]:
    """Endless training batches of NumPy arrays, this process's rows of each.

    Args:
        data: config.data; the fields of a reader's settings are read.
        source: what make_source made.
        reads: what the method reads: "dense" for DenseBatch, "episodes" for
            EpisodeBatch, "views" for ViewBatch.
        seed: seed of the run.
        batch_size: rows of a global batch; None = config.data.batch_size.
        start_step: number of the first batch.
        process_index: which share of the rows of every global batch to yield.
        process_count: number of equal shares.

    Raises:
        UserError: a setting is wrong, or an image is (possibly while iterating).
    """
    reader = READERS[reads]
    given = settings.as_dict(data)
    if batch_size is not None:
        given["batch_size"] = batch_size
    chosen = {name: given[name] for name in given if name in STREAM_FIELDS}
    what = f"training on {reader.what}"
    stream = fields.build(reader.settings, chosen, where=WHERE, what=what)
    row, layout = reader.rows(stream, source, seed)
    return batches(
        row,
        layout,
        batch_size=stream.batch_size,
        start_step=start_step,
        process_index=process_index,
        process_count=process_count,
        workers=stream.workers,
    )
