"""Two folders of masks, ready to be compared photo by photo."""

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np

from ppcjax.data_pipelines.large import nearest
from ppcjax.data_pipelines.masks import MaskFile, Masks, open_masks
from ppcjax.data_pipelines.settings import MaskIds
from ppcjax.data_pipelines.sources import words
from ppcjax.evaluate.scoring import folders, names, pairs
from ppcjax.evaluate.scoring.boundary import UNKNOWN
from ppcjax.evaluate.scoring.folders import Found
from ppcjax.evaluate.scoring.names import Names, Own
from ppcjax.fields import OneOf
from ppcjax.types import UserError

# What is said of data sets -> what is said here.
_WORDS = {
    "config.data.void": "--void",
    "config.data.background=False": "--background=False",
    "would be learnt": "would be compared",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Comparing:
    """How two folders of masks are read and scored.

    classes: class names without background, in the order of their ids, or a text file
        with one a line; empty: the class lists of the folders, else numbers.
    background: whether class 0 is a background that the class list leaves out.
    void: mask ids that mean unknown, besides 255.
    absent: whether a class that is in no mask of either is left out of the means
        ("skip") or counts as 0 ("zero").
    resize: what is done where masks of one photo differ in size; empty: that is an
        error; "nearest": those of PRED are brought to the size of TRUTH.
    """

    classes: tuple[str, ...] | str = ()
    background: bool = True
    void: MaskIds = ()
    absent: Literal["skip", "zero"] = "skip"
    resize: Annotated[str, OneOf(("", "nearest"))] = ""


@contextlib.contextmanager
def _own_words() -> Iterator[None]:
    """Errors of the data side with the names that settings have here."""
    try:
        yield
    except UserError as error:
        text = str(error)
        for theirs, ours in _WORDS.items():
            text = text.replace(theirs, ours)
        raise UserError(text) from error


class Pair(NamedTuple):
    """Two masks of one photo, in class ids of both.

    id: path of the photo without suffix.
    truth: [H, W] int16 in 0..C-1, or UNKNOWN.
    pred: [H, W] int16 in 0..C; C is none of the classes.
    resized: whether the prediction had another size.
    """

    id: str
    truth: np.ndarray
    pred: np.ndarray
    resized: bool = False


class Comparison(NamedTuple):
    """Two folders, opened.

    names: classes of both.
    ids: photos that both have masks of.
    pairs: () -> these masks, one photo after the other; UserError where one cannot be
        read or does not fit.
    lines: what was read and how, for people.
    warnings: what was guessed, differs or is left out, one line each.
    """

    names: Names
    ids: tuple[str, ...]
    pred: Masks
    truth: Masks
    resize: bool
    lines: tuple[str, ...]
    warnings: tuple[str, ...]

    def pairs(self) -> Iterator[Pair]:
        """The masks of each photo, read when they are asked for.

        Raises:
            UserError: one is damaged, holds what is no class, or has another size.
        """
        for key in self.ids:
            with _own_words():
                truth, pred = self.truth.read(key), self.pred.read(key)
            resized = truth.shape != pred.shape
            if resized and not self.resize:
                raise UserError(
                    f"{key}: its mask in PRED is {pred.shape[1]}x{pred.shape[0]} "
                    f"pixels, in TRUTH {truth.shape[1]}x{truth.shape[0]}; save both at "
                    "the size of the photo, or give --resize=nearest"
                )
            truth = self.names.truth.table[truth]
            truth[truth == len(self.names.classes)] = UNKNOWN
            pred = self.names.pred.table[nearest(pred, truth.shape)]
            yield Pair(key, truth, pred, resized)


@_own_words()
def open_pair(pred: str | Path, truth: str | Path, how: Comparing) -> Comparison:
    """Opens two folders; see `Comparing`.

    Args:
        pred: folder of predicted masks.
        truth: folder of true masks.
        how: how they are read.

    Raises:
        UserError: one is no folder of masks, or they have nothing in common.
    """
    sides = [
        folders.look(folder, role, background=how.background)
        for folder, role in ((pred, "PRED"), (truth, "TRUTH"))
    ]
    files = [_of_photos(side) for side in sides]
    sides = [
        folders.with_annotations(side, photos)
        for side, photos in zip(sides, reversed(files), strict=True)
    ]
    found = names.find(*sides, how.classes, how.void)
    plain = found.classes[1 if found.background else 0 :]
    paired = pairs.pair(*sides, plain)
    masks = [
        _open(side, own, there, how.void)
        for side, own, there in zip(
            sides,
            (found.pred, found.truth),
            (paired.pred, paired.truth),
            strict=True,
        )
    ]
    said = [f"{s.role}: {line}" for s in sides for line in s.warnings]
    if sides[0].root.resolve() == sides[1].root.resolve():
        said.append("PRED and TRUTH are the same folder")
    said += [
        f"{s.role}: {w}" for s, m in zip(sides, masks, strict=True) for w in m.warnings
    ]
    lines = [_line(side, one) for side, one in zip(sides, masks, strict=True)]
    lines.append(f"classes {len(found.classes)}, {found.text}")
    lines.append(f"photos  {len(paired.pred):,} in both, by {paired.text}")
    return Comparison(
        found,
        tuple(paired.pred),
        *masks,
        how.resize == "nearest",
        tuple(lines),
        (*said, *found.warnings, *paired.alone),
    )


def _of_photos(side: Found) -> dict[str, Path]:
    """Files whose names and sizes are those of photos."""
    if side.photos:
        return dict(side.photos)
    return {
        key: file
        for key, file in side.masks.items()
        if isinstance(file, Path) and file.suffix.lower() not in (".npy", ".npz")
    }


def _open(side: Found, own: Own, there: dict[str, Any], void: Sequence[int]) -> Masks:
    """The masks of a folder that have partners; how all are read decides."""
    ids = {words.same(name): i for i, name in enumerate(own.classes)}
    files: dict[str, MaskFile] = {}
    for key, mask in there.items():
        if isinstance(mask, tuple):
            mask = tuple((_id_of(name, ids, side), file) for name, file in mask)
        files[key] = mask
    used = {id(file) for file in files.values()}
    beside = [
        f for f in side.masks.values() if isinstance(f, Path) and id(f) not in used
    ]
    parts = any(isinstance(file, tuple) for file in files.values())
    listed = own.listed
    return open_masks(
        files,
        classes=own.classes,
        colours=listed.colours,
        void=(*void, *listed.void),
        label_ids=listed.label_ids,
        void_colours=listed.void_colours,
        by_colour=listed.by_colour,
        beside=() if parts else beside,
    )


def _id_of(name: str, ids: dict[str, int], side: Found) -> int:
    if words.same(name) not in ids:
        raise UserError(
            f"{side}: has masks of the class {name!r}, which is none of "
            f"{', '.join(ids)}; give the names with --classes"
        )
    return ids[words.same(name)]


def _line(side: Found, masks: Masks) -> str:
    """What was read of a folder, in one line."""
    passed = ", ".join(f"{n:,} {what}" for what, n in sorted(side.passed.items()))
    text = f"{side.role:<8}{len(side.masks):,} masks in {side.where}"
    parts = [text, masks.text, f"passed over: {passed}" if passed else ""]
    return "; ".join(filter(None, parts))
