"""Writes MXNet's NDArray lists, in each of the three layouts that are in use."""

import struct

import numpy as np

MAGIC = {"v1": 0xF993FAC8, "v2": 0xF993FAC9, "v3": 0xF993FACA}
VERSIONS = ("oldest", *MAGIC)
_KINDS = {"f4": 0, "f8": 1, "f2": 2, "u1": 3, "i4": 4, "i1": 5, "i8": 6}


def params_bytes(arrays, version="v2", *, magic=0x112, storage=0):
    """The bytes of a `.params` file."""
    parts = [struct.pack("<QQQ", magic, 0, len(arrays))]
    for array in arrays.values():
        if version == "oldest":
            parts.append(struct.pack(f"<I{array.ndim}I", array.ndim, *array.shape))
        else:
            parts.append(struct.pack("<I", MAGIC[version]))
            if version != "v1":
                parts.append(struct.pack("<i", storage))
            parts.append(struct.pack(f"<I{array.ndim}q", array.ndim, *array.shape))
        kind = _KINDS[array.dtype.str[1:]]
        parts.append(struct.pack("<iii", 1, 0, kind) + array.tobytes())
    parts.append(struct.pack("<Q", len(arrays)))
    for name in arrays:
        parts.append(struct.pack("<Q", len(name)) + name.encode())
    return b"".join(parts)


def some_arrays():
    rng = np.random.default_rng(0)
    return {
        "arg:conv1a_weight": rng.standard_normal((4, 3, 3, 3)).astype(np.float32),
        "aux:bn7_moving_mean": rng.standard_normal(5),
        "arg:half": rng.standard_normal((2, 2)).astype(np.float16),
        "arg:bytes": rng.integers(0, 255, (3, 1), np.uint8),
        "arg:whole": rng.integers(-9, 9, 4).astype(np.int64),
    }
