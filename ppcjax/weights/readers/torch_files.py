"""Reader of PyTorch's files without PyTorch, and without running what they hold.

A file is a pickle that names its tensors, and their raw values: as entries of a zip
archive (torch >= 1.6), one after another behind the pickle (before), or in a tar
archive (before 2018). Tensors are views of the values, as in PyTorch. Of any other
object, such as the options of a training run, only an empty stand-in is made.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from ppcjax.weights.readers.errors import Refusal, quoted
from ppcjax.weights.readers.pickled_arrays import PickledArray
from ppcjax.weights.readers.pickles import Machine
from ppcjax.weights.readers.torch_tar import open_tar
from ppcjax.weights.readers.torch_tensors import (
    MAKERS,
    Storage,
    Tensor,
    Values,
    arrays,
    part_of,
    storage_type,
    take_values,
)
from ppcjax.weights.readers.trees import flat
from ppcjax.weights.readers.zips import Archive

_STREAM_MAGIC = 0x1950A86A20F9469CFC6C
_BIG_ENDIAN = "has big-endian numbers; save it again on a usual machine"


def parse_zip(archive: Archive, size: int) -> dict[str, np.ndarray]:
    """Named tensors of the newest container, as `parse` gives them.

    Args:
        archive: entries of the file.
        size: bytes of the file.
    """
    return _named(*_open_zip(archive), size)


def parse(data: bytes) -> dict[str, np.ndarray]:
    """Named tensors of an older container, or of a plain pickle.

    Args:
        data: the bytes of the file.

    Returns:
        Read-only arrays by flat name, in PyTorch's layout (OIHW).

    Raises:
        Refusal: the file is whole and holds no such tensors.
    """
    opened = open_tar(data) if data[257:262] == b"ustar" else _open_stream(data)
    return _named(*opened, len(data))


def _named(tree: Any, values_of: Values, size: int) -> dict[str, np.ndarray]:
    kinds = (Tensor, PickledArray)
    if isinstance(tree, kinds):
        raise Refusal("holds one tensor without a name; save a dictionary of tensors")
    return arrays(flat(tree, kinds), values_of, size)


def _outside(storage_of: Callable[[Storage, Any], Storage]) -> Callable[[Any], Any]:
    """What a persistent id stands for: a storage, or the class of a module.

    `storage_of` takes the storage and, in the older container, which part of another
    one it is.
    """

    def load(key: Any) -> Any:
        if isinstance(key, tuple) and key[:1] == ("module",) and len(key) > 1:
            return key[1]
        if not isinstance(key, tuple) or key[:1] != ("storage",) or len(key) < 5:
            raise ValueError("an object outside its pickle of an unknown kind")
        _, dtype, name, _, _, *part = key
        if not isinstance(name, str | int):
            raise ValueError("a storage without a name")
        return storage_of(Storage(str(name), storage_type(dtype)), *part[:1])

    return load


def _open_zip(archive: Archive) -> tuple[Any, Values]:
    root = next((n for n in archive.names if n.rpartition("/")[2] == "data.pkl"), None)
    if root is None:
        raise ValueError("it has no data.pkl")
    folder = root.removesuffix("data.pkl")
    order = f"{folder}byteorder"
    if order in archive.names and archive.read(order) != b"little":
        raise Refusal(_BIG_ENDIAN)

    def values_of(storage: Storage) -> np.ndarray:
        raw = archive.read(f"{folder}data/{storage.key}")
        return np.frombuffer(raw, storage.dtype, len(raw) // storage.dtype.itemsize)

    pickle = bytes(archive.read(root))
    tree = Machine(pickle, MAKERS, _outside(lambda storage, part=None: storage)).load()
    return tree, values_of


def _open_stream(data: bytes) -> tuple[Any, Values]:
    """The container before the zip; or a plain pickle, which holds NumPy's arrays."""
    storages: dict[str, Storage] = {}

    def storage_of(storage: Storage, part: Any = None) -> Storage:
        if part is not None:
            name, start, count = part
            if not (type(start) is type(count) is int and start >= 0 <= count):
                raise ValueError("a storage beyond another one")
            storage = storage._replace(key=str(name), start=start, count=count)
        storages.setdefault(storage.key, storage)
        return storage

    machine = Machine(data, MAKERS, _outside(storage_of))
    # Magic number, protocol version, machine; then the objects and the storages' order.
    magic = machine.load()
    if type(magic) is not int:
        return magic, _no_values
    if magic != _STREAM_MAGIC:
        raise ValueError("wrong magic number")
    _, system = machine.load(), machine.load()
    if isinstance(system, dict) and system.get("little_endian") is False:
        raise Refusal(_BIG_ENDIAN)
    tree, keys = machine.load(), machine.load()
    values = {}
    for key in map(str, keys):
        if key not in storages or key in values:
            raise ValueError(f"values {quoted(key)} that no tensor names")
        values[key] = take_values(machine, storages[key].dtype)
    return tree, lambda storage: part_of(values[storage.key], storage)


def _no_values(storage: Storage) -> np.ndarray:
    raise ValueError("a tensor without values")
