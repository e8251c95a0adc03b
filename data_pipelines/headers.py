"""Sizes of photos from the first bytes of their files."""

from pathlib import Path

from PIL import Image

from ppcjax.data_pipelines.images import DAMAGE, damage, open_photo
from ppcjax.types import UserError

_ORIENTATION = 0x0112  # the EXIF field
_TURNED = (5, 6, 7, 8)  # by 90 degrees


def read_size(file: Path) -> tuple[int, int]:
    """Height and width of a photo, upright; its pixels are not decoded.

    Args:
        file: an image.

    Raises:
        UserError: unreadable; names the file.
    """
    try:
        with open_photo(file) as image:
            width, height = image.size
            turned = _orientation(image) in _TURNED
    except DAMAGE as error:
        raise UserError(f"{file}: {damage(error)}") from error
    return (width, height) if turned else (height, width)


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation; 1 where it is damaged, as when the photo is read."""
    try:
        return image.getexif().get(_ORIENTATION, 1)
    except DAMAGE:
        return 1
