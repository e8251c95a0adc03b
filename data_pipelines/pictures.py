"""The one opener of pictures: photos, masks, and those in annotations.

Pillow is told which formats may be meant, so that no file, whatever it holds, starts
another program or a reader that nobody expects. What a picture may cost is bounded
before its pixels are decoded: a small file may claim a large picture, or many.
"""

import contextlib
import ctypes
import io
import logging
import re
import threading
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

import PIL
from PIL import Image, JpegImagePlugin

from ppcjax.data_pipelines.regular import Regular

# Photos of more pixels are decoded reduced where that is possible, as of JPEG, else
# refused. Pillow refuses at this number, too, unless it was told otherwise.
MOST_PIXELS = 178_956_970
# Pixels of a side. Decoders take a row at a time: millions of rows take minutes.
LONGEST_SIDE = 1_000_000
# Pictures of more pixels are decoded one after the other, whatever threads there are.
_ALONE = 50_000_000
_alone = threading.RLock()

# A block of 64 pixels takes two bits at least, so that 256 would be exact.
_JPEG_PIXELS_PER_BYTE = 1000
# A scan of a JPEG may be a few bytes, and is a pass over all pixels. Encoders write
# about ten.
_SCANS, _SCANNED_PIXELS = 64, 5_000_000_000
_MOST_COUNTED = 2**30  # bytes in which scans are counted
# A tile of a TIFF may be larger than its picture, but not by this much.
_TILE_PIXELS, _TILE_PICTURES = 2**24, 4
_TILE_WIDTH, _TILE_HEIGHT = 322, 323
# Chunks of a PNG: each takes its time, and programs write thousands of bytes into one.
_CHUNK_BYTES, _CHUNKS, _MOST_CHUNKS = 1024, 1000, 200_000
_PPM_HEADER = 2**16  # bytes in which it must end

# Large photos are meant; the error at twice that size stays. Damage that matters is
# raised, the rest is nobody's concern.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
logging.getLogger("PIL").setLevel(logging.CRITICAL + 1)


def _quieten_libtiff() -> None:
    """Keeps libtiff from writing to stderr what Pillow raises as well."""
    packages = Path(PIL.__file__).parent
    for folder in (packages.parent / "pillow.libs", packages / ".dylibs"):
        for library in folder.glob("libtiff*"):
            with contextlib.suppress(OSError, AttributeError):
                ctypes.CDLL(str(library)).TIFFSetErrorHandler(None)


_quieten_libtiff()


@contextlib.contextmanager
def picture(data: Path | bytes, formats: Sequence[str]) -> Iterator[Image.Image]:
    """Opens a picture; its pixels are read later, while the context lasts.

    A baseline JPEG may be larger than MOST_PIXELS, as it can be decoded reduced;
    progressive ones hold all in memory before that.

    Args:
        data: a file or its content.
        formats: Pillow's names of what it may be.

    Raises:
        Image.UnidentifiedImageError: it is none of them.
        Image.DecompressionBombError: it has more than MOST_PIXELS.
        ValueError: it claims what its bytes cannot hold, or would cost far too much.
        OSError: it is not there; damage raises whatever images.DAMAGE lists.
    """
    with _stream(data) as stream:
        size = stream.seek(0, io.SEEK_END)
        stream.seek(0)
        head = stream.read(16)
        if head.startswith(b"\x89PNG"):
            _check_chunks(stream, size)
        elif head[:1] == b"P":
            _check_ppm(stream)
        stream.seek(0)
        image = _opened(stream, head, tuple(formats))
        _check(image, stream, size)
        with _turn(image):
            yield image


def _stream(data: Path | bytes) -> IO[bytes]:
    return io.BytesIO(data) if isinstance(data, bytes) else Regular(data)


def _turn(image: Image.Image) -> contextlib.AbstractContextManager:
    """What lets one large picture be read at a time."""
    large = image.width * image.height > _ALONE
    return _alone if large else contextlib.nullcontext()


def _opened(stream: IO[bytes], head: bytes, formats: tuple[str, ...]) -> Image.Image:
    try:
        image = Image.open(stream, formats=formats)
    except Image.DecompressionBombError:
        if "JPEG" not in formats or not head.startswith(b"\xff\xd8\xff"):
            raise
        stream.seek(0)
        image = JpegImagePlugin.JpegImageFile(stream)
    return image


def _check(image: Image.Image, stream: IO[bytes], size: int) -> None:
    """Raises ValueError where a header claims what no such file means."""
    pixels = image.width * image.height
    if max(image.size) > LONGEST_SIDE:
        raise ValueError(f"{image.width}x{image.height} pixels are no photo's sides")
    # Some decoders fill what is missing with grey or black and say nothing.
    held = pixels
    if image.format in ("JPEG", "MPO"):
        held = _JPEG_PIXELS_PER_BYTE * size
        _check_scans(image, stream)
    elif image.format == "TIFF":
        parts = (tile.extents for tile in image.tile)
        held = sum((right - x) * (bottom - y) for x, y, right, bottom in parts)
        _check_tiles(image)
    if held < pixels:
        raise ValueError(
            f"its {size} bytes cannot hold the {image.width}x{image.height} pixels "
            "that it claims"
        )
    reducible = image.format in ("JPEG", "MPO") and "progressive" not in image.info
    if pixels > MOST_PIXELS and not reducible:
        raise Image.DecompressionBombError


def _check_scans(image: Image.Image, stream: IO[bytes]) -> None:
    at = stream.tell()  # behind the header of the first scan
    if "progressive" not in image.info and _in_one_scan(image, stream, at):
        return
    stream.seek(0)
    scans, last = 0, b""
    while (part := stream.read(2**20)) and stream.tell() < _MOST_COUNTED:
        scans += (last + part).count(b"\xff\xda")
        last = part[-1:]
    stream.seek(at)
    if scans > _SCANS and scans * image.width * image.height > _SCANNED_PIXELS:
        raise ValueError(f"it has {scans} scans, more than any program writes")


def _in_one_scan(image: Image.Image, stream: IO[bytes], at: int) -> bool:
    """Whether the first scan of a JPEG has all its components."""
    count = image.layers
    length = 6 + 2 * count
    stream.seek(max(at - length, 0))
    header = stream.read(3)
    stream.seek(at)
    return header == bytes((0, length, count))


def _check_tiles(image: Image.Image) -> None:
    sides = [image.tag_v2.get(tag, 1) for tag in (_TILE_WIDTH, _TILE_HEIGHT)]
    if not all(isinstance(side, int) for side in sides):
        raise ValueError("its tiles have no size")
    most = max(_TILE_PIXELS, _TILE_PICTURES * image.width * image.height)
    if sides[0] * sides[1] > most:
        raise ValueError(
            f"its tiles are {sides[0]}x{sides[1]} pixels, but it has "
            f"{image.width}x{image.height}"
        )


def _check_chunks(stream: IO[bytes], size: int) -> None:
    """Refuses a PNG of millions of chunks, each of which takes its time."""
    most, at = min(_CHUNKS + size // _CHUNK_BYTES, _MOST_CHUNKS), 8
    for _ in range(most):
        stream.seek(at)
        head = stream.read(8)
        if len(head) < 8 or head[4:] == b"IEND":
            return
        at += 12 + int.from_bytes(head[:4])
        if at >= size:
            return
    raise ValueError(f"it has more than {most} chunks, and next to nothing in them")


def _check_ppm(stream: IO[bytes]) -> None:
    """Refuses a PPM with a long header, which is read byte by byte."""
    stream.seek(0)
    start = stream.read(_PPM_HEADER)
    words = re.sub(rb"#[^\r\n]*([\r\n]|$)", b" ", start).split(None, 4)
    if len(start) == _PPM_HEADER and len(words) < 4:
        raise ValueError("its header does not end")
