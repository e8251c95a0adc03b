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

from ppcjax.weights.readers.errors import Refusal, quoted, whole

# Numbers of the fields, from onnx.proto.
_MODEL_GRAPH = 7
_GRAPH_NODE, _GRAPH_INITIALIZER = 1, 5
_NODE_INPUT, _NODE_OUTPUT, _NODE_NAME, _NODE_TYPE, _NODE_ATTRIBUTE = 1, 2, 3, 4, 5
_ATTRIBUTE_TENSOR = 5
_DIMS, _KIND, _NAME, _RAW, _EXTERNAL, _PLACE = 1, 2, 8, 9, 13, 14
_DTYPES = {
    **{1: "<f4", 2: "u1", 3: "i1", 4: "<u2", 5: "<i2", 6: "<i4", 7: "<i8", 9: "?"},
    **{10: "<f2", 11: "<f8", 12: "<u4", 13: "<u8", 14: "<c8", 15: "<c16"},
    **{16: ml_dtypes.bfloat16, 17: ml_dtypes.float8_e4m3fn, 19: ml_dtypes.float8_e5m2},
}
_TEXT = 8
_MAX_FIELDS = 100_000  # of a tensor
_MAX_STEPS = 1_000_000  # fields of all messages together; some ten thousand are usual
_LIST_AT_ONCE = 1 << 20  # bytes of packed numbers
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
    for graph in _messages(memoryview(data), _MODEL_GRAPH, outside):
        for number, value in _fields(graph, outside):
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


def products(data: bytes) -> dict[str, str]:
    """Names of the nodes MatMul by what they multiply with, their second input.

    Exports of PyTorch turn the matrices of linear layers over and number them; only
    the node still has the layer's name, as in "/layer.0/fc1/MatMul".

    Args:
        data: the bytes of an ONNX file that `parse` reads.
    """
    found = {}
    room = _Outside(Path())
    for graph in _messages(memoryview(data), _MODEL_GRAPH, room):
        for node in _messages(graph, _GRAPH_NODE, room):
            kind, name, inputs = (
                [_text(value) for value in _messages(node, wanted, room)]
                for wanted in (_NODE_TYPE, _NODE_NAME, _NODE_INPUT)
            )
            if kind == ["MatMul"] and len(inputs) == 2:
                found[inputs[1]] = "".join(name)
    return found


def _fields(message: memoryview, room: "_Outside") -> Iterator[tuple[int, Any]]:
    """Numbers and values of the fields: an int, or bytes."""
    at = 0
    while at < len(message):
        room.step()
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


def _messages(
    message: memoryview, wanted: int, room: "_Outside"
) -> Iterator[memoryview]:
    for number, value in _fields(message, room):
        if number == wanted and isinstance(value, memoryview):
            yield value


def _text(value: memoryview) -> str:
    return bytes(value).decode()


def _constant(node: memoryview, outside: "_Outside") -> tuple[str, np.ndarray | None]:
    """Output and value of a node that is a constant of floats with an axis."""
    kinds = [_text(value) for value in _messages(node, _NODE_TYPE, outside)]
    if kinds != ["Constant"]:
        return "", None
    name = "".join(_text(value) for value in _messages(node, _NODE_OUTPUT, outside))
    for attribute in _messages(node, _NODE_ATTRIBUTE, outside):
        for tensor in _messages(attribute, _ATTRIBUTE_TENSOR, outside):
            _, array = _tensor(tensor, outside)
            floats = array is not None and array.dtype.kind in "fV" and array.ndim
            return name, array if floats else None
    return "", None


def _tensor(message: memoryview, outside: "_Outside") -> tuple[str, np.ndarray | None]:
    """Name and values of a tensor; None where these are texts."""
    fields: dict[int, list[Any]] = {}
    for i, (number, value) in enumerate(_fields(message, outside)):
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
    shape = tuple(_integers(fields.get(_DIMS, ()), np.dtype("<i8")).tolist())
    if fields.get(_PLACE, [0])[-1] == 1:
        flat = outside.read(fields.get(_EXTERNAL, []), dtype)
    elif _RAW in fields:
        flat = np.frombuffer(fields[_RAW][-1], dtype)
    else:
        flat = _listed(fields, dtype)
    if math.prod(shape) != len(flat) or min(shape, default=0) < 0:
        raise ValueError(f"{quoted(name)} has other values than its shape needs")
    return name, flat.reshape(shape)


def _integers(values: Any, dtype: np.dtype) -> np.ndarray:
    """Integers of a repeated field, packed or not, in the type that they stand for."""
    found = [np.zeros(0, dtype)]
    for value in values:
        if isinstance(value, int):
            found.append(_as(np.array([value], "<u8"), dtype))
            continue
        at = 0
        while at < len(value):
            part = np.frombuffer(value[at : at + _LIST_AT_ONCE], "u1")
            ends = np.flatnonzero(part < 0x80)
            if not len(ends):
                raise ValueError("a number without an end")
            found.append(_as(_unpacked(part, ends), dtype))
            at += int(ends[-1]) + 1
    return np.concatenate(found)


def _unpacked(part: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Packed integers, of which the last bytes are known, as uint64."""
    starts = np.concatenate([[0], ends[:-1] + 1])
    length = ends - starts + 1
    if length.max() > 10:
        raise ValueError("a number without an end")
    values = np.zeros(len(ends), np.uint64)
    for i in range(int(length.max())):
        longer = length > i
        bits = (part[starts[longer] + i] & 0x7F).astype(np.uint64)
        values[longer] |= bits << np.uint64(7 * i)
    return values


def _as(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """uint64 in another type, of which they may be the bits."""
    if dtype.kind in "fV":  # bits of half floats
        return values.astype(f"<u{dtype.itemsize}").view(dtype)
    return values.astype("<i8").astype(dtype)


def _listed(fields: dict[int, list[Any]], dtype: np.dtype) -> np.ndarray:
    """Values that are kept as lists of numbers, small ones in larger types."""
    for number, form in _LISTS.items():
        if number not in fields:
            continue
        if form != "varint":
            flat = np.frombuffer(b"".join(fields[number]), form)
            return flat.view(dtype) if dtype.kind == "c" else flat.astype(dtype)
        return _integers(fields[number], dtype)
    return np.zeros(0, dtype)


class _Outside:
    """Values in files beside the ONNX file, each read once, and steps of reading."""

    def __init__(self, folder: Path):
        self.folder = folder.resolve()
        self.files: dict[Path, bytes] = {}
        self.left, self.steps = 1 << 20, _MAX_STEPS

    def step(self) -> None:
        """Counts a field that was read."""
        self.steps -= 1
        if self.steps < 0:
            raise ValueError("it has far more fields than any network")

    def read(self, entries: list[memoryview], dtype: np.dtype) -> np.ndarray:
        place = {}
        for entry in entries:
            parts = {number: _text(value) for number, value in _fields(entry, self)}
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
            self.files[path] = whole(path)
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
