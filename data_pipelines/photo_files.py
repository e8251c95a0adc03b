"""Which files are photographs, which of them can be read here, and opening them.

Only the kinds in KINDS are opened, so that no file, whatever it holds, starts another
program or a reader that nobody expects. What a file is, its content says; the suffix
says only whether a folder is searched for it.
"""

import io
import os
import warnings
from pathlib import Path
from typing import IO

from PIL import Image, JpegImagePlugin

from ppcjax.checkout import install

try:
    from PIL.AvifImagePlugin import SUPPORTED as _AVIF
except ImportError:  # Pillow before 11.3
    _AVIF = False
try:
    import pillow_heif

    pillow_heif.register_heif_opener()
    _HEIF = True
except ImportError:
    _HEIF = False

# Large photos are meant; the error at twice that size stays.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)

_ALWAYS = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
    "PNG": (".png",),
    "WEBP": (".webp",),
    "BMP": (".bmp",),
    "TIFF": (".tif", ".tiff"),
    "GIF": (".gif",),
    "PPM": (".ppm", ".pgm"),
}
# Pillow's name of a kind -> its suffixes, of all kinds that can be read here.
KINDS = _ALWAYS | ({"AVIF": (".avif",)} if _AVIF else {})
KINDS |= {"HEIF": (".heic", ".heif")} if _HEIF else {}

# A block of 64 pixels takes two bits at least, so that 256 would be exact.
_JPEG_PIXELS_PER_BYTE = 1000
_CONVERT = "convert it to JPEG or PNG"
_OWN_ADVICE = {
    ".heic": f"HEIC is read after {install('photos')}; or {_CONVERT}",
    ".heif": f"HEIF is read after {install('photos')}; or {_CONVERT}",
    ".avif": f"AVIF is read after pip install -U pillow; or {_CONVERT}",
}
_RAW = (".cr2", ".cr3", ".nef", ".arw", ".dng", ".orf", ".raf", ".rw2", ".pef", ".srw")
_OTHERS = (".jxl", ".jp2", ".psd", ".svg", ".pdf", ".tga", ".exr", ".hdr", ".eps")

# Suffix of what looks like a photo but cannot be read here -> what to do.
UNREADABLE = {
    suffix: advice
    for suffix, advice in (
        *_OWN_ADVICE.items(),
        *((suffix, f"raw photos are not read; {_CONVERT}") for suffix in _RAW),
        *((suffix, f"not read; {_CONVERT}") for suffix in _OTHERS),
    )
    if not any(suffix in suffixes for suffixes in KINDS.values())
}

# Place and bytes by which a file is known, what it is, and a suffix of its kind.
_HEIC = (b"ftyphei", b"ftyphev", b"ftypmif", b"ftypmsf")
_SIGNS = (
    *((4, sign, "a HEIC photo", ".heic") for sign in _HEIC),
    (4, b"ftypavi", "an AVIF photo", ".avif"),
    (4, b"ftypcrx", "a raw photo", ".cr3"),
    (0, b"\0\0\0\x0cJXL ", "a JPEG XL photo", ".jxl"),
    (0, b"\xff\x0a", "a JPEG XL photo", ".jxl"),
    (0, b"\0\0\0\x0cjP  ", "a JPEG 2000 photo", ".jp2"),
    (0, b"8BPS", "a file of Photoshop", ".psd"),
    (0, b"%PDF", "a PDF", ".pdf"),
    (0, b"%!PS", "a PostScript file", ".eps"),
    (0, b"<svg", "an SVG drawing", ".svg"),
    (0, b"<!DOCTYPE", "a web page, so its download failed", ""),
    (0, b"<html", "a web page, so its download failed", ""),
    (0, b"<?xml", "an XML file", ""),
    (0, b"version https://git-lfs", "a pointer of Git LFS: run git lfs pull", ""),
    (0, b"PK\x03\x04", "an archive: unpack it", ""),
)


def readable_suffixes() -> tuple[str, ...]:
    """Lower-case suffixes of the photos that can be read here."""
    return tuple(suffix for suffixes in KINDS.values() for suffix in suffixes)


def why_passed_over(name: str) -> str | None:
    """Why a file that lies among photos is not read.

    Args:
        name: the file, without its folder.

    Returns:
        None for a readable photo; words such as ".heic: HEIC is read after pip install
        -r requirements-photos.txt; ..." for other photos; "" for what is no photo.
    """
    suffix = os.path.splitext(name)[1].lower()
    if suffix in readable_suffixes():
        return None
    return f"{suffix}: {UNREADABLE[suffix]}" if suffix in UNREADABLE else ""


def open_photo(data: Path | bytes) -> Image.Image:
    """Opens a photo of one of KINDS; its pixels are read later.

    A baseline JPEG may be larger than what Pillow opens, as it can be decoded reduced;
    progressive ones hold all in memory before that.

    Raises:
        ValueError: the content is of no such kind; says what it seems to be.
        OSError: it is not there; damage raises whatever images.DAMAGE lists.
    """
    try:
        file = Image.open(_stream(data), formats=tuple(KINDS))
    except Image.DecompressionBombError:
        if _head(data, 3) != b"\xff\xd8\xff":
            raise
        file = JpegImagePlugin.JpegImageFile(_stream(data))
        if "progressive" in file.info:
            raise
    except Image.UnidentifiedImageError as error:
        raise ValueError(_what_it_is(_head(data, 512))) from error
    size = len(data) if isinstance(data, bytes) else os.path.getsize(data)
    pixels = file.width * file.height
    # Some decoders fill what is missing with grey or black and say nothing.
    if file.format in ("JPEG", "MPO"):
        whole = pixels <= _JPEG_PIXELS_PER_BYTE * size
    else:
        parts = (tile.extents for tile in file.tile)
        held = sum((right - x) * (bottom - y) for x, y, right, bottom in parts)
        whole = file.format != "TIFF" or held >= pixels
    if not whole:
        raise ValueError(
            f"its {size} bytes cannot hold the {file.width}x{file.height} pixels that "
            "it claims"
        )
    return file


def _stream(data: Path | bytes) -> Path | IO[bytes]:
    return io.BytesIO(data) if isinstance(data, bytes) else data


def _head(data: Path | bytes, count: int) -> bytes:
    if isinstance(data, bytes):
        return data[:count]
    with open(data, "rb") as file:
        return file.read(count)


def _what_it_is(head: bytes) -> str:
    if not head:
        return "it is empty"
    start = head.lstrip(b"\xef\xbb\xbf \r\n\t")
    for place, sign, words, suffix in _SIGNS:
        part = head[place:] if place else start
        if part[: len(sign)].lower() == sign.lower():
            if suffix in readable_suffixes():
                return f"it is {words}, but damaged"
            advice = UNREADABLE.get(suffix)
            return f"it is {words}; {advice}" if advice else f"it is {words}"
    if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return "it is a damaged TIFF, or one of a kind not known here: save it as RGB"
    return "it is no image of a kind known here"
