"""Photos as people have them in Python: arrays, PIL images, paths."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from ppcjax.data_pipelines.images import Photo, as_rgb, read_photo
from ppcjax.types import UserError

# An array [H, W, 3] uint8 RGB, a PIL image, or the path of a file.
PhotoLike: TypeAlias = npt.NDArray[Any] | Image.Image | str | os.PathLike[str]


def as_photo(value: Any, name: str = "the photo") -> Photo:
    """A photo as `as_image` takes it, with its full size.

    A JPEG file of more pixels than memory should hold is decoded reduced.
    """
    if isinstance(value, str | os.PathLike):
        return read_photo(Path(value), str(value))
    pixels = as_image(value, name)
    return Photo(pixels, *pixels.shape[:2])


def as_image(value: Any, name: str = "the photo") -> np.ndarray:
    """A photo as an array.

    Args:
        value: [H, W, 3] uint8 RGB array, PIL image (turned upright), or path of a file.
        name: what the photo is called in messages.

    Returns:
        [H, W, 3] uint8 RGB.

    Raises:
        UserError: another type or shape, an empty array, or an unreadable file.
    """
    if isinstance(value, str | os.PathLike):
        return read_photo(Path(value), str(value)).pixels
    if isinstance(value, Image.Image):
        return as_rgb(value, name)
    image = _as_array(value, name)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[-1] != 3:
        raise UserError(
            f"{name} is {image.dtype} {list(image.shape)}; give uint8 [H, W, 3] RGB, "
            "a PIL image or a path"
        )
    if not image.size:
        raise UserError(f"{name} is empty: {list(image.shape)}")
    return image


def _as_array(value: Any, name: str) -> np.ndarray:
    try:
        return np.asarray(value)
    except Exception as error:  # whatever the array of another library raises
        raise UserError(
            f"{name} is of type {type(value).__name__}; give uint8 [H, W, 3] RGB, a "
            "PIL image or a path"
        ) from error


def is_one(value: Any) -> bool:
    """Whether a value is one photo or mask rather than several."""
    if isinstance(value, np.ndarray):
        return value.ndim < 4 and value.dtype != object
    return not isinstance(value, Iterable) or isinstance(
        value, str | bytes | os.PathLike | Image.Image | Mapping
    )


def as_list(values: Any, name: str) -> list[Any]:
    """Several photos or masks, of any iterable.

    Raises:
        UserError: it is one, or nothing that can be gone through.
    """
    one = is_one(values)
    if isinstance(values, np.ndarray) and values.ndim == 3:
        one = name == "images"  # three dimensions are one photo, or several masks
    if one:
        kind = type(values).__name__
        raise UserError(f"{name} is one {kind}; give a list, such as [{name[:-1]}]")
    return list(values)
