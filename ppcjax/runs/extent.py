"""How much memory a checkpoint asks for, before anything of it is unpacked.

Orbax believes the shapes that a checkpoint declares, and unpacks whatever is packed in
it. Trained numbers hardly shrink; only arrays that are still zero do. So what all
arrays declare, and what all packed parts unpack to, must each stay within a multiple of
the bytes on disk and what arrays of zeros may add.
"""

import contextlib
import math
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from ppcjax.runs import checked

_RATIO = 16
_FREE = 256 << 20  # bytes of arrays that are zero, such as an empty memory
_MOST_FILES = 100_000
_LISTS = 16 << 20  # bytes of a file that lists arrays
_DTYPE = re.compile(r"[<>|][biufc](1|2|4|8|16)|bfloat16|u?int[24]|float8_\w+|bool")
_FRAME = bytes.fromhex("28b52ffd")  # what each part that zstd packs begins with
_BLOCK = 128 << 10  # the most that one of its blocks unpacks to
_READ = 16 << 20


def check(step: Path) -> None:
    """Raises ValueError where a checkpoint asks for more than its bytes explain.

    Args:
        step: RUN/checkpoints/STEP.

    Raises:
        OSError: a file cannot be read.
        ValueError: it asks for more, or holds what is no plain file.
    """
    files = list(_files(step))
    held = sum(held_bytes(file) for file in files)
    room = _Room(_RATIO * held + _FREE, 100_000 + held // 1024)
    for file in files:
        if is_hole(file):
            raise ValueError(f"{file.name} in it is for the most part a hole")
        if file.parent.name != "d" and file.stat().st_size > _LISTS:
            raise ValueError(f"{file.name} is larger than any list of arrays")
        with file.open("rb") as stream:
            _count_packed(stream, room)
    for name, note in _notes(files):
        room.declare(name, note)


class _Room:
    """What may be asked for, in bytes, and steps that may be taken to find that out."""

    def __init__(self, most: int, steps: int):
        self.most, self.steps = most, steps
        self.unpacked = self.declared = 0

    def unpack(self, count: int) -> None:
        """Counts what a part unpacks to."""
        self.unpacked += count
        self.steps -= 1
        if self.unpacked > self.most or self.steps < 0:
            raise ValueError("its packed parts unpack to far more than it holds")

    def declare(self, name: str, content: bytes) -> None:
        """Counts what an array is to hold, of which `content` is zarr's note."""
        note = checked.parse(content)
        kind, packing = note["dtype"], note.get("compressor")
        if not isinstance(kind, str) or not _DTYPE.fullmatch(kind):
            raise ValueError(f"{name} holds no numbers")
        if note.get("filters") or (packing and packing.get("id") != "zstd"):
            raise ValueError(f"{name} is packed in a way that no run is")
        numbers = (*note["shape"], *note["chunks"])
        if not all(type(n) is int and 0 <= n < 1 << 60 for n in numbers):
            raise ValueError(f"{name} has no sound shape")
        each = int(kind[2:]) if kind[0] in "<>|" else 1
        size = each * max(math.prod(note["shape"]), math.prod(note["chunks"]))
        self.declared += size
        if self.declared > self.most:
            raise ValueError(
                f"{name} is to have {size} bytes, far more than the checkpoint holds"
            )


def _files(folder: Path) -> Iterator[Path]:
    """The files of a folder and those below."""
    count = 0
    for place, _, names in os.walk(folder, followlinks=True, onerror=_raise):
        for name in names:
            count += 1
            file = Path(place, name)
            if count > _MOST_FILES:
                raise ValueError("it holds more files than any checkpoint")
            if not stat.S_ISREG(file.stat().st_mode):
                raise ValueError(f"{name} in it is no plain file")
            yield file


def _raise(error: OSError) -> None:
    raise error


def held_bytes(file: Path) -> int:
    """Bytes of a file without its holes, where the system tells these."""
    size = file.stat().st_size
    if not hasattr(os, "SEEK_DATA"):
        return size
    held = at = 0
    with file.open("rb") as stream, contextlib.suppress(OSError):
        while at < size:  # the last seek fails where only a hole is left
            begin = os.lseek(stream.fileno(), at, os.SEEK_DATA)
            at = os.lseek(stream.fileno(), begin, os.SEEK_HOLE)
            held += at - begin
    return held


def is_hole(file: Path) -> bool:
    """Whether most of a file was never written, as of a download that broke off."""
    return file.stat().st_size > 4 * held_bytes(file) + (1 << 20)


def memory_bytes() -> int:
    """Bytes of memory that this machine has; a very large number where none says."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return 1 << 62


def _count_packed(stream: BinaryIO, room: _Room) -> None:
    """Counts what every packed part of a file unpacks to at most."""
    at, rest = 0, b""
    while part := stream.read(_READ):
        part, begin = rest + part, at - len(rest)
        found = part.find(_FRAME)
        while found >= 0:
            _count_frame(stream.fileno(), begin + found, room)
            found = part.find(_FRAME, found + 1)
        at, rest = begin + len(part), part[-len(_FRAME) + 1 :]


def _count_frame(file: int, at: int, room: _Room) -> None:
    """Walks over the blocks of a part of zstd; see RFC 8878, section 3.1.1."""
    head = os.pread(file, 18, at)
    if len(head) < 6:
        return
    flags = head[4]
    single, told = flags >> 5 & 1, flags >> 6
    start = 5 + (not single) + (0, 1, 2, 4)[flags & 3]
    wide = (single, 2, 4, 8)[told]
    told_size = int.from_bytes(head[start : start + wide], "little")
    at, count = at + start + wide, 0
    while True:
        number = int.from_bytes(block := os.pread(file, 3, at), "little")
        kind, size = number >> 1 & 3, number >> 3
        if len(block) < 3 or kind == 3 or (size > _BLOCK and kind != 1):
            return  # by chance the same bytes, and no part at all
        count += size if kind < 2 else _BLOCK
        room.unpack(size if kind < 2 else _BLOCK)
        at += 3 + (1 if kind == 1 else size)
        if number & 1:  # the last one
            return room.unpack(max(told_size - count, 0))


def _notes(files: list[Path]) -> Iterator[tuple[str, bytes]]:
    """Names of the arrays and what zarr notes of each."""
    import tensorstore

    for file in files:
        if file.name == "zarr.json":
            raise ValueError("its arrays are stored in a way that no run's are")
        if file.name == ".zarray":
            yield file.parent.name, file.read_bytes()
    for place in sorted({f.parent for f in files if f.name == "manifest.ocdbt"}):
        base = {"driver": "file", "path": f"{place}/"}
        spec = {"driver": "ocdbt", "base": base}
        store = tensorstore.KvStore.open(spec).result()
        for key in store.list().result():
            name, _, note = key.decode("utf-8", "replace").rpartition("/")
            if note == "zarr.json":
                raise ValueError("its arrays are stored in a way that no run's are")
            if note == ".zarray":
                yield name, store.read(key).result().value
