"""Photos that are too large to be predicted whole.

Scores take four bytes for each class of each pixel, several times over, so that a photo
of 100 megapixels with 21 classes would need tens of gigabytes. Networks see photos at
about a thousand pixels a side anyway. A large photo is therefore predicted reduced: its
scores have that size, its mask is enlarged again.
"""

import math

import numpy as np
from PIL import Image

from ppcjax.data_pipelines.images import Photo

# Photos of more pixels are predicted reduced to this number.
MOST_PREDICTED = 16_000_000


def predicted_size(height: int, width: int) -> tuple[int, int]:
    """Rows and columns at which a photo is predicted; its own but where it is large."""
    shrink = math.sqrt(MOST_PREDICTED / (height * width))
    if shrink >= 1:
        return height, width
    return max(int(height * shrink), 1), max(int(width * shrink), 1)


def reduced(photo: Photo) -> np.ndarray:
    """The pixels at which a photo is predicted.

    Args:
        photo: any photo; one that was decoded reduced is large.

    Returns:
        [h, w, 3] uint8 of `predicted_size`; unless the photo is large, its own array.
    """
    size = predicted_size(photo.height, photo.width)
    if photo.pixels.shape[:2] == size:
        return photo.pixels
    image = Image.fromarray(photo.pixels)
    return np.asarray(image.resize(size[::-1], Image.Resampling.BICUBIC))


def said(name: str, photo: Photo) -> str:
    """What is said of a photo that is predicted reduced, in one line."""
    height, width = predicted_size(photo.height, photo.width)
    return (
        f"{name}: a photo of {photo.width}x{photo.height} is predicted at "
        f"{width}x{height}, where it is scored, too; its mask is enlarged"
    )


def nearest(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A mask at another size, each pixel that of the nearest one.

    Args:
        mask: [h, w], any type.
        size: (H, W) wanted.

    Returns:
        [H, W]; the mask itself where it has that size.
    """
    if mask.shape == tuple(size):
        return mask
    rows, columns = (
        (2 * np.arange(new) + 1) * old // (2 * new)
        for new, old in zip(size, mask.shape, strict=True)
    )
    return mask[rows[:, None], columns]
