"""Reader of PyTorch's `.pth` files without PyTorch, and without running what they hold.

A file is a pickle that names its tensors, and their raw values: as entries of a zip
archive (torch >= 1.6) or one after another behind the pickle (before). The unpickler
knows tensors and dictionaries; any other object, such as the options of a training run,
becomes an empty stand-in.
"""

import collections
import io
import math
import pickle
import struct
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np

from ppcjax.types import UserError

_STREAM_MAGIC = 0x1950A86A20F9469CFC6C
_DTYPES = {
    "DoubleStorage": np.dtype("<f8"),
    "FloatStorage": np.dtype("<f4"),
    "HalfStorage": np.dtype("<f2"),
    "BFloat16Storage": np.dtype(ml_dtypes.bfloat16),
    "LongStorage": np.dtype("<i8"),
    "IntStorage": np.dtype("<i4"),
    "ShortStorage": np.dtype("<i2"),
    "CharStorage": np.dtype("i1"),
    "ByteStorage": np.dtype("u1"),
    "BoolStorage": np.dtype("?"),
}
# What a truncated or foreign file makes the parts of this reader raise.
_DAMAGE = (
    pickle.UnpicklingError,
    struct.error,
    zipfile.BadZipFile,
    *(AttributeError, EOFError, ImportError, IndexError, KeyError),
    *(OSError, TypeError, ValueError),
)


class _Storage(NamedTuple):
    """Values that tensors look at, not yet read."""

    key: str
    dtype: np.dtype


class _Tensor(NamedTuple):
    """A view of a storage: offset, shape and strides in elements."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Unknown:
    """Stands in for an object of a class that the reader does not know."""

    def __new__(cls, *args, **kwargs):
        return object.__new__(cls)

    def __init__(self, *args, **kwargs):
        pass

    def __setstate__(self, state):
        pass

    def __setitem__(self, key, value):
        pass

    def append(self, value):
        pass

    def extend(self, values):
        pass


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if module.startswith("torch") and name in _DTYPES:
            return _DTYPES[name]
        return {
            ("collections", "OrderedDict"): collections.OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
            ("torch._utils", "_rebuild_parameter"): lambda tensor, *_: tensor,
        }.get((module, name), _Unknown)

    def persistent_load(self, pid: tuple) -> _Storage:
        kind, dtype, key = pid[:3]
        if kind != "storage" or not isinstance(dtype, np.dtype):
            raise pickle.UnpicklingError(f"a tensor of an unknown kind, {pid[1]}")
        if len(pid) > 5 and pid[5] is not None:
            raise pickle.UnpicklingError("a storage that is part of another")
        return _Storage(str(key), dtype)


def _rebuild_tensor(storage, offset, shape, strides, *_) -> _Tensor:
    return _Tensor(storage, int(offset), tuple(shape), tuple(strides))


def read_torch(path: str | Path) -> dict[str, np.ndarray]:
    """Named tensors of a `.pth` file.

    Args:
        path: the file; a dictionary of tensors, or one that holds it as "state_dict" or
            "model".

    Returns:
        Arrays by name, such as "layer1.0.conv1.weight", in PyTorch's layout (OIHW).

    Raises:
        UserError: the file is of another format, truncated, or holds no tensors.
    """
    path = Path(path)
    data = path.read_bytes()
    if data[257:262] == b"ustar":
        raise UserError(
            f"{path}: is a tar archive, PyTorch's format of before 2018; take the "
            ".safetensors file of these weights, or a newer .pth"
        )
    try:
        if data[:2] == b"PK":
            tree, values_of = _open_zip(data)
        else:
            tree, values_of = _open_stream(data)
        tensors = {name: _array(t, values_of) for name, t in _tensors(tree).items()}
    except _DAMAGE as error:
        raise UserError(
            f"{path}: not a complete PyTorch file ({error}); download it again"
        ) from error
    if not tensors:
        raise UserError(f"{path}: holds no dictionary of tensors; give a state_dict")
    return tensors


def _open_zip(data: bytes) -> tuple[Any, Callable[[_Storage], np.ndarray]]:
    archive = zipfile.ZipFile(io.BytesIO(data))
    names = archive.namelist()
    root = next((n for n in names if n.rpartition("/")[2] == "data.pkl"), None)
    if root is None:
        raise ValueError("it has no data.pkl")
    folder = root.removesuffix("data.pkl")
    if (
        f"{folder}byteorder" in names
        and archive.read(f"{folder}byteorder") != b"little"
    ):
        raise ValueError("its numbers are big-endian")

    def values_of(storage: _Storage) -> np.ndarray:
        raw = archive.read(f"{folder}data/{storage.key}")
        return np.frombuffer(raw, storage.dtype)

    return _Unpickler(io.BytesIO(archive.read(root))).load(), values_of


def _open_stream(data: bytes) -> tuple[Any, Callable[[_Storage], np.ndarray]]:
    file = io.BytesIO(data)
    # Magic number, protocol version, machine; then the objects and the storages' order.
    magic, _, _ = (_Unpickler(file).load() for _ in range(3))
    if magic != _STREAM_MAGIC:
        raise ValueError("wrong magic number")
    tree = _Unpickler(file).load()
    keys = _Unpickler(file).load()
    dtypes = {t.storage.key: t.storage.dtype for t in _tensors(tree).values()}
    values = {}
    for key in map(str, keys):
        (count,) = struct.unpack("<q", file.read(8))
        if key not in dtypes or count < 0:
            raise ValueError(f"a storage {key} outside the dictionary of tensors")
        values[key] = np.frombuffer(data, dtypes[key], count, file.tell())
        file.seek(values[key].nbytes, io.SEEK_CUR)
    return tree, lambda storage: values[storage.key]


def _tensors(tree: Any) -> dict[str, _Tensor]:
    """The dictionary of tensors in what was pickled, without its other entries."""
    for name in ("state_dict", "model"):
        if isinstance(tree, Mapping) and isinstance(tree.get(name), Mapping):
            tree = tree[name]
    entries = tree.items() if isinstance(tree, Mapping) else ()
    return {str(k): v for k, v in entries if isinstance(v, _Tensor)}


def _array(tensor: _Tensor, values_of: Callable[[_Storage], np.ndarray]) -> np.ndarray:
    """The values of a tensor, which must lie within its storage."""
    values = values_of(tensor.storage)
    last = sum((n - 1) * s for n, s in zip(tensor.shape, tensor.strides, strict=True))
    if math.prod(tensor.shape) == 0:
        return np.zeros(tensor.shape, values.dtype)
    if min((tensor.offset, *tensor.strides)) < 0 or tensor.offset + last >= len(values):
        raise ValueError("a tensor reaches beyond its values")
    strides = [s * values.itemsize for s in tensor.strides]
    view = np.lib.stride_tricks.as_strided(
        values[tensor.offset :], tensor.shape, strides, writeable=False
    )
    return view.copy()
