"""Reading photographs of every usual kind, through Pillow.

Pillow and not TensorFlow, because tf.io returns the colours of a palette mask
instead of its indices, turns no photograph upright and misreads CMYK.
"""

import io
import struct
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps

from ppcjax.types import UserError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")

# What Pillow raises on a damaged file, by format and by the place of the damage.
DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)


class Photo(NamedTuple):
    """A decoded photograph.

    pixels: [h, w, 3] uint8 RGB; a JPEG may have been decoded at 1/2, 1/4 or 1/8.
    height, width: size of the photograph in full, upright.
    """

    pixels: np.ndarray
    height: int
    width: int


def read_photo(data: Path | bytes, name: str, *, at_least: int = 0) -> Photo:
    """Reads a photograph as upright 8-bit RGB.

    Grey and palette images become RGB; transparency is laid over white, the paper
    that cut-outs are meant for (dropping alpha would show the colours hidden under
    it); 16-bit grey is divided by 257; CMYK is converted; the EXIF orientation is
    applied; of an animation the first frame is taken.

    Args:
        data: a file or its content.
        name: what to call it in an error.
        at_least: pixels; where positive, a JPEG may be decoded at a reduced size
            whose longer side is still at least this, which is several times faster.

    Raises:
        UserError: the data is unreadable or truncated; names `name`.
    """
    try:
        with Image.open(io.BytesIO(data) if isinstance(data, bytes) else data) as file:
            width, height = file.size
            if at_least and file.format in ("JPEG", "MPO"):
                ratio = at_least / max(width, height)
                least = (max(round(side * ratio), 1) for side in file.size)
                file.draft(None, tuple(least))
            image = ImageOps.exif_transpose(file)
            # A turn by 90 degrees leaves the sides swapped.
            if file.getexif().get(0x0112, 1) in (5, 6, 7, 8):
                width, height = height, width
            pixels = np.asarray(_rgb(image))
    except DAMAGE as error:
        raise UserError(
            f"{name}: cannot be read as an image ({first_line(error)}); replace or "
            "remove it, or leave such images out with on_bad_image=skip"
        ) from error
    return Photo(pixels, height, width)


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16 bits, or 32 bits that hold 16
        grey = np.asarray(image).astype(np.int64)
        if grey.min() < 0 or grey.max() > 65535:
            raise ValueError("grey values beyond 16 bits")
        image = Image.fromarray(((grey + 128) // 257).astype(np.uint8))
    if image.mode == "F":
        raise ValueError("floating-point pixels have no agreed range")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        paper = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(paper, image)
    return image.convert("RGB")


def first_line(error: Exception) -> str:
    """What an error says, in one line."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def read_grey(file: Path, size: tuple[int, int]) -> np.ndarray:
    """Reads a grey map that belongs to a photograph, such as of saliency.

    Args:
        file: an image; of a coloured one, the mean of the channels counts.
        size: (rows, columns) that it must have.

    Returns:
        [H, W] uint8.

    Raises:
        UserError: not there, unreadable, or of another size.
    """
    if not file.is_file():
        raise UserError(f"{file}: no such map; every training image needs one")
    pixels = read_photo(file, str(file)).pixels
    if pixels.shape[:2] != size:
        raise UserError(
            f"{file} is {pixels.shape[1]}x{pixels.shape[0]} pixels but its image is "
            f"{size[1]}x{size[0]}; make the map at the size of the image"
        )
    return pixels.mean(-1).round().astype(np.uint8)
