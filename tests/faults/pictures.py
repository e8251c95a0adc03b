"""Pictures that mean no good, drawn by seed: small as files, large as claims."""

import io
import struct
import zlib

from PIL import Image


def _chunk(kind, data):
    sum_ = struct.pack(">I", zlib.crc32(kind + data))
    return struct.pack(">I", len(data)) + kind + data + sum_


def _zeros(count):
    packer, block = zlib.compressobj(9), bytes(1 << 20)
    parts = [packer.compress(block[: count - at]) for at in range(0, count, 1 << 20)]
    return b"".join([*parts, packer.flush()])


def png(width, height, *, bits=8, colour=0, data=b"", before=b""):
    head = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    body = _chunk(b"IHDR", head) + before + _chunk(b"IDAT", data or zlib.compress(b""))
    return b"\x89PNG\r\n\x1a\n" + body + _chunk(b"IEND", b"")


def _small_png(before):
    return png(8, 8, data=zlib.compress(bytes(72)), before=before)


def tiff(width, height, *, pages=1, loop=False, tags=(), data=bytes(64)):
    """Pages one behind the other; the last leads back to the first where it loops."""
    entries = {256: (4, width), 257: (4, height), 258: (3, 8), 259: (3, 1)}
    entries |= {262: (3, 1), 273: (4, 0), 277: (3, 1), 278: (4, height)}
    entries |= {279: (4, len(data))} | dict(tags)
    length = 2 + 12 * len(entries) + 4
    out = [b"II*\0" + struct.pack("<I", 8)]
    for page in range(pages):
        for place in (273, 324):
            if place in entries:
                entries[place] = (4, 8 + pages * length)
        ends = page == pages - 1
        then = (8 if loop else 0) if ends else 8 + (page + 1) * length
        rows = [
            struct.pack("<HHII", tag, *_typed(entries[tag])) for tag in sorted(entries)
        ]
        out.append(struct.pack("<H", len(rows)) + b"".join(rows))
        out.append(struct.pack("<I", then))
    return b"".join([*out, data])


def _typed(value):
    return (*value[:1], 1, value[1]) if len(value) == 2 else value


def jpeg(side, claimed=None, *, scans=0, behind=0):
    content = io.BytesIO()
    Image.new("L", (side, side)).save(content, "JPEG", progressive=scans > 0)
    data = bytearray(content.getvalue())
    if claimed:
        at = data.index(b"\xff\xc0")
        data[at + 5 : at + 9] = struct.pack(">HH", claimed, claimed)
    last = bytes(data[data.rindex(b"\xff\xda") : -2])
    return bytes(data[:-2]) + last * scans + b"\xff\xd9" + bytes(behind)


def bmp(width, height):
    head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + head


def gif(width, height, *, frame=None, frames=1):
    one = struct.pack("<HHHHB", 0, 0, *(frame or (width, height)), 0)
    one = b"," + one + b"\x02\x02\x44\x01\0"
    return (
        b"GIF89a" + struct.pack("<HHBBB", width, height, 0, 0, 0) + one * frames + b";"
    )


def webp(side):
    size = (side - 1).to_bytes(3, "little") * 2
    head = b"WEBPVP8X" + struct.pack("<I", 10) + bytes(4) + size
    return b"RIFF" + struct.pack("<I", len(head)) + head


def npy(shape, kind="<i4", data=b""):
    text = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}"
    text += " " * (-(len(text) + 11) % 64) + "\n"
    return b"\x93NUMPY\x01\0" + struct.pack("<H", len(text)) + text.encode() + data


def npz(shape, count):
    """An archive whose array is `count` bytes of zeros."""
    import zipfile

    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("a.npy", "w") as file:
            file.write(npy(shape, "|u1"))
            for at in range(0, count, 1 << 20):
                file.write(bytes(min(1 << 20, count - at)))
    return content.getvalue()


def _tiled(rng):
    side = int(rng.integers(9_000, 46_000))
    data = _zeros(1 << 22)
    tags = {259: (3, 8), 322: (4, side), 323: (4, side), 324: (4, 0)}
    return tiff(8, 8, tags=tags | {325: (4, len(data))}, data=data)


def _side(rng):
    return int(rng.integers(20_000, 65_500))


# Name -> (bytes of one, drawn; suffix; whether it must be refused as photo and as mask)
_NO, _YES = False, True
PHOTOS = {
    "PNG of a large claim": (lambda r: png(_side(r), _side(r)), ".png", _YES),
    "PNG of one long row": (lambda r: png(int(r.integers(2e6, 1e8)), 1), ".png", _YES),
    "PNG of one column": (lambda r: png(1, int(r.integers(2e6, 1e8))), ".png", _YES),
    "JPEG of a large claim": (lambda r: jpeg(64, _side(r)), ".jpg", _YES),
    "JPEG of scans": (
        lambda r: jpeg(2400, scans=int(r.integers(900, 2000))),
        ".jpg",
        _YES,
    ),
    "BMP of a large claim": (lambda r: bmp(_side(r), _side(r)), ".bmp", _YES),
    "GIF of a large claim": (lambda r: gif(_side(r), _side(r)), ".gif", _YES),
    "GIF of a large frame": (
        lambda r: gif(1, 1, frame=(_side(r), _side(r))),
        ".gif",
        _YES,
    ),
    "GIF of frames": (
        lambda r: gif(8, 8, frames=int(r.integers(1e5, 1e6))),
        ".gif",
        _NO,
    ),
    "WebP of a large claim": (lambda r: webp(_side(r)), ".webp", _YES),
    "TIFF of a large claim": (lambda r: tiff(_side(r), _side(r)), ".tif", _YES),
    "TIFF of pages": (
        lambda r: tiff(8, 8, pages=int(r.integers(5e3, 2e4))),
        ".tif",
        _NO,
    ),
    "TIFF of pages in a loop": (
        lambda r: tiff(8, 8, pages=int(r.integers(1, 50)), loop=True),
        ".tif",
        _NO,
    ),
    "TIFF of large tiles": (_tiled, ".tif", _YES),
    "TIFF of a long text": (
        lambda r: tiff(8, 8, tags={270: (2, int(r.integers(1e9, 2e9)), 8)}),
        ".tif",
        _NO,
    ),
    "TIFF of rows not there": (
        lambda r: tiff(8, 8, tags={259: (3, 32773)}, data=bytes(3)),
        ".tif",
        _YES,
    ),
    "TIFF of channels": (
        lambda r: tiff(8, 8, tags={277: (3, int(r.integers(300, 65535)))}),
        ".tif",
        _YES,
    ),
    "PNG of a long text": (
        lambda r: _small_png(
            _chunk(b"zTXt", b"a\0\0" + _zeros(int(r.integers(2e6, 1e8))))
        ),
        ".png",
        _YES,
    ),
    "PNG of a long text in UTF-8": (
        lambda r: _small_png(
            _chunk(b"iTXt", b"a\0\1\0\0\0" + _zeros(int(r.integers(2e6, 1e8))))
        ),
        ".png",
        _YES,
    ),
    "PNG of a large profile": (
        lambda r: _small_png(
            _chunk(b"iCCP", b"a\0\0" + _zeros(int(r.integers(2e6, 1e8))))
        ),
        ".png",
        _YES,
    ),
    "PNG of chunks": (
        lambda r: _small_png(_chunk(b"abCd", b"") * int(r.integers(2e5, 8e5))),
        ".png",
        _YES,
    ),
    "PNG of frames": (
        lambda r: _small_png(_chunk(b"acTL", struct.pack(">II", 1 << 30, 0))),
        ".png",
        _NO,
    ),
    "PNG of a hundred megapixels": (
        lambda r: png(10_000, 8_000, data=_zeros(8_000 * 10_001)),
        ".png",
        _NO,
    ),
    "PPM of a comment": (
        lambda r: b"P6 #" + b"a" * int(r.integers(1e6, 5e7)),
        ".ppm",
        _YES,
    ),
    "PostScript": (
        lambda r: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\n",
        ".jpg",
        _YES,
    ),
    "zeros of gigabytes": (lambda r: int(r.integers(2, 50)) << 30, ".tif", _YES),
    "JPEG of gigabytes": (
        lambda r: (b"\xff\xd8\xff\xe0", int(r.integers(2, 50)) << 30),
        ".jpg",
        _YES,
    ),
    "cut off": (
        lambda r: jpeg(64)[: int(r.integers(1, 300))],
        ".jpg",
        _YES,
    ),
}
MASKS = {
    "NPY of a large claim": (lambda r: npy((_side(r), _side(r))), ".npy", _YES),
    "NPY of a wrong claim": (lambda r: npy((8, 9), data=bytes(8)), ".npy", _YES),
    "NPY of objects": (lambda r: npy((8, 8), "|O", bytes(512)), ".npy", _YES),
    "NPZ of zeros": (lambda r: npz((20_000, 20_000), 400_000_000), ".npz", _YES),
    "NPZ of a wrong claim": (
        lambda r: npz((_side(r), _side(r)), int(r.integers(1, 1e6))),
        ".npz",
        _YES,
    ),
    "TIFF of pages": PHOTOS["TIFF of pages"][:2] + (_YES,),
    "GIF of frames": PHOTOS["GIF of frames"][:2] + (_YES,),
}
_SHARED = [n for n, (_, suffix, _no) in PHOTOS.items() if suffix in (".png", ".tif")]
MASKS = {name: PHOTOS[name] for name in _SHARED} | MASKS


def write(file, content):
    """Writes bytes, or a file of a length that is zeros, behind some bytes."""
    start, length = content if isinstance(content, tuple) else (b"", content)
    if isinstance(content, bytes):
        start, length = content, len(content)
    with open(file, "wb") as opened:
        opened.write(start)
        opened.truncate(length)
