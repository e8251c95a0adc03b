"""Reader of the weights in ONNX files, without the package onnx.

An ONNX file is a message of Protocol Buffers: fields of a number and a value, some of
which are messages again. Only those on the way to the weights are looked at.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from ppcjax.weights.readers.errors import Refusal, quoted

# Numbers of the fields, from onnx.proto.
_MODEL_GRAPH = 7
_GRAPH_NODE, _GRAPH_INITIALIZER = 1, 5
_NODE_OUTPUT, _NODE_TYPE, _NODE_ATTRIBUTE = 2, 4, 5
_ATTRIBUTE_TENSOR = 5
_DIMS, _KIND, _NAME, _RAW, _EXTERNAL, _PLACE = 1, 2, 8, 9, 13, 14
_DTYPES = {
    **{1: "<f4", 2: "u1", 3: "i1", 4: "<u2", 5: "<i2", 6: "<i4", 7: "<i8", 9: "?"},
    **{10: "<f2", 11: "<f8", 12: "<u4", 13: "<u8", 14: "<c8", 15: "<c16"},
    **{16: ml_dtypes.bfloat16, 17: ml_dtypes.float8_e4m3fn, 19: ml_dtypes.float8_e5m2},
}
_TEXT = 8
_MAX_FIELDS = 100_000
# Fields of values outside of `raw_data`, and how they are written there.
_LISTS = {4: "<f4", 5: "varint", 7: "varint", 10: "<f8", 11: "varint"}


def parse(data: bytes, folder: Path) -> dict[str, np.ndarray]:
    """Initializers of an ONNX file, and its constants of floats with an axis.

    Args:
        data: the bytes of the file.
        folder: folder of the file, which must hold the values that are kept outside.

    Returns:
        Read-only arrays by name; constants go by the name of their node's output.

    Raises:
        Refusal: values lie outside the folder, or are of an unknown type.
    """
    outside = _Outside(folder)
    found: dict[str, np.ndarray] = {}
    for graph in _messages(memoryview(data), _MODEL_GRAPH):
        for number, value in _fields(graph):
            if number == _GRAPH_INITIALIZER:
                name, array = _tensor(value, outside)
            elif number == _GRAPH_NODE:
                name, array = _constant(value, outside)
            else:
                continue
            if array is None:
                continue
            if name in found:
                raise ValueError(f"two tensors are named {quoted(name)}")
            found[name] = array
    return found


def _fields(message: memoryview) -> Iterator[tuple[int, Any]]:
    """Numbers and values of the fields: an int, or bytes."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value, at = _varint(message, at)
            yield number, value
            continue
        if wire == 2:
            size, at = _varint(message, at)
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
        else:
            raise ValueError("a field of an unknown kind")
        if size > len(message) - at:
            raise ValueError("it ends early")
        yield number, message[at : at + size]
        at += size


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, at
    raise ValueError("a number without an end")


def _messages(message: memoryview, wanted: int) -> Iterator[memoryview]:
    for number, value in _fields(message):
        if number == wanted and isinstance(value, memoryview):
            yield value


def _text(value: memoryview) -> str:
    return bytes(value).decode()


def _constant(node: memoryview, outside: "_Outside") -> tuple[str, np.ndarray | None]:
    """Output and value of a node that is a constant of floats with an axis."""
    kinds = [_text(value) for value in _messages(node, _NODE_TYPE)]
    if kinds != ["Constant"]:
        return "", None
    name = "".join(_text(value) for value in _messages(node, _NODE_OUTPUT))
    for attribute in _messages(node, _NODE_ATTRIBUTE):
        for tensor in _messages(attribute, _ATTRIBUTE_TENSOR):
            _, array = _tensor(tensor, outside)
            floats = array is not None and array.dtype.kind in "fV" and array.ndim
            return name, array if floats else None
    return "", None


def _tensor(message: memoryview, outside: "_Outside") -> tuple[str, np.ndarray | None]:
    """Name and values of a tensor; None where these are texts."""
    fields: dict[int, list[Any]] = {}
    for i, (number, value) in enumerate(_fields(message)):
        fields.setdefault(number, []).append(value)
        if i > _MAX_FIELDS:
            raise ValueError("a tensor of too many fields")
    name = "".join(_text(value) for value in fields.get(_NAME, ()))
    kind = fields.get(_KIND, [0])[-1]
    if kind == _TEXT:
        return name, None
    if kind not in _DTYPES:
        raise Refusal(
            f"holds {quoted(name)} in a type that is not read here ({kind}); export it "
            "as float32"
        )
    dtype = np.dtype(_DTYPES[kind])
    shape = tuple(_integers(fields.get(_DIMS, ())))
    if fields.get(_PLACE, [0])[-1] == 1:
        flat = outside.read(fields.get(_EXTERNAL, []), dtype)
    elif _RAW in fields:
        flat = np.frombuffer(fields[_RAW][-1], dtype)
    else:
        flat = _listed(fields, dtype)
    if math.prod(shape) != len(flat) or min(shape, default=0) < 0:
        raise ValueError(f"{quoted(name)} has other values than its shape needs")
    return name, flat.reshape(shape)


def _integers(values: Any) -> Iterator[int]:
    """Integers of a repeated field, packed or not."""
    for value in values:
        if isinstance(value, int):
            yield value
            continue
        at = 0
        while at < len(value):
            number, at = _varint(value, at)
            yield number


def _listed(fields: dict[int, list[Any]], dtype: np.dtype) -> np.ndarray:
    """Values that are kept as lists of numbers, small ones in larger types."""
    for number, form in _LISTS.items():
        if number not in fields:
            continue
        if form != "varint":
            flat = np.frombuffer(b"".join(fields[number]), form)
            return flat.view(dtype) if dtype.kind == "c" else flat.astype(dtype)
        count = sum(1 if isinstance(v, int) else len(v) for v in fields[number])
        values = np.fromiter(_integers(fields[number]), "<u8", -1 if count else 0)
        if dtype.kind in "fV":  # bits of half floats
            return values.astype(f"<u{dtype.itemsize}").view(dtype)
        return values.astype("<i8").astype(dtype)
    return np.zeros(0, dtype)


class _Outside:
    """Values in files beside the ONNX file, each read once."""

    def __init__(self, folder: Path):
        self.folder = folder.resolve()
        self.files: dict[Path, bytes] = {}
        self.left = 1 << 20

    def read(self, entries: list[memoryview], dtype: np.dtype) -> np.ndarray:
        place = {}
        for entry in entries:
            parts = {number: _text(value) for number, value in _fields(entry)}
            place[parts.get(1)] = parts.get(2, "")
        given = place.get("location", "")
        path = (self.folder / given).resolve()
        if not given or not path.is_relative_to(self.folder):
            raise Refusal(
                f"keeps values in {quoted(given)}, outside its folder; put both files "
                "into one folder and export again"
            )
        if not path.is_file():
            raise Refusal(
                f"keeps values in {quoted(given)}, which is not there; put that file "
                f"into {self.folder}"
            )
        if path not in self.files:
            self.files[path] = path.read_bytes()
            self.left += 4 * len(self.files[path])
        data = self.files[path]
        start = int(place.get("offset", "0"))
        size = int(place.get("length", len(data) - start))
        if start < 0 or size < 0 or start + size > len(data):
            raise ValueError(f"{quoted(given)} is too short for its values")
        self.left -= size
        if self.left < 0:
            raise ValueError("its tensors overlap until they are far larger than it")
        return np.frombuffer(memoryview(data)[start : start + size], dtype)
