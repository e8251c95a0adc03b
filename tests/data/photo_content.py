"""Contents of photo files of many kinds, as tests need them."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

from tests.data import fake_data

RGB = fake_data.picture()


def content(image, form, **options):
    """What Pillow writes."""
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def png16(values):
    """A PNG of [h, w, c] uint16, which Pillow can write for one channel only."""
    height, width, channels = values.shape
    rows = (b"\0" + row.astype(">u2").tobytes() for row in values)
    return png(width, height, 16, {1: 0, 2: 4, 3: 2, 4: 6}[channels], b"".join(rows))


def png(width, height, bits, colour, rows):
    """A PNG of any header."""
    head = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    chunks = (
        struct.pack(">I", len(data))
        + kind
        + data
        + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def tiff16(values, *, order="<"):
    """An uncompressed TIFF of [h, w, c] uint16, in either byte order."""
    height, width, channels = values.shape
    pixels = values.astype(f"{order}u2").tobytes()
    bits = struct.pack(f"{order}{channels}H", *[16] * channels)
    extra = {2: [(338, 3, 1, 2)], 4: [(338, 3, 1, 2)]}.get(channels, [])
    entries = [
        (256, 4, 1, width),
        (257, 4, 1, height),
        (258, 3, channels, None),
        (259, 3, 1, 1),
        (262, 3, 1, 2 if channels > 2 else 1),
        (273, 4, 1, 8),
        (277, 3, 1, channels),
        (278, 4, 1, height),
        (279, 4, 1, len(pixels)),
        *extra,
    ]
    after = 8 + len(pixels) + 2 + 12 * len(entries) + 4

    def entry(tag, kind, count, value):
        head = struct.pack(f"{order}HHI", tag, kind, count)
        if tag == 258 and len(bits) > 4:
            return head + struct.pack(f"{order}I", after)
        if tag == 258:
            return head + bits.ljust(4, b"\0")
        code = "I" if kind == 4 else "HH"
        return head + struct.pack(order + code, *[value, 0][: len(code)])

    directory = struct.pack(f"{order}H", len(entries))
    directory += b"".join(entry(*one) for one in entries) + bytes(4)
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(
        f"{order}I", 8 + len(pixels)
    )
    return head + pixels + directory + bits


# Every kind that is read, in the modes that its files have: name -> content.
KINDS = {
    "grey.jpg": content(Image.fromarray(RGB).convert("L"), "JPEG"),
    "colour.jpg": content(Image.fromarray(RGB), "JPEG"),
    "progressive.jpg": content(Image.fromarray(RGB), "JPEG", progressive=True),
    "print.jpg": content(Image.fromarray(RGB).convert("CMYK"), "JPEG"),
    "bits.png": content(Image.fromarray(RGB).convert("1"), "PNG"),
    "grey.png": content(Image.fromarray(RGB).convert("L"), "PNG"),
    "colour.png": content(Image.fromarray(RGB), "PNG"),
    "clear.png": content(Image.fromarray(RGB).convert("RGBA"), "PNG"),
    "palette.png": content(Image.fromarray(RGB).quantize(16), "PNG"),
    "deep.png": png16(RGB.astype(np.uint16) * 16),
    "deep_grey.png": png16(RGB[..., :1].astype(np.uint16) * 16),
    "colour.webp": content(Image.fromarray(RGB), "WEBP"),
    "exact.webp": content(Image.fromarray(RGB), "WEBP", lossless=True),
    "colour.bmp": content(Image.fromarray(RGB), "BMP"),
    "colour.tif": content(Image.fromarray(RGB), "TIFF"),
    "packed.tif": content(Image.fromarray(RGB), "TIFF", compression="tiff_lzw"),
    "print.tif": content(Image.fromarray(RGB).convert("CMYK"), "TIFF"),
    "lab.tif": content(Image.fromarray(RGB).convert("LAB"), "TIFF"),
    "deep.tif": tiff16(RGB.astype(np.uint16) * 16),
    "palette.gif": content(Image.fromarray(RGB).quantize(16), "GIF"),
    "colour.ppm": content(Image.fromarray(RGB), "PPM"),
}
