"""Reader of MXNet's NDArray lists (`.params`), in NumPy alone."""

import math
import struct

import numpy as np

_LIST_MAGIC = 0x112
_V1, _V2, _V3 = 0xF993FAC8, 0xF993FAC9, 0xF993FACA
_DTYPES = ("<f4", "<f8", "<f2", "<u1", "<i4", "<i1", "<i8")


def parse(data: bytes) -> dict[str, np.ndarray]:
    """Named arrays of a `.params` file.

    Args:
        data: the bytes of the file.

    Returns:
        Arrays by name, such as "arg:conv1a_weight", in MXNet's layout (OIHW).
    """
    offset = 0

    def take(form: str) -> tuple:
        nonlocal offset
        values = struct.unpack_from("<" + form, data, offset)
        offset += struct.calcsize("<" + form)
        return values

    def take_array() -> np.ndarray | None:
        nonlocal offset
        (magic,) = take("I")
        if magic in (_V2, _V3):
            (storage,) = take("i")
            if storage != 0:
                raise ValueError("an array is sparse")
        if magic in (_V1, _V2, _V3):
            (rank,) = take("I")
            shape = take(f"{rank}q")
        else:  # the oldest files begin with the rank itself
            if magic > 32:
                raise ValueError(f"unknown array magic {magic:#x}")
            shape = take(f"{magic}I")
        if not shape and magic != _V3:
            return None  # nothing was put into this array
        take("ii")  # device
        (kind,) = take("I")
        dtype = np.dtype(_DTYPES[kind])
        count = math.prod(shape)
        if min(shape, default=0) < 0:
            raise ValueError("an array without a sound shape")
        if offset + count * dtype.itemsize > len(data):
            raise ValueError("the file ends early")
        array = np.frombuffer(data, dtype, count, offset).reshape(shape)
        offset += array.nbytes
        return array

    magic, _, count = take("QQQ")
    if magic != _LIST_MAGIC:
        raise ValueError("wrong magic number")
    arrays = [take_array() for _ in range(count)]
    names = []
    for _ in range(take("Q")[0]):
        (length,) = take("Q")
        (name,) = take(f"{length}s")
        names.append(name.decode())
    if len(set(names)) < len(names):
        raise ValueError("two arrays have one name")
    found = zip(names, arrays, strict=True)
    return {name: array for name, array in found if array is not None}
