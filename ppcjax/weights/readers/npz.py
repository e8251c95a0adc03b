"""Reader of NumPy's archives (`.npz`), without the pickles that they may hold."""

import ast
import math
import re

import numpy as np

from ppcjax.weights.readers.errors import Refusal, quoted
from ppcjax.weights.readers.zips import Archive

_MAGIC = b"\x93NUMPY"
_MAX_HEADER = 10_000
_KIND = re.compile(r"[<>|=]?[biufc](1|2|4|8|16)")


def parse(archive: Archive) -> dict[str, np.ndarray]:
    """Named arrays of an archive.

    Args:
        archive: entries of the file.

    Returns:
        Read-only arrays by name; texts and objects are left out.

    Raises:
        Refusal: it holds numbers of a type that NumPy could not name.
    """
    found = {}
    for name in archive.names:
        array = _array(archive.read(name), name)
        if array is not None:
            found[name.removesuffix(".npy")] = array
    return found


def _array(raw: memoryview, name: str) -> np.ndarray | None:
    if raw[:6] != _MAGIC or len(raw) < 12:
        raise ValueError(f"{quoted(name)} is no array")
    wide = 2 if raw[6] == 1 else 4
    start = 8 + wide + int.from_bytes(raw[8 : 8 + wide], "little")
    if not 1 <= raw[6] <= 3 or start > min(len(raw), _MAX_HEADER):
        raise ValueError(f"{quoted(name)} has no sound header")
    header = ast.literal_eval(bytes(raw[8 + wide : start]).decode().strip())
    kind, shape = header["descr"], header["shape"]
    if kind in ("|V2", "<V2"):
        raise Refusal(
            f"holds {quoted(name)} in a type that NumPy can't name, perhaps bfloat16; "
            "save it as float32"
        )
    if not isinstance(kind, str) or not _KIND.fullmatch(kind):
        return None
    dtype = np.dtype(kind)
    if not all(type(n) is int and n >= 0 for n in shape):
        raise ValueError(f"{quoted(name)} has no sound shape")
    if math.prod(shape) * dtype.itemsize != len(raw) - start:
        raise ValueError(f"{quoted(name)} has other bytes than its shape needs")
    if math.prod(shape) == 0:
        return np.zeros(shape, dtype)
    order = "F" if header["fortran_order"] is True else "C"
    return np.frombuffer(raw, dtype, -1, start).reshape(shape, order=order)
