"""Reading one index mask, and checking its ids."""

from pathlib import Path

import numpy as np

from ppcjax.data_pipelines.masks.colours import is_grey, pack
from ppcjax.data_pipelines.masks.pixels import read_pixels
from ppcjax.types import IGNORE, UserError


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
    mask = np.where(np.isin(indices, (*void, IGNORE)), IGNORE, indices).astype(np.int32)
    allowed = label_ids or range(num_classes)
    wrong = ~np.isin(mask, (*allowed, IGNORE))
    if wrong.any():
        known = "those of label_ids" if label_ids else f"0..{num_classes - 1}"
        raise UserError(
            f"{name}: holds class id {mask[wrong][0]}, but there are {num_classes} "
            f"classes ({known}, {IGNORE} = void); correct the mask or the "
            "class list, or name the id in config.data.void"
        )
    if not label_ids:
        return mask
    table = np.full(max(*label_ids, IGNORE) + 1, IGNORE, np.int32)
    table[list(label_ids)] = np.arange(num_classes)
    table[IGNORE] = IGNORE
    return table[mask]
