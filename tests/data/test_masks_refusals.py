"""Files that are no masks, or whose values would be a guess: one line, by name."""

import io
import re
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from ppcjax.data_pipelines.masks import open_masks, read_mask
from ppcjax.types import UserError
from tests.data.mask_files import OWN, array, colour, grey, palette, save, stripes
from tests.data.test_masks_rules import THREE

IDS = stripes(0, 1, 2)
FEW = stripes(0, 1)


def png(depth, kind, rows):
    """A PNG of raw rows, for the depths that Pillow does not write."""

    def chunk(name, content):
        body = name + content
        return (
            struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))
        )

    size = struct.pack(">IIBBBBB", 4, len(rows), depth, kind, 0, 0, 0)
    content = zlib.compress(b"".join(b"\0" + row for row in rows))
    parts = chunk(b"IHDR", size), chunk(b"IDAT", content), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def raw(path, content):
    path.write_bytes(content)
    return path


def pages(path, **options):
    other = Image.fromarray(IDS[::-1].copy())
    return save(
        path, Image.fromarray(IDS), save_all=True, append_images=[other], **options
    )


def turned(path, **options):
    exif = Image.Exif()
    exif[0x0112] = 6
    return grey(path, IDS, exif=exif, **options)


def half(path, **options):
    """Part of the pixels transparent."""
    pixels = np.dstack([IDS, IDS, IDS, np.where(IDS, 255, 0)]).astype(np.uint8)
    return save(path, Image.fromarray(pixels).convert(options.pop("mode", "RGBA")))


def of_dtype(path, values):
    np.save(path, values)
    return path


def several(path):
    np.savez(path, a=IDS, b=IDS)
    return path


def white_is_zero(path):
    return save(path, Image.fromarray(IDS), tiffinfo={262: 0})


OTHER_KINDS = {
    "JPEG": ("a.jpg", grey, (IDS,), {}, "JPEG changes ids"),
    "JPEG of colours": (
        "a.png",
        colour,
        (IDS, OWN),
        {"format": "JPEG"},
        "JPEG changes",
    ),
    "JPEG of 0 and 255": ("a.jpeg", grey, (FEW * 255,), {"quality": 100}, "JPEG"),
    "TIFF of JPEG": ("a.tif", colour, (IDS, OWN), {"compression": "jpeg"}, "JPEG"),
    "lossy WebP": ("a.webp", colour, (IDS, OWN), {}, "lossy WebP changes ids"),
    "HEIC": ("a.heic", raw, (b"\0\0\0\x18ftypheic" + b"\0" * 99,), {}, "HEIC or AVIF"),
    "JPEG 2000": ("a.jp2", raw, (b"\0\0\0\x0cjP  \r\n\x87\n",), {}, "JPEG 2000"),
    "pages of TIFF": ("a.tif", pages, (), {}, "holds several pictures"),
    "GIF of frames": ("a.gif", pages, (), {}, "holds several pictures"),
    "PNG of frames": ("a.png", pages, (), {}, "holds several pictures"),
    "PNG turned": ("a.png", turned, (), {}, "is to be turned"),
    "TIFF turned": ("a.tif", turned, (), {}, "is to be turned"),
    "alpha of RGBA": ("a.png", half, (), {}, "transparent in places"),
    "alpha of LA": ("a.png", half, (), {"mode": "LA"}, "transparent in places"),
    "white is 0": ("a.tif", white_is_zero, (), {}, "says that 0 is white"),
    "CMYK": ("a.tif", colour, (IDS, OWN), {"mode": "CMYK"}, "is a CMYK picture"),
    "fractions": ("a.tif", grey, (IDS / 2,), {"mode": "F"}, "not whole numbers"),
    "NaN": ("a.npy", of_dtype, (np.full((2, 2), np.nan),), {}, "not whole numbers"),
    "channels": ("a.npy", of_dtype, (np.zeros((2, 2, 3), int),), {}, r"\[2, 2, 3\]"),
    "one row": ("a.npy", of_dtype, (np.zeros(4, int),), {}, r"an array \[4\]"),
    "words": ("a.npy", of_dtype, (np.array([["a"]]),), {}, "save class ids as"),
    "objects": ("a.npy", of_dtype, (np.array([[{}]]),), {}, "save class ids as"),
    "no pixel": ("a.npy", of_dtype, (np.zeros((0, 3), int),), {}, r"\[0, 3\]"),
    "arrays": ("a.npz", several, (), {}, "holds 2 arrays"),
    "negative": ("a.npy", array, (IDS - 1.0, np.int16), {}, "class id -1"),
    "beyond 16 bits": ("a.npy", array, (IDS + 7e4, np.int64), {}, "class id 7000"),
    "grey of 4 bits": ("a.png", raw, (png(4, 0, [b"\x01\x02"]),), {}, "grey of 4 bits"),
    "grey of 2 bits": ("a.png", raw, (png(2, 0, [b"\x1b"]),), {}, "grey of 2 bits"),
    "RGB of 16": ("a.png", raw, (png(16, 2, [b"\0\1" * 12]),), {}, "has 16 bits"),
    "LA of 16": ("a.png", raw, (png(16, 4, [b"\0\1\xff\xff" * 4]),), {}, "has 16 bits"),
    "1 bit of many": ("a.png", grey, (FEW * 255,), {"mode": "1"}, "has 1 bit a pixel"),
    "empty": ("a.png", raw, (b"",), {}, "cannot be read as a mask"),
    "text": ("a.png", raw, (b"image,tags\na.jpg,cow\n",), {}, "cannot be read as a"),
    "PostScript": ("a.png", raw, (b"%!PS-Adobe-3.0 EPSF-3.0\n",), {}, "cannot be read"),
    "a folder": ("a.png", lambda path: path.mkdir() or path, (), {}, "cannot be read"),
    "nothing": ("a.png", lambda path: path, (), {}, "cannot be read"),
}


@pytest.mark.parametrize("kind", OTHER_KINDS)
def test_refused_in_one_line(tmp_path, kind):
    name, write, arguments, options, said = OTHER_KINDS[kind]
    file = write(tmp_path / name, *arguments, **options)
    files = {"good": grey(tmp_path / "good.png", IDS), "bad": file}
    with pytest.raises(UserError, match=said) as error:
        open_masks(files, classes=THREE).get("bad")
    assert str(error.value).startswith(f"{file}: ") and "\n" not in str(error.value)
    if kind != "1 bit of many":
        with pytest.raises(UserError, match=re.escape(str(file))):
            read_mask(file, str(file), num_classes=2)


def test_what_is_damaged_stops_nobody_else(tmp_path):
    """So that on_bad_image=skip can leave it out; a wrong kind stops at once."""
    files = {"a": grey(tmp_path / "a.png", IDS), "b": raw(tmp_path / "b.png", b"no")}
    masks = open_masks(files, classes=THREE)
    np.testing.assert_array_equal(masks.get("a"), IDS)
    with pytest.raises(UserError, match=re.escape(str(files["b"]))):
        masks.get("b")
    files["c"] = grey(tmp_path / "c.jpg", IDS)
    with pytest.raises(UserError, match="c.jpg: is a JPEG picture"):
        open_masks(files, classes=THREE)


def test_headers_that_claim_any_size(tmp_path):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<i8", "fortran_order": False, "shape": (1 << 40, 1 << 20)}
    )
    file = raw(tmp_path / "a.npy", header.getvalue() + b"\0" * 64)
    with pytest.raises(UserError, match="a.npy: cannot be read as a mask"):
        read_mask(file, str(file), num_classes=2)
    size = struct.pack(">II", 1 << 30, 1 << 30)
    good = png(8, 0, [b"\0\1\0\1"])
    body = b"IHDR" + size + good[24:29]
    sum_ = struct.pack(">I", zlib.crc32(body))
    file = raw(tmp_path / "b.png", good[:12] + body + sum_ + good[33:])
    with pytest.raises(UserError, match="b.png: cannot be read as a mask"):
        read_mask(file, str(file), num_classes=2)


# Forms with checksums, in which no changed byte may pass, and others.
SAFE = {
    "grey": ("a.png", grey, {}),
    "palette": ("a.png", palette, {"colours": OWN}),
    "RGB": ("a.png", colour, {"colours": OWN}),
    "npz": ("a.npz", array, {}),
}
UNSAFE = {
    "bmp": ("a.bmp", grey, {}),
    "tif": ("a.tif", grey, {}),
    "tif lzw": ("a.tif", palette, {"compression": "tiff_lzw"}),
    "tif zip": ("a.tif", colour, {"colours": OWN, "compression": "tiff_deflate"}),
    "gif": ("a.gif", palette, {"colours": OWN}),
    "webp": ("a.webp", colour, {"colours": OWN, "lossless": True}),
    "npy": ("a.npy", array, {}),
}


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("form", [*SAFE, *UNSAFE])
def test_mutations_give_the_ids_or_one_line(tmp_path, form):
    """20 changes of each form: bytes changed, cut, doubled, put in, taken out."""
    name, write, options = {**SAFE, **UNSAFE}[form]
    ids = stripes(0, 3, 1, 2)
    good = write(tmp_path / name, ids, **options).read_bytes()
    rng = np.random.default_rng(len(good))
    file, same, refused = tmp_path / f"m{name}", 0, 0
    for i in range(20):
        data, at = bytearray(good), int(rng.integers(len(good)))
        if i % 4 == 0:
            data = data[:at]
        elif i % 4 == 1:
            del data[at : at + int(rng.integers(1, 9))]
        else:
            for at in rng.integers(len(good), size=i % 3 + 1):
                data[at] = int(rng.integers(256))
        file.write_bytes(data)
        try:
            mask = open_masks({"a": file}, classes=THREE, colours=OWN).get("a")
        except UserError as error:
            assert str(file) in str(error) and "\n" not in str(error)
            refused += 1
            continue
        assert mask.dtype == np.int32 and set(np.unique(mask)) <= {0, 1, 2, 3, 255}
        if form in SAFE:
            np.testing.assert_array_equal(mask, ids)
        same += 1
    assert refused and refused + same == 20
