"""Which files are photographs, which of them can be read here, and opening them.

Only the kinds in KINDS are opened. What a file is, its content says; the suffix says
only whether a folder is searched for it.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from ppcjax.checkout import install
from ppcjax.data_pipelines.pictures import picture
from ppcjax.data_pipelines.regular import read_start

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


@contextlib.contextmanager
def open_photo(data: Path | bytes) -> Iterator[Image.Image]:
    """Opens a photo of one of KINDS; see `pictures.picture`.

    Raises:
        ValueError: the content is of no such kind; says what it seems to be.
        OSError: it is not there; damage raises whatever images.DAMAGE lists.
    """
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(picture(data, tuple(KINDS)))
        except Image.UnidentifiedImageError as error:
            head = data[:512] if isinstance(data, bytes) else read_start(data, 512)
            raise ValueError(_what_it_is(head)) from error
        yield file


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
