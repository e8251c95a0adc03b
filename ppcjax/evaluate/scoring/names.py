"""The classes of two folders of masks, matched by name."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ppcjax.data_pipelines.masks.unnamed import largest_id
from ppcjax.data_pipelines.sources import class_lists, words
from ppcjax.data_pipelines.sources.base import BACKGROUND
from ppcjax.data_pipelines.sources.class_lists import ClassList
from ppcjax.data_pipelines.sources.voc import CLASSES as VOC_CLASSES
from ppcjax.evaluate.scoring.folders import Found
from ppcjax.types import IGNORE, UserError

_VOC_MASKS = ("segmentationclass", "segmentationclassaug")


class Own(NamedTuple):
    """The classes of one folder.

    listed: its class list.
    classes: names by its class ids, "background" first where there is one.
    table: [256] int16, class id of both for each of its ids; `none` for 255.
    """

    listed: ClassList
    classes: tuple[str, ...]
    table: np.ndarray


class Names(NamedTuple):
    """The classes of both.

    classes: names by class id in common, "background" first where there is one.
    background: whether there is one.
    pred, truth: those of the folders.
    text: where they come from.
    warnings: what was guessed or differs, one line each.
    numbered: whether nobody named them.
    """

    classes: tuple[str, ...]
    background: bool
    pred: Own
    truth: Own
    text: str
    warnings: tuple[str, ...] = ()
    numbered: bool = False


def find(
    pred: Found,
    truth: Found,
    given: tuple[str, ...] | str = (),
    void: Sequence[int] = (),
) -> Names:
    """The classes that masks are compared by.

    Those that are given, else those of the folders' class lists, else numbers. A list
    that only one folder has is of both; two lists are matched by name.

    Args:
        pred: folder of predicted masks.
        truth: folder of true masks.
        given: names without background, or a file with one a line.
        void: ids in the files that mean unknown, besides 255.

    Raises:
        UserError: the lists have no name in common, or a given file is no class list.
    """
    sides = [pred, truth]
    background = [side.background for side in sides]
    numbered, warnings = False, []
    if given:
        lists = [_given(given, side) for side in sides]
        text = f"--classes ({lists[1].text})" if isinstance(given, str) else "--classes"
    elif all(side.listed for side in sides):
        lists = [pred.listed, truth.listed]
        text = "of the class lists of both"
    elif any(side.listed for side in sides):
        one = next(side for side in sides if side.listed)
        lists, background = [one.listed] * 2, [one.background] * 2
        text = f"of {one.listed.file}, which counts for both"
    else:
        lists, text = [_unlisted(pred, truth, void)] * 2, "VOC's, as the masks lie so"
        numbered = lists[0].names != VOC_CLASSES[1:]
        if numbered:
            text = "numbered by the ids in the masks, as there is no class list"
    for one in lists:
        warnings += [words for words in one.warnings if words not in warnings]
    return _joined(lists, background, text, warnings, numbered)


def _given(given: tuple[str, ...] | str, side: Found) -> ClassList:
    """The class list of an option; where the folder's own says the same, that one."""
    if isinstance(given, str):
        file = Path(given).expanduser()
        if not file.is_file():
            raise UserError(f"--classes={file}: no such file; write it, or names")
        listed = class_lists.read(file, background=side.background)
    else:
        names = tuple(map(words.clean, given))
        if side.background:
            names = tuple(n for n in names if not words.is_background(n))
        known = [words.same(name) for name in names]
        if "" in known or len(set(known)) < len(known) or not names:
            raise UserError(
                f"--classes={','.join(given)}: give names that are distinct, in the "
                "order of their ids, without the background"
            )
        listed = ClassList(names)
    own = side.listed
    if own is not None and _alike(own.names) == _alike(listed.names):
        return own._replace(names=listed.names, text=listed.text)
    return listed


def _alike(names: Sequence[str]) -> list[str]:
    return sorted(words.same(name) for name in names) if names else []


def _unlisted(pred: Found, truth: Found, void: Sequence[int]) -> ClassList:
    """Names of masks that come without any: those of VOC, or numbers."""
    files = {
        f"{side.role} {key}": file
        for side in (pred, truth)
        for key, file in side.masks.items()
        if isinstance(file, Path)
    }
    largest = largest_id(files, void)
    tops = {
        folder.name.lower()
        for side in (pred, truth)
        for file in side.masks.values()
        if isinstance(file, Path)
        for folder in file.parents[:2]
    }
    if tops.intersection(_VOC_MASKS) and 1 < largest < len(VOC_CLASSES):
        return ClassList(VOC_CLASSES[1:])
    first = 1 if pred.background and truth.background else 0
    return ClassList(tuple(map(str, range(first, max(largest, 1) + 1))))


def _joined(
    lists: Sequence[ClassList],
    background: Sequence[bool],
    text: str,
    warnings: list[str],
    numbered: bool,
) -> Names:
    own = [
        (BACKGROUND, *one.names) if zero else one.names
        for one, zero in zip(lists, background, strict=True)
    ]
    keys = [[words.same(name) for name in names] for names in own]
    foreground = [set(k) - {BACKGROUND} for k in keys]
    if not foreground[0] & foreground[1]:
        shown = [", ".join(names[:4]) for names in own]
        raise UserError(
            f"PRED has the classes {shown[0]}, TRUTH {shown[1]}: no name is in common; "
            "give the names of both with --classes"
        )
    extra = [i for i, key in enumerate(keys[0]) if key not in keys[1]]
    classes = (*own[1], *(own[0][i] for i in extra))
    if BACKGROUND in classes:
        classes = (BACKGROUND, *(name for name in classes if name != BACKGROUND))
    if len(classes) > IGNORE:
        raise UserError(
            f"PRED and TRUTH have {len(classes)} classes together, and at most "
            f"{IGNORE} can be told apart; give lists of the same classes"
        )
    if keys[0] != keys[1]:
        warnings = [*warnings, _differences(keys, own)]
    place = {words.same(name): i for i, name in enumerate(classes)}
    pred, truth = (
        Own(one, names, _table([place[k] for k in key], len(classes)))
        for one, names, key in zip(lists, own, keys, strict=True)
    )
    with_zero = classes[0] == BACKGROUND
    return Names(classes, with_zero, pred, truth, text, tuple(warnings), numbered)


def _table(ids: Sequence[int], none: int) -> np.ndarray:
    table = np.full(IGNORE + 1, none, np.int16)
    table[: len(ids)] = ids
    return table


def _differences(keys, own) -> str:
    """How two class lists differ, in one line."""
    parts = []
    for i, role in enumerate(("PRED", "TRUTH")):
        lone = [n for n, k in zip(own[i], keys[i], strict=True) if k not in keys[1 - i]]
        if lone:
            more = f" and {len(lone) - 4} more" if len(lone) > 4 else ""
            parts.append(f"only {role} has {', '.join(lone[:4])}{more}")
    said = "; ".join(parts) or "they number the same names differently"
    return f"the class lists differ and are matched by name: {said}"
