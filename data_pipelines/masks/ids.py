"""Reading one index mask, and checking its ids."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ppcjax.data_pipelines.masks.colours import is_grey, pack
from ppcjax.data_pipelines.masks.pixels import read_pixels
from ppcjax.types import IGNORE, UserError

_SMALL = 1 << 16  # ids of 16 bits


def read_mask(
    data: Path | bytes,
    name: str,
    *,
    num_classes: int,
    void: tuple[int, ...] = (),
    label_ids: tuple[int, ...] = (),
) -> np.ndarray:
    """Reads one index mask: palette indices or grey values are class ids.

    Args:
        data: a file or its content, see `pixels.read_pixels`.
        name: what to call it in an error.
        num_classes: C, background included.
        void: ids that mean IGNORE, besides 255.
        label_ids: the id in the file of each class in order; empty: 0..C-1.

    Returns:
        [H, W] int32 in 0..C-1 or IGNORE.

    Raises:
        UserError: unreadable, not an index mask, or an id outside the range.
    """
    values, head = read_pixels(data, name)
    if head.kind == "colour":
        packed = pack(values)
        if not is_grey(packed).all():
            raise UserError(
                f"{name}: is a RGB picture, not an index mask; save it as a palette or "
                "grey PNG whose values are class ids"
            )
        values = packed & 255
    return check_ids(
        values, name, num_classes=num_classes, void=void, label_ids=label_ids
    )


def check_ids(
    indices: np.ndarray,
    name: str,
    *,
    num_classes: int,
    void: tuple[int, ...],
    label_ids: tuple[int, ...] = (),
) -> np.ndarray:
    """Maps void ids to IGNORE and the others to classes; refuses ids of no class.

    Args:
        indices: [H, W] integers.
        name: what to call the mask in an error.
        num_classes: C, background included.
        void: ids that mean IGNORE, besides 255.
        label_ids: the id of each class in order; empty: 0..C-1.

    Returns:
        [H, W] int32 in 0..C-1 or IGNORE.
    """
    known = {i: c for c, i in enumerate(label_ids or range(num_classes))}
    known |= dict.fromkeys((*void, IGNORE), IGNORE)
    mask = _looked_up(indices, known)
    wrong = mask < 0
    if wrong.any():
        said = "those of label_ids" if label_ids else f"0..{num_classes - 1}"
        raise UserError(
            f"{name}: holds class id {indices[wrong][0]}, but there are {num_classes} "
            f"classes ({said}, {IGNORE} = void); correct the mask or the "
            "class list, or name the id in config.data.void"
        )
    return mask


def _looked_up(indices: np.ndarray, known: Mapping[int, int]) -> np.ndarray:
    """What each index is known to stand for, as int32; -1 for the others.

    A table is several times faster than comparing with every id.
    """
    table = np.full(_SMALL, -1, np.int32)
    large = {}
    for index, value in known.items():
        if 0 <= index < _SMALL:
            table[index] = value
        else:
            large[index] = value
    if indices.dtype in (np.uint8, np.uint16):
        return table[indices]
    inside = (indices >= 0) & (indices < _SMALL)
    mask = np.where(inside, table[np.where(inside, indices, 0)], -1)
    for index, value in large.items():
        mask[indices == index] = value
    return mask.astype(np.int32)
