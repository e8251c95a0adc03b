"""Reader of NumPy's archives (`.npz`), without the pickles that they may hold."""

import math
import re
from pathlib import Path

import numpy as np

from ppcjax.runs import checked
from ppcjax.runs.messages import first_line
from ppcjax.weights.readers.errors import DAMAGE, Refusal, quoted
from ppcjax.weights.readers.zips import Archive

_MAGIC = b"\x93NUMPY"
_MAX_HEADER = 10_000
_KIND = re.compile(r"[<>|=]?[biufc](1|2|4|8|16)")
_TEXT = re.compile(r"[<>=]U\d{1,9}")
# As NumPy writes it; whatever is written otherwise is no array of numbers.
_HEADER = re.compile(
    r"\{\s*'descr':\s*(?P<kind>'[^']*'|\[.*\]),\s*'fortran_order':\s*"
    r"(?P<columns>True|False),\s*'shape':\s*\((?P<shape>[\dL, ]*)\),?\s*\}\s*",
    re.DOTALL,
)
_FREE = 1 << 30  # bytes of an archive of scores, which shrink as weights never do


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an .npz file by name, texts too: scores, prototypes.

    Raises:
        FileNotFoundError: it is not there.
        ValueError: it is damaged, or no such file.
    """
    try:
        found = parse(Archive(checked.read_bytes(path, _FREE), _FREE), texts=True)
    except FileNotFoundError:
        raise
    except (*DAMAGE, Refusal) as error:
        raise ValueError(first_line(error)) from error
    return {name: array.copy() for name, array in found.items()}


def parse(archive: Archive, *, texts: bool = False) -> dict[str, np.ndarray]:
    """Named arrays of an archive.

    Args:
        archive: entries of the file.
        texts: whether arrays of texts are read, too.

    Returns:
        Read-only arrays by name; objects are left out, and texts unless asked for.

    Raises:
        Refusal: it holds numbers of a type that NumPy could not name.
    """
    found = {}
    for name in archive.names:
        array = _array(archive.read(name), name, texts)
        if array is not None:
            found[name.removesuffix(".npy")] = array
    return found


def _array(raw: memoryview, name: str, texts: bool) -> np.ndarray | None:
    if raw[:6] != _MAGIC or len(raw) < 12:
        raise ValueError(f"{quoted(name)} is no array")
    wide = 2 if raw[6] == 1 else 4
    start = 8 + wide + int.from_bytes(raw[8 : 8 + wide], "little")
    if not 1 <= raw[6] <= 3 or start > min(len(raw), _MAX_HEADER):
        raise ValueError(f"{quoted(name)} has no sound header")
    header = _HEADER.fullmatch(bytes(raw[8 + wide : start]).decode())
    if header is None:
        raise ValueError(f"{quoted(name)} has no sound header")
    kind = header["kind"].strip("'")
    sides = [side.strip(" L") for side in header["shape"].split(",")]
    shape = tuple(int(side) for side in sides if side)
    if kind in ("|V2", "<V2"):
        raise Refusal(
            f"holds {quoted(name)} in a type that NumPy can't name, perhaps bfloat16; "
            "save it as float32"
        )
    if not _KIND.fullmatch(kind) and not (texts and _TEXT.fullmatch(kind)):
        return None
    dtype = np.dtype(kind)
    if math.prod(shape) * dtype.itemsize != len(raw) - start:
        raise ValueError(f"{quoted(name)} has other bytes than its shape needs")
    if math.prod(shape) == 0:
        return np.zeros(shape, dtype)
    order = "F" if header["columns"] == "True" else "C"
    return np.frombuffer(raw, dtype, -1, start).reshape(shape, order=order)
