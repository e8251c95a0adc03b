"""Photos as people have them in Python: arrays, PIL images, paths."""

import os
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ppcjax.data_pipelines.images import Photo, as_rgb, read_photo
from ppcjax.types import UserError


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
    image = np.asarray(value)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[-1] != 3:
        raise UserError(
            f"{name} is {image.dtype} {list(image.shape)}; give uint8 [H, W, 3] RGB, "
            "a PIL image or a path"
        )
    if not image.size:
        raise UserError(f"{name} is empty: {list(image.shape)}")
    return image
