"""A photo's masks where each class has a file of its own."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ppcjax.data_pipelines.masks.colours import is_grey, pack
from ppcjax.data_pipelines.masks.pixels import read_pixels
from ppcjax.data_pipelines.masks.scanning import distinct
from ppcjax.types import IGNORE, UserError


def merge(files: Sequence[tuple[int, Path]], *, background: bool) -> np.ndarray:
    """One mask of the masks of several classes.

    Pixels that two classes claim are IGNORE, as nothing says which of them is on top.
    Pixels that none claims are background, but IGNORE where the background has a file
    of its own or there is no such class.

    Args:
        files: class id and file; several of one class are united.
        background: whether class 0 is a background.

    Returns:
        [H, W] int32 class ids or IGNORE.

    Raises:
        UserError: a file is unreadable, not of two values, or of another size.
    """
    given = {class_id for class_id, _ in files}
    unclaimed = 0 if background and 0 not in given else IGNORE
    claimed = mask = None
    for class_id, file in files:
        shown = read_shape(file)
        if mask is None:
            mask = np.full(shown.shape, unclaimed, np.int32)
            claimed = np.zeros(shown.shape, bool)
        if shown.shape != mask.shape:
            raise UserError(
                f"{file}: is {shown.shape[1]}x{shown.shape[0]} pixels, but "
                f"{files[0][1].name} of the same photo is {mask.shape[1]}x"
                f"{mask.shape[0]}; save both at the size of the photo"
            )
        mask[shown] = np.where(
            claimed[shown] & (mask[shown] != class_id), IGNORE, class_id
        )
        claimed |= shown
    return mask


def read_shape(file: Path) -> np.ndarray:
    """[H, W] bool: where a mask of two values, one of them 0, is not 0.

    Raises:
        UserError: unreadable, or it holds more than one value beside 0.
    """
    values, head = read_pixels(file, str(file))
    if head.kind == "colour":
        values = pack(values)
        if not is_grey(values).all():
            raise UserError(
                f"{file}: is a picture in colour, but stands for one class; save grey "
                "with 0 for the rest and one other value for the class"
            )
    found = distinct(values)
    found = found[found != 0]
    if len(found) > 1:
        shown = ", ".join(str(v & 255) for v in found[:4].tolist())
        raise UserError(
            f"{file}: stands for one class and holds several values ({shown}"
            f"{', ...' if len(found) > 4 else ''}) beside 0; save it with 0 and one "
            "other value, without soft edges"
        )
    return values != 0
