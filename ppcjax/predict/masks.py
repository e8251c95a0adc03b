"""Masks of examples as people have them in Python: arrays, PIL images, paths."""

import io
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from ppcjax.console import disk, writing
from ppcjax.data_pipelines.masks import MaskFile, open_masks
from ppcjax.data_pipelines.masks.unnamed import largest_id
from ppcjax.types import UserError

_LOG = logging.getLogger(__name__)

# An array [H, W] of class ids, a PIL image, or the path of a file.
MaskLike: TypeAlias = npt.NDArray[Any] | Image.Image | str | os.PathLike[str]

_LOSSY = ("JPEG", "MPO", "JPEG2000", "HEIF", "AVIF")


def as_masks(values: Sequence[Any], names: Sequence[str]) -> list[np.ndarray]:
    """Masks as arrays, read by the rules for the masks of a folder.

    The rules decide over all of them together, whatever they come as: True is class 1,
    255 is unknown, and so 0 and 255 alone are one class.

    Args:
        values: arrays [H, W] of whole numbers or bool, PIL images or paths.
        names: names of the classes; empty: as many as the masks show.

    Returns:
        [H, W] int32 each: 0 background, j the j-th class, IGNORE unknown.

    Raises:
        UserError: one is unreadable or no mask, or holds a class beyond the names.
    """
    if not values:
        return []
    with writing.temporary_folder() as folder:
        try:
            files: dict[str, MaskFile] = {
                str(i): _file(value, folder / f"mask {i}", f"mask {i}")
                for i, value in enumerate(values)
            }
            largest = largest_id(files)
            if names and largest > len(names):
                raise UserError(
                    f"a mask holds class {largest}, and {len(names)} names are given"
                )
            numbered = tuple(map(str, range(1, max(largest, 1) + 1)))
            masks = open_masks(files, classes=("background", *(names or numbered)))
            found = [masks.read(key) for key in files]
        except disk.CannotWrite:
            raise
        except UserError as error:
            # Arrays are files for a moment, of which nobody wants to know where.
            raise UserError(str(error).replace(f"{folder}{os.sep}", "")) from error
    for line in masks.warnings:
        _LOG.warning("masks: %s", line)
    return found


def _file(value: Any, stem: Path, name: str) -> Path:
    """The file of a mask, which is written where there is none."""
    if isinstance(value, str | os.PathLike):
        return Path(value).expanduser()
    if isinstance(value, Image.Image):
        if value.format in _LOSSY:
            raise UserError(
                f"{name}: is a {value.format} picture, and {value.format} changes ids; "
                "save masks as PNG, from the program that drew them"
            )
        if value.mode != "F":
            content = io.BytesIO()
            value.save(content, "PNG")
            writing.write_file(file := stem.with_suffix(".png"), content.getvalue())
            return file
    try:
        array = np.asarray(value)
    except Exception as error:  # whatever the array of another library raises
        raise _no_mask(name, f"of type {type(value).__name__}") from error
    if array.ndim != 2 or not array.size or array.dtype.kind not in "biuf":
        raise _no_mask(name, f"{array.dtype} {list(array.shape)}")
    writing.write_array(file := stem.with_suffix(".npy"), array)
    return file


def _no_mask(name: str, what: str) -> UserError:
    return UserError(
        f"{name} is {what}; give whole numbers or bool [H, W], a PIL image or a path"
    )
