"""Scores of one set of masks against another."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ppcjax import fields
from ppcjax.console import disk, writing
from ppcjax.evaluate.scoring.comparing import Comparing, Comparison, open_pair
from ppcjax.evaluate.scoring.counting import (
    Counts,
    class_figures,
    count,
    means,
    photo_iou,
)
from ppcjax.evaluate.scoring.result import Scores
from ppcjax.types import UserError

Folder = str | os.PathLike[str]
Arrays = Iterable[npt.NDArray[Any]]
_PATH = (str, os.PathLike)
Progress = Callable[[Iterator[Any], int], Iterator[Any]]


def score(
    pred: Folder | Arrays,
    truth: Folder | Arrays,
    *,
    classes: Iterable[str] | str = (),
    background: bool = True,
    void: Iterable[int] = (),
    absent: Literal["skip", "zero"] = "skip",
    resize: Literal["", "nearest"] = "",
) -> Scores:
    """How well masks agree with the true ones.

    Args:
        pred: folder of predicted masks, of ours or of another tool, see docs/python.md;
            or arrays [H, W] of class ids, one a photo.
        truth: folder of true masks, or arrays in the same order.
        classes: class names without background, in the order of their ids, or a file;
            empty: the class lists of the folders, else numbers.
        background: whether class 0 is a background that the class list leaves out.
        void: ids that mean unknown, besides 255.
        absent: whether a class that is in no mask is left out of the means ("skip") or
            counts as 0 ("zero").
        resize: "nearest" to bring predictions of another size to that of the truth;
            without it, such are an error.

    Returns:
        The figures; `print` shows them as a table.

    Raises:
        UserError: masks cannot be read, or do not fit each other.

    >>> import numpy as np
    >>> truth = np.array([[0, 0, 1], [0, 0, 1]])
    >>> pred = np.array([[0, 1, 1], [0, 0, 1]])
    >>> found = score([pred], [truth], classes=["dog"])
    >>> round(found.mean_iou, 3), found.pixel_accuracy == 5 / 6
    (0.708, True)
    >>> round(found.classes["dog"]["iou"], 3)
    0.667
    """
    how: Comparing = fields.build(
        Comparing,
        {
            "classes": classes if isinstance(classes, str) else tuple(classes),
            "background": background,
            "void": tuple(void),
            "absent": absent,
            "resize": resize,
        },
        where="ppcjax.score",
        what="scoring",
    )
    if isinstance(pred, _PATH) and isinstance(truth, _PATH):
        return compare(open_pair(Path(pred), Path(truth), how), how)
    if isinstance(pred, _PATH) or isinstance(truth, _PATH):
        raise UserError(
            "one of PRED and TRUTH is a folder and the other is none; give two folders "
            "or two lists of arrays"
        )
    with writing.temporary_folder() as folder:
        places = [folder / name for name in ("pred", "truth")]
        try:
            counts = [
                _write(place, masks)
                for place, masks in zip(places, (pred, truth), strict=True)
            ]
            if counts[0] != counts[1]:
                raise UserError(
                    f"{counts[0]} predicted masks and {counts[1]} true ones: give one "
                    "of each for every photo"
                )
            return compare(open_pair(*places, how), how)
        except disk.CannotWrite:
            raise
        except UserError as error:
            raise UserError(str(error).replace(f"{folder}{os.sep}", "")) from error


def _write(folder: Path, masks: Any) -> int:
    """Writes arrays as files, so that they are read as all masks are; their number."""
    writing.make_folder(folder)
    if isinstance(masks, np.ndarray) and masks.ndim == 2:
        raise UserError(f"{folder.name} is one mask; give a list: [mask]")
    if not isinstance(masks, Iterable) or isinstance(masks, Mapping):
        raise UserError(
            f"{folder.name} is of type {type(masks).__name__}; give a folder, or a "
            "list of arrays"
        )
    number = -1
    for number, mask in enumerate(masks):
        array = np.asarray(mask)
        if array.ndim != 2 or not array.size or array.dtype.kind not in "biuf":
            raise UserError(
                f"mask {number} of {folder.name} is {array.dtype} {list(array.shape)}; "
                "give [H, W] class ids"
            )
        writing.write_array(folder / f"{number:06d}.npy", array)
    return number + 1


def compare(
    opened: Comparison, how: Comparing, progress: Progress | None = None
) -> Scores:
    """Counts all pairs of two folders, one after the other.

    Args:
        opened: the folders.
        how: how they are scored.
        progress: (pairs, number of pairs) -> the same, saying how far it is.

    Raises:
        UserError: a mask cannot be read or does not fit its partner, or all truth is
            void.
    """
    total = Counts.none(len(opened.names.classes))
    by_photo: dict[str, float] = {}
    void = resized = undecided = 0
    pairs = opened.pairs()
    for pair in progress(pairs, len(opened.ids)) if progress else pairs:
        counts = count(pair.truth, pair.pred, len(opened.names.classes))
        resized += pair.resized
        if not counts.confusion.any():
            void += 1
            continue
        undecided += int(counts.confusion[:, -1].sum())
        by_photo[pair.id] = photo_iou(counts)
        total = total.plus(counts)
    if not by_photo:
        raise UserError(f"all {void} true masks are void, so that nothing is scored")
    said = [*opened.warnings]
    if void:
        said.append(f"{void} photos are not scored, as their truth is void")
    if resized:
        said.append(f"{resized} masks of PRED were resized to those of TRUTH (nearest)")
    if undecided:
        said.append(
            f"{undecided:,} pixels are void in PRED and known in TRUTH; they count as "
            "wrong"
        )
    return _scores(opened, total, how, void, by_photo, said)


def _scores(opened, total: Counts, how: Comparing, void, by_photo, said) -> Scores:
    found, classes = class_figures(total, how.absent), opened.names.classes
    true = total.confusion.sum(1)
    mean = means(total, found, background=opened.names.background)
    shown = (true + total.confusion.sum(0)[:-1] > 0) | (how.absent == "zero")
    if not np.isfinite(mean["mean_iou"]):
        said.append("TRUTH shows no class but the background, so there are no means")
    gone = [name for name, there in zip(classes, shown, strict=True) if not there]
    if gone and not opened.names.numbered:
        more = ", ..." if len(gone) > 6 else ""
        said.append(
            f"{len(gone)} classes are in no mask and not in the means: "
            f"{', '.join(gone[:6])}{more}"
        )
    rows = {
        name: {
            **{figure: float(values[c]) for figure, values in found.items()},
            "share": float(true[c] / true.sum()),
        }
        for c, name in enumerate(classes)
        if shown[c]
    }
    return Scores(
        **mean,
        classes=rows,
        photos=len(by_photo),
        void=void,
        by_photo=by_photo,
        lines=opened.lines,
        warnings=tuple(said),
    )
