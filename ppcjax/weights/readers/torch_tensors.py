"""PyTorch's storages and tensors, as a pickle names them, and the arrays they are."""

import math
import struct
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np

from ppcjax.weights.readers.errors import Refusal, quoted
from ppcjax.weights.readers.pickled_arrays import NUMPY_MAKERS
from ppcjax.weights.readers.pickles import BASIC_MAKERS, Machine
from ppcjax.weights.readers.stand_ins import MAX_INT, Name

_MAX_RANK = 64
_DTYPES = {
    **{"Double": "<f8", "Float": "<f4", "Half": "<f2", "ComplexFloat": "<c8"},
    **{"ComplexDouble": "<c16", "Long": "<i8", "Int": "<i4", "Short": "<i2"},
    **{"Char": "i1", "Byte": "u1", "Bool": "?", "BFloat16": ml_dtypes.bfloat16},
    "Untyped": "u1",
}
# Types that have no storage class of their own.
_UNTYPED = {
    **{"uint16": "<u2", "uint32": "<u4", "uint64": "<u8"},
    "float8_e4m3fn": ml_dtypes.float8_e4m3fn,
    "float8_e5m2": ml_dtypes.float8_e5m2,
}


class Storage(NamedTuple):
    """Values that tensors look at, not yet read: `count` from `start` on, or all."""

    key: str
    dtype: np.dtype
    start: int = 0
    count: int | None = None


class Tensor(NamedTuple):
    """A view of a storage: offset, shape and strides in elements."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


Values = Callable[[Storage], np.ndarray]


def storage_type(name: Any) -> np.dtype:
    """The dtype of a storage class of PyTorch, such as torch.FloatStorage."""
    short = getattr(name, "name", "").removesuffix("Storage")
    if not (isinstance(name, Name) and name.module.startswith("torch")):
        raise ValueError("a storage of an unknown kind")
    if short not in _DTYPES:
        raise Refusal(
            f"holds tensors of a kind that is not read here ({quoted(name.name)}); "
            "save them as float tensors"
        )
    return np.dtype(_DTYPES[short])


def view(storage: Any, offset: Any, shape: Any, strides: Any) -> Tensor:
    """A tensor, as far as that can be told without its values."""
    numbers = (offset, *shape[:_MAX_RANK], *strides[:_MAX_RANK])
    if (
        not (isinstance(storage, Storage) and len(shape) == len(strides) <= _MAX_RANK)
        or not all(type(number) is int and 0 <= number < MAX_INT for number in numbers)
        or not (isinstance(shape, tuple) and isinstance(strides, tuple))
    ):
        raise ValueError("a tensor without a sound shape")
    return Tensor(storage, offset, shape, strides)


def _rebuild(machine, storage, offset, shape, strides, *_) -> Tensor:
    return view(storage, offset, shape, strides)


def _rebuild_v3(machine, storage, offset, shape, strides, grad, hooks, dtype, *_):
    if dtype.name not in _UNTYPED:
        raise Refusal(f"holds a tensor of an unknown dtype, {quoted(dtype.name)}")
    storage = storage._replace(dtype=np.dtype(_UNTYPED[dtype.name]))
    return view(storage, offset, shape, strides)


def _first(machine: Machine, value: Any = None, *_: Any) -> Any:
    """A parameter is its tensor."""
    return value


def _rebuild_subclass(machine: Machine, maker: Any, kind: Any, arguments: Any, *_: Any):
    return machine.make(maker, arguments)


MAKERS: Mapping[tuple[str, str], Callable[..., Any]] = {
    **BASIC_MAKERS,
    **NUMPY_MAKERS,
    ("torch._utils", "_rebuild_tensor"): _rebuild,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild,
    ("torch._utils", "_rebuild_tensor_v3"): _rebuild_v3,
    ("torch._utils", "_rebuild_parameter"): _first,
    ("torch._utils", "_rebuild_parameter_with_state"): _first,
    ("torch._tensor", "_rebuild_from_type_v2"): _rebuild_subclass,
    ("torch.nn.parameter", "Parameter"): _first,
    ("torch.nn.parameter", "Buffer"): _first,
    ("torch.autograd.variable", "Variable"): _first,
    ("torch", "Size"): _first,
}


def take_values(machine: Machine, dtype: np.dtype) -> np.ndarray:
    """The values behind a pickle: their count, then themselves."""
    count = struct.unpack("<q", machine.take(8))[0]
    start, size = machine.at, count * dtype.itemsize
    if not 0 <= size <= machine.end - start:
        raise ValueError("it ends early")
    machine.at += size
    return np.frombuffer(machine.data, dtype, count, start)


def part_of(values: np.ndarray, storage: Storage) -> np.ndarray:
    """The part of the values that a storage is, in its dtype."""
    values = values.view(storage.dtype)
    if storage.count is None:
        return values
    return values[storage.start : storage.start + storage.count]


def arrays(leaves: dict[str, Any], values_of: Values, size: int) -> dict:
    """The leaves as arrays; one that has several names is made once.

    Args:
        leaves: tensors, and NumPy's arrays out of the pickle, by name.
        values_of: gives all values of a storage.
        size: bytes of the file.

    Returns:
        Read-only arrays by name; leaves of texts or objects are left out.
    """
    made: dict[Any, np.ndarray | None] = {}
    explained, total, seen = size, 0, set()
    for name, leaf in leaves.items():
        if _identity(leaf) in made:
            continue
        if isinstance(leaf, Tensor):
            values = values_of(leaf.storage)
            if leaf.storage.key not in seen:
                seen.add(leaf.storage.key)
                explained += values.nbytes
            array = _as_array(leaf, values, name)
        else:
            array = leaf.array()
        made[_identity(leaf)] = array
        total += 0 if array is None else array.nbytes
        if total > 4 * explained + (1 << 20):
            raise ValueError("its tensors overlap until they are far larger than it")
    found = {name: made[_identity(leaf)] for name, leaf in leaves.items()}
    return {name: array for name, array in found.items() if array is not None}


def _identity(leaf: Any) -> Any:
    return leaf if isinstance(leaf, Tensor) else id(leaf)


def _as_array(tensor: Tensor, values: np.ndarray, name: str) -> np.ndarray:
    """The values of a tensor, which must lie within its storage."""
    count = math.prod(tensor.shape)
    if count == 0:
        return np.zeros(tensor.shape, values.dtype)
    last = sum((n - 1) * s for n, s in zip(tensor.shape, tensor.strides, strict=True))
    if tensor.offset + last >= len(values):
        raise ValueError(f"{quoted(name)} reaches beyond its values")
    if count > len(values):
        raise Refusal(
            f"holds {quoted(name)} with {count} numbers made of {len(values)}; save it "
            "with .contiguous()"
        )
    strides = [s * values.itemsize for s in tensor.strides]
    return np.lib.stride_tricks.as_strided(
        values[tensor.offset :], tensor.shape, strides, writeable=False
    )
