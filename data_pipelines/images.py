"""Reading photographs of every usual kind, through Pillow.

Pillow and not TensorFlow, because tf.io returns the colours of a palette mask
instead of its indices, turns no photograph upright and misreads CMYK.
"""

import struct
import zlib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from ppcjax.data_pipelines import depth
from ppcjax.data_pipelines.photo_files import (
    UNREADABLE,
    open_photo,
    readable_suffixes,
    why_passed_over,
)
from ppcjax.data_pipelines.pictures import MOST_PIXELS
from ppcjax.types import UserError

__all__ = [
    "DAMAGE",
    "IMAGE_SUFFIXES",
    "MOST_PIXELS",
    "UNREADABLE",
    "Photo",
    "as_rgb",
    "first_line",
    "open_photo",
    "photo_reader",
    "read_grey",
    "read_photo",
    "readable_suffixes",
    "why_passed_over",
]

IMAGE_SUFFIXES = readable_suffixes()

SKIP = ", or leave such images out with on_bad_image=skip"  # ends an advice

# What Pillow raises on a damaged file, by format and by the place of the damage, and
# on a header that claims a size which no memory holds.
DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    ArithmeticError,
    EOFError,
    RuntimeError,
    MemoryError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)

# EXIF orientation -> how the stored pixels are turned upright.
_UPRIGHT: Mapping[int, Callable[[np.ndarray], np.ndarray]] = {
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
    8: lambda a: np.rot90(a, 1),
}
_ORIENTATION = 0x0112


class Photo(NamedTuple):
    """A decoded photograph.

    pixels: [h, w, 3] uint8 RGB; a JPEG may have been decoded at 1/2, 1/4 or 1/8.
    height, width: size of the photograph in full, upright.
    """

    pixels: np.ndarray
    height: int
    width: int


def read_photo(
    data: Path | bytes, name: str, at_least: int = 0, white: int | None = None
) -> Photo:
    """Reads a photograph as upright 8-bit RGB.

    Grey and palette images become RGB; transparency is laid over white, the paper
    that cut-outs are meant for (dropping alpha would show the colours hidden under
    it); values of 16 bits are scaled, see `depth`; CMYK is converted; the EXIF
    orientation is applied; of an animation the first frame is taken.

    Args:
        data: a file or its content.
        name: what to call it in an error.
        at_least: pixels; where positive, a JPEG may be decoded at a reduced size
            whose longer side is still at least this, which is several times faster.
        white: value of 16-bit photos that becomes 255, see `photo_reader`; None: the
            photo's own largest value decides.

    Raises:
        UserError: the data is unreadable, truncated or too large; names `name`.
    """
    try:
        with open_photo(data) as file:
            width, height = file.size
            _draft(file, at_least)
            pixels = _pixels(file, data, white)
            turn = _orientation(file)  # after the pixels, which it may load
    except DAMAGE as error:
        raise UserError(f"{name}: {damage(error)}") from error
    if turn > 4:  # a turn by 90 degrees leaves the sides swapped
        width, height = height, width
    return Photo(_upright(pixels, turn), height, width)


def photo_reader(
    files: Mapping[str, Path],
) -> tuple[Callable[..., Photo], tuple[str, ...]]:
    """Reads the photos of a source alike, whatever bits they hold.

    Args:
        files: all photos of the source, whatever the split: id -> file.

    Returns:
        (file, name, at_least=0) -> Photo, and what was guessed, one line each.
    """
    white, guess = depth.white_of(list(files.values()), DAMAGE)
    return partial(read_photo, white=white), (guess,) if guess else ()


def _orientation(file: Image.Image) -> int:
    """The EXIF orientation, 1 to 8; 1 where there is none or it is damaged."""
    try:
        turn = file.getexif().get(_ORIENTATION, 1)
    except DAMAGE:
        return 1
    return turn if turn in _UPRIGHT else 1


def _draft(file: Image.Image, at_least: int) -> None:
    """Has a JPEG decoded at 1/2, 1/4 or 1/8 where that is enough or all that fits."""
    if file.format not in ("JPEG", "MPO"):
        return
    width, height = file.size
    factor = next(n for n in (1, 2, 4, 8) if width * height <= MOST_PIXELS * n**2)
    if not at_least and factor == 1:
        return
    ratio = at_least / max(width, height) if at_least else 1
    least = (min(round(side * ratio), side // factor) for side in file.size)
    file.draft(None, tuple(max(side, 1) for side in least))


def _pixels(file: Image.Image, data: Path | bytes, white: int | None) -> np.ndarray:
    """[h, w, 3] uint8 RGB as stored, converted in parts so that little is held."""
    if depth.is_deep(file):
        rows = depth.deep_rows(file, data)
        levels = depth.whites(file, rows, white)

        def part(top, bottom):
            return depth.to_8_bits(rows(top, bottom), levels)
    else:

        def part(top, bottom):
            return file.crop((0, top, file.width, bottom))

    file.load()
    pixels = np.empty((file.height, file.width, 3), np.uint8)
    for top, bottom in depth.strips(file.height, file.width):
        pixels[top:bottom] = np.asarray(_rgb(part(top, bottom)))
    return pixels


def as_rgb(image: Image.Image, name: str) -> np.ndarray:
    """An image in memory, as `read_photo` gives the same one of a file.

    Args:
        image: any mode that photos have.
        name: what to call it in an error.

    Returns:
        [H, W, 3] uint8, upright.

    Raises:
        UserError: it has no agreed colours, or its file is damaged.
    """
    try:
        image.load()
        return _upright(_pixels(image, b"", None), _orientation(image))
    except DAMAGE as error:
        raise UserError(
            f"{name} cannot be read as an image ({first_line(error)}); give another, "
            "or an array uint8 [H, W, 3]"
        ) from error


def _upright(pixels: np.ndarray, turn: int) -> np.ndarray:
    return np.ascontiguousarray(_UPRIGHT.get(turn, np.asarray)(pixels))


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode == "F":
        raise ValueError("floating-point pixels have no agreed range")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        paper = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(paper, image)
    return image if image.mode == "RGB" else image.convert("RGB")


def damage(error: Exception) -> str:
    """What is wrong with a file that Pillow cannot open or decode, and what to do."""
    if isinstance(error, Image.DecompressionBombError):
        return (
            f"has more than {MOST_PIXELS // 10**6} megapixels, more than is read of "
            "such a file; make it smaller, or save it as a baseline JPEG"
        )
    return (
        f"cannot be read as an image ({first_line(error)}); replace or remove it{SKIP}"
    )


def why_left_out(error: Exception | str) -> str:
    """The same without the advice to leave it out, where that is done already."""
    return str(error).replace(SKIP, "")


def first_line(error: Exception) -> str:
    """What an error says, in one line; of a file, without its name."""
    said = getattr(error, "strerror", None) or str(error)
    return (said.splitlines() or [type(error).__name__])[0]


def read_grey(file: Path, size: tuple[int, int]) -> np.ndarray:
    """Reads a grey map that belongs to a photograph, such as of saliency.

    Args:
        file: an image; of a coloured one, the mean of the channels counts, and of 16
            bits all count.
        size: (rows, columns) that it must have.

    Returns:
        [H, W] uint8.

    Raises:
        UserError: not there, unreadable, or of another size.
    """
    if not file.is_file():
        raise UserError(f"{file}: no such map; every training image needs one")
    pixels = read_photo(file, str(file), white=depth.LEVELS[-1]).pixels
    if pixels.shape[:2] != size:
        raise UserError(
            f"{file} is {pixels.shape[1]}x{pixels.shape[0]} pixels but its image is "
            f"{size[1]}x{size[0]}; make the map at the size of the image"
        )
    return pixels.mean(-1).round().astype(np.uint8)
