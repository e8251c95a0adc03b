"""A photo with its mask over it."""

import io

import numpy as np
from PIL import Image

from ppcjax.report.palette import class_colours


def draw_mask(
    image: np.ndarray,
    mask: np.ndarray,
    *,
    background: bool = True,
    opacity: float = 0.55,
) -> np.ndarray:
    """The photo [H, W, 3] with its mask's colours over it; a background stays clear."""
    colours = class_colours(background=background)[mask].astype(np.float32)
    blend = image * (1 - opacity) + colours * opacity
    drawn = (mask > 0) | (not background)
    return np.where(drawn[..., None], blend, image).round().astype(np.uint8)


def as_jpeg(image: np.ndarray, *, quality: int = 88) -> bytes:
    """The bytes of a JPEG file of an image [H, W, 3] uint8."""
    content = io.BytesIO()
    Image.fromarray(image).save(content, "JPEG", quality=quality)
    return content.getvalue()
