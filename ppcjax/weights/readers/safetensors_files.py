"""Reader of safetensors files: a list in JSON, then the values without gaps."""

import json
import math
from collections import Counter
from typing import Any

import ml_dtypes
import numpy as np

from ppcjax.weights.readers.errors import Refusal, quoted

# 100,000 entries take about 12 MB, 300,000 brackets and 700,000 commas.
_MAX_HEADER = 32 << 20
_MAX_PARTS = 2_000_000
_DTYPES = {
    **{"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": ml_dtypes.bfloat16},
    **{"I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1", "BOOL": "?"},
    **{"U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1", "C64": "<c8"},
    "F8_E4M3": ml_dtypes.float8_e4m3fn,
    "F8_E5M2": ml_dtypes.float8_e5m2,
}


def parse(data: bytes) -> dict[str, np.ndarray]:
    """Named tensors of a safetensors file.

    Args:
        data: the bytes of the file.

    Returns:
        Read-only arrays by name, views of the bytes.

    Raises:
        Refusal: it holds numbers of another type than NumPy has.
    """
    size = int.from_bytes(data[:8], "little")
    if size > _MAX_HEADER:
        raise ValueError(f"its list should take {size} bytes, more than 32 MiB")
    if 8 + size > len(data):
        raise ValueError("it ends early")
    header = data[8 : 8 + size]
    if sum(map(header.count, (b"{", b"[", b","))) > _MAX_PARTS:
        raise ValueError("its list has more parts than any tensors need")
    entries = json.loads(header, object_pairs_hook=_without_doubles)
    if not isinstance(entries, dict):
        raise ValueError("its list is no dictionary")
    entries.pop("__metadata__", None)
    ends, values = [], memoryview(data)[8 + size :]
    found = {}
    for name, entry in entries.items():
        begin, end, found[name] = _array(name, entry, values)
        ends.append((begin, end))
    at = 0
    for begin, end in sorted(ends):
        if begin != at:
            raise ValueError(f"its tensors overlap or leave a hole at byte {at}")
        at = end
    if at != len(values):
        raise ValueError(f"{len(values) - at} bytes belong to no tensor")
    return found


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        double = Counter(name for name, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"its list names {quoted(double)} twice")
    return found


def _array(name: str, entry: Any, values: memoryview) -> tuple[int, int, np.ndarray]:
    """Begin, end and values of a tensor."""
    kind, shape, (begin, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
    if kind not in _DTYPES:
        raise Refusal(
            f"holds {quoted(name)} as {quoted(kind)}, which is not read here; save it "
            "as F32, F16 or BF16"
        )
    dtype = np.dtype(_DTYPES[kind])
    if not all(type(n) is int and n >= 0 for n in (*shape, begin, end)):
        raise ValueError(f"{quoted(name)} has no sound shape")
    count = math.prod(shape)
    if not begin <= end <= len(values) or end - begin != count * dtype.itemsize:
        raise ValueError(f"{quoted(name)} has other bytes than its shape needs")
    if count == 0:
        return begin, end, np.zeros(shape, dtype)
    return begin, end, np.frombuffer(values, dtype, count, begin).reshape(shape)


def note(header: bytes) -> dict[str, str]:
    """What a header notes besides the tensors; {} where it notes nothing.

    Args:
        header: the list in JSON of a file that `parse` has read.
    """
    found = json.loads(header).get("__metadata__")
    found = found if isinstance(found, dict) else {}
    return {str(k): str(v) for k, v in found.items()}
