"""The pixels of one mask file, exactly, whichever lossless form it has."""

import io
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
from PIL import Image

from ppcjax.data_pipelines.depth import strips
from ppcjax.data_pipelines.images import first_line
from ppcjax.data_pipelines.pictures import MOST_PIXELS, picture
from ppcjax.data_pipelines.regular import MOST_AT_ONCE, read_bytes, read_start
from ppcjax.types import UserError

# Suffixes of files that may hold ids, and of those that are refused by name.
MASK_SUFFIXES = (".png", ".tif", ".tiff", ".bmp", ".gif", ".webp", ".npy", ".npz")
LOSSY_SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".jp2", ".heic", ".heif", ".avif"),
)

_FORMS = ("PNG", "TIFF", "BMP", "GIF", "WEBP")
# What a file begins with, from which byte on, and what it then is.
_LOSSY = (
    (0, b"\xff\xd8\xff", "JPEG"),
    (4, b"ftyp", "HEIC or AVIF"),
    (4, b"jP  ", "JPEG 2000"),
    (0, b"\xff\x4f\xff\x51", "JPEG 2000"),
)
_LOSSY_TIFF = ("jpeg", "tiff_jpeg", "webp", "jpeg2000")
_ARRAY, _ARCHIVE = b"\x93NUMPY", b"PK\x03\x04"
_KINDS = {
    **dict.fromkeys(("L", "LA", "I", "I;16", "I;16B", "I;16L", "I;16N", "F"), "grey"),
    **dict.fromkeys(("P", "PA"), "palette"),
    **dict.fromkeys(("RGB", "RGBA"), "colour"),
    "1": "bits",
}
# Chunks of a PNG that decide its pixels.
_CHUNKS = (b"IHDR", b"PLTE", b"IDAT")
_AS_PNG = "save it as a palette or grey PNG whose values are class ids"


class Unreadable(UserError):
    """A mask that is damaged or gone: one that may be left out, unlike a wrong kind."""


class Head(NamedTuple):
    """What the beginning of a file says of its pixels.

    kind: "grey" whole numbers, "bits" (0 and 1), "palette" indices, or "colour".
    form: what wrote it: "PNG", "TIFF", "BMP", "GIF", "WEBP" or "NPY".
    palette: [n, 3] uint8 colour of each index; None where there is none.
    """

    kind: str
    form: str
    palette: np.ndarray | None = None


class Pixels(NamedTuple):
    """A decoded mask.

    values: [H, W] integers, or [H, W, 3] uint8 where its kind is "colour".
    head: what they are.
    """

    values: np.ndarray
    head: Head


def read_head(file: Path) -> Head:
    """What kind of mask a file is, without decoding it.

    Raises:
        Unreadable: it is not there or no picture.
        UserError: its kind never holds exact ids.
    """
    try:
        start = read_start(file, 64)
        _refuse_lossy(start, str(file))
        if start.startswith((_ARRAY, _ARCHIVE)):
            return Head("grey", "NPY")
        with picture(file, _FORMS) as image:
            return _head(image, str(file))
    except UserError:
        raise
    except Exception as error:  # decoders raise anything on damaged data
        raise _unreadable(str(file), error) from error


def read_pixels(data: Path | bytes, name: str) -> Pixels:
    """Decodes a mask without changing a value.

    An opaque alpha channel is dropped. Refused is all whose values would be a guess:
    lossy forms, grey of 2 or 4 bits (tools disagree on whether it is scaled), colour
    of 16 bits, an alpha that varies, several pages, and a turn by EXIF, since the
    mask may have been drawn before or after it.

    Args:
        data: a file or its content.
        name: what to call it in an error.

    Raises:
        Unreadable: it is damaged, gone or no picture.
        UserError: it does not hold exact values.
    """
    try:
        data = data if isinstance(data, bytes) else read_bytes(data)
        _refuse_lossy(data, name)
        if data.startswith((_ARRAY, _ARCHIVE)):
            return Pixels(_read_array(data, name), Head("grey", "NPY"))
        if data.startswith(b"\x89PNG"):
            _check_png(data, name)
        with picture(data, _FORMS) as image:
            return _decode(image, data, name)
    except UserError:
        raise
    except Exception as error:  # decoders raise anything on damaged data
        raise _unreadable(name, error) from error


def _unreadable(name: str, error: Exception) -> Unreadable:
    said = first_line(error)
    if isinstance(error, Image.UnidentifiedImageError):
        said = "not a PNG, TIFF, BMP, GIF, WebP or NPY file"
    return Unreadable(f"{name}: cannot be read as a mask ({said}); replace it")


def _refuse_lossy(start: bytes, name: str) -> None:
    for at, mark, form in _LOSSY:
        if start[at : at + len(mark)] == mark:
            raise _changes_ids(name, form)


def _changes_ids(name: str, form: str) -> UserError:
    return UserError(
        f"{name}: is a {form} picture, and {form} changes ids; save masks as PNG, from "
        "the program that drew them"
    )


def _head(image: Image.Image, name: str) -> Head:
    kind = _KINDS.get(image.mode)
    if kind is None:
        raise UserError(f"{name}: is a {image.mode} picture, not a mask; {_AS_PNG}")
    if kind != "palette":
        return Head(kind, image.format)
    # The header's palette comes in the order of its file format.
    rawmode, content = image.palette.getdata()
    if rawmode == "RGB" and len(content) % 3 == 0:
        colours = np.frombuffer(content, np.uint8).reshape(-1, 3)
        return Head(kind, image.format, colours)
    small = Image.new("P", (1, 1))
    small.putpalette(content, rawmode)
    colours = np.array(small.getpalette("RGB"), np.uint8).reshape(-1, 3)
    return Head(kind, image.format, colours)


def _decode(image: Image.Image, data: bytes, name: str) -> Pixels:
    head = _head(image, name)
    _check_form(image, data, name)
    if getattr(image, "is_animated", False):  # counting them may take minutes
        raise UserError(f"{name}: holds several pictures; save one a file")
    if image.tile and image.tile[0][1] not in (None, (0, 0, *image.size)):
        if head.form == "GIF":
            raise UserError(f"{name}: its frame covers a part only; {_AS_PNG}")
    if image.getexif().get(0x0112, 1) not in (0, 1):
        raise UserError(
            f"{name}: says by EXIF that it is to be turned; save the mask upright and "
            "without EXIF"
        )
    values = np.asarray(image)
    if image.mode in ("LA", "PA", "RGBA"):
        values, alpha = values[..., :-1], values[..., -1]
        if (alpha != 255).any():
            raise UserError(
                f"{name}: is transparent in places, so what is under them may be "
                f"hidden or unset; {_AS_PNG}"
            )
        values = values[..., 0] if values.shape[-1] == 1 else values
    return Pixels(_whole(values, name), head)


def _check_form(image: Image.Image, data: bytes, name: str) -> None:
    """Refuses files whose values Pillow would scale, cut or invert."""
    bits, inverted = (8,), False
    if image.format == "PNG":
        bits = (data[24],)
    elif image.format == "TIFF":
        bits = tuple(image.tag_v2.get(258, (1,)))
        inverted = image.tag_v2.get(262) == 0 and image.mode != "1"
        if image.info.get("compression") in _LOSSY_TIFF:
            raise _changes_ids(name, "JPEG")
    elif image.format == "WEBP":
        _check_webp(data, name)
    elif image.format == "BMP" and int.from_bytes(data[28:30], "little") == 16:
        bits = (5,)
    if image.mode == "L" and bits[0] < 8:
        raise UserError(
            f"{name}: is grey of {bits[0]} bits, which programs read in two ways; save "
            "it with 8 bits"
        )
    if bits[0] != 8 and (image.mode == "LA" or _KINDS[image.mode] == "colour"):
        raise UserError(
            f"{name}: has {bits[0]} bits for each of several channels; save it as grey "
            "or with 8 bits for each"
        )
    if inverted:
        raise UserError(f"{name}: says that 0 is white, as on paper; {_AS_PNG}")


def _check_webp(data: bytes, name: str) -> None:
    at, lossless = 12, False
    while at + 8 <= len(data):
        chunk = data[at : at + 4]
        if chunk == b"VP8 ":
            raise _changes_ids(name, "lossy WebP")
        if chunk == b"ANMF":
            raise UserError(f"{name}: is an animation; save one picture a file")
        lossless |= chunk == b"VP8L"
        at += 8 + (int.from_bytes(data[at + 4 : at + 8], "little") + 1) // 2 * 2
    if not lossless:
        raise ValueError("no lossless WebP picture in it")


def _check_png(data: bytes, name: str) -> None:
    """Checks the sums that Pillow leaves unchecked, so that no changed byte passes."""
    view, at = memoryview(data), 8
    while at + 12 <= len(data):
        end = at + 8 + int.from_bytes(view[at : at + 4])
        chunk = bytes(view[at + 4 : at + 8])
        if chunk in _CHUNKS:
            told = int.from_bytes(view[end : end + 4])
            if zlib.crc32(view[at + 4 : end]) != told:
                raise ValueError(f"the checksum of {chunk.decode()} is wrong")
        if chunk == b"IEND":
            break
        at = end + 4


def _whole(values: np.ndarray, name: str) -> np.ndarray:
    """The same values as integers; UserError where one is none."""
    if values.dtype == bool:
        return values.astype(np.uint8)
    if values.dtype.kind in "iu":
        return values
    if values.dtype.kind != "f" or not all(map(_are_whole, _parts(values))):
        raise UserError(f"{name}: holds values that are not whole numbers; {_AS_PNG}")
    return values.astype(np.int32)


def _parts(values: np.ndarray) -> Iterator[np.ndarray]:
    """Rows of [H, W], few enough at a time that little is held of them."""
    return (values[top:bottom] for top, bottom in strips(*values.shape[:2]))


def _are_whole(values: np.ndarray) -> bool:
    # NaN and infinity fail the comparison.
    return bool((np.abs(values) <= 65535).all() and (values == np.floor(values)).all())


def _read_array(data: bytes, name: str) -> np.ndarray:
    """[H, W] integers from the content of an NPY file, or of an NPZ with one array."""
    if not data.startswith(_ARCHIVE):
        return _array(io.BytesIO(data), len(data), name)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        inside = archive.infolist()
        if len(inside) != 1:
            raise UserError(f"{name}: holds {len(inside)} arrays; save one a file")
        with archive.open(inside[0]) as stream:
            return _array(stream, inside[0].file_size, name)


def _array(stream: IO[bytes], size: int, name: str) -> np.ndarray:
    """The array of an NPY file of `size` bytes; nothing is allocated but for it."""
    version = np.lib.format.read_magic(stream)
    header = np.lib.format.read_array_header_1_0
    if version != (1, 0):
        header = np.lib.format.read_array_header_2_0
    shape, by_columns, dtype = header(stream)
    if len(shape) == 3 and shape[2] == 1:
        shape = shape[:2]
    if len(shape) != 2 or 0 in shape or dtype.kind not in "biuf":
        raise UserError(
            f"{name}: is an array {list(shape)} of {dtype}; save class ids as [H, W] "
            "whole numbers"
        )
    # Checked before anything is allocated: a header may claim any size.
    count = shape[0] * shape[1]
    if size - stream.tell() != count * dtype.itemsize:
        raise ValueError("its length does not fit its shape")
    if count > MOST_PIXELS or size > MOST_AT_ONCE:
        raise ValueError("the array in it is too large")
    values = np.frombuffer(stream.read(size), dtype)
    if len(values) != count:
        raise ValueError("it breaks off")
    return _whole(values.reshape(shape, order="F" if by_columns else "C"), name)
