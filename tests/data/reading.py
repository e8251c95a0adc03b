"""What a source reads of a folder, in a form that tests compare."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from ppcjax.data_pipelines import make_source, survey
from ppcjax.data_pipelines.sources.base import read_checked
from ppcjax.types import UserError
from tests.data.scenes import Good


class Outcome(NamedTuple):
    """What may come out of a damaged folder.

    good: the very ids and tags; None: nothing, it must be refused.
    refused: one of these stands in the error, where an error is allowed.
    said: all of these stand in the account of what was read, in any case of letters.
    data: settings of config.data besides source and root.
    splits: names of the splits to read; empty: those of `good`, else "all".
    needs: what a run needs of the first split; "": masks where there are some.
    """

    good: Good | None = None
    refused: tuple[str, ...] = ()
    said: tuple[str, ...] = ()
    data: Mapping[str, object] = {}
    splits: tuple[str, ...] = ()
    needs: str = ""


def read(folder, split="all", needs="", **data):
    """The source, with every photo, mask and tag of it.

    Args:
        folder: root of the data set.
        split: name of the split.
        needs: what a run needs of it, for the account; "": masks where there are some,
            else tags.
        **data: more settings of config.data.

    Returns:
        The source, {name: mask or None}, {name: tags or None} by file name without
        suffix, and all that is said of how it was read in one string.
    """
    given = {"source": "folder", "root": str(folder), **data}
    source = make_source(given, split)
    masks, tags = {}, {}
    for index in range(len(source)):
        record = source.record(index)
        name = record.id.rpartition("/")[2]
        assert name not in masks, f"{name} is there twice: {source.ids}"
        masks[name] = read_checked(record, record.photo(0))
        vector = record.tags()
        tags[name] = None if vector is None else names_of(source.classes, vector)
    shown = any(mask is not None for mask in masks.values())
    account = survey.survey(source, needs=needs or ("masks" if shown else "tags"))
    account.raise_first()
    return source, masks, tags, "\n".join([said(source), *account.lines()])


def names_of(classes, vector) -> tuple[str, ...]:
    """The classes of a vector of tags, without the background."""
    first = classes[0] == "background"
    return tuple(c for c, v in zip(classes, vector, strict=True) if v)[first:]


def said(source) -> str:
    """Everything that a source says of how it was read."""
    how = source.reading
    parts = [how.photos, how.classes, how.tags, how.masks, *how.warnings]
    passed = [f"{why}: {count}" for why, count in how.passed.items()]
    return "\n".join([*parts, *passed, *map(str, how.splits)])


def differences(good: Good, **data) -> list[str]:
    """What of a folder does not come out as it must; empty where all does."""
    found = []
    for split, needs in needed(good.splits).items():
        result = read(good.folder, split, needs, **good.data, **data)
        found += compare(good, split, *result)
    return found


def needed(splits, first="") -> dict[str, str]:
    """What a run needs of each split: the first is learnt from, others are scored."""
    return {split: "scores" if n else first for n, split in enumerate(splits)}


def compare(good: Good, split: str, source, masks, tags, _="") -> list[str]:
    """What of one split is not as it must be."""
    names = good.splits[split]
    if source.classes != good.classes:
        return [f"{split}: classes {source.classes}, not {good.classes}"]
    if set(masks) != set(names):
        return [f"{split}: photos {sorted(masks)}, not {sorted(names)}"]
    return [f"{split}/{n}: {p}" for n in names for p in _of(good, n, masks, tags)]


def _of(good: Good, name, masks, tags):
    expected, mask = good.scene[name].mask, masks[name]
    there = good.masks and name not in good.missing
    if there and mask is None:
        yield "has no mask"
    elif not there and mask is not None:
        yield "has a mask"
    elif there and not np.array_equal(mask, expected):
        same = mask.shape == expected.shape
        off = f"{np.mean(mask != expected):.0%} of pixels differ" if same else ""
        yield f"ids {np.unique(mask)}, not {np.unique(expected)} {off}"
    if set(tags[name] or ()) != set(good.tags_of(name)):
        yield f"tags {tags[name]}, not {good.tags_of(name)}"


def refusal(action) -> str:
    """The one line with which something is refused; "" where it is not."""
    try:
        action()
    except UserError as error:
        line = str(error)
        assert "\n" not in line, f"more than one line: {line}"
        return line
    return ""


def check_outcome(outcome: Outcome, folder, splits=("all",)) -> str:
    """What is wrong with how a damaged folder is read; "" where nothing is.

    Args:
        outcome: what may come out.
        folder: its root.
        splits: names of the splits to read.
    """
    good, found, words = outcome.good, [], ""
    splits = outcome.splits or (good.splits if good else splits)
    try:
        for split, needs in needed(splits, outcome.needs).items():
            result = read(folder, split, needs, **outcome.data)
            words += result[3].lower()
            found += compare(good, split, *result) if good else []
    except UserError as error:
        return _of_refusal(str(error), outcome)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    if good is None:
        return "is read, and must not be"
    found += [f"{w!r} is not said" for w in outcome.said if w.lower() not in words]
    return "; ".join(found[:3])


def _of_refusal(line: str, outcome: Outcome) -> str:
    if "\n" in line:
        return f"more than one line: {line!r}"
    if not outcome.refused:
        return f"is refused: {line}"
    named = any(part in line for part in outcome.refused)
    return "" if named else f"names none of {outcome.refused[:4]}: {line}"
