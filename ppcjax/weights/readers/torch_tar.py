"""PyTorch's container of before 2018: a tar archive of four entries.

"pickle" refers to tensors by number. "tensors" holds how many there are; then for each
a pickle of (number, number of its storage, class), rank as int32, four bytes of
nothing, shape, strides and offset as int64. "storages" holds how many there are; then
for each a pickle of (number, device, class), a count as int64 and the values; last, a
pickle of the storages that are parts: (number, number of the whole, offset, count).
"sys_info" says the order of bytes.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from ppcjax.weights.readers.errors import Refusal
from ppcjax.weights.readers.pickles import Machine
from ppcjax.weights.readers.torch_tensors import (
    MAKERS,
    Storage,
    Tensor,
    Values,
    part_of,
    storage_type,
    take_values,
    view,
)

_BLOCK = 512
_NEEDED = ("pickle", "storages", "tensors")


def open_tar(data: bytes) -> tuple[Any, Values]:
    """What the pickle holds, and a function that gives the values of a storage.

    Args:
        data: the bytes of the file.

    Raises:
        Refusal: the archive is none of PyTorch's.
    """
    places = _entries(data)
    if not all(name in places for name in _NEEDED):
        raise Refusal("is a tar archive; unpack it and give the file inside")
    if "sys_info" in places:
        system = Machine(data, MAKERS, None, *places["sys_info"]).load()
        if isinstance(system, dict) and system.get("little_endian") is False:
            raise Refusal("has big-endian numbers; save it again on a usual machine")
    storages, values = _storages(Machine(data, MAKERS, None, *places["storages"]))
    tensors = _tensors(Machine(data, MAKERS, None, *places["tensors"]), storages)
    objects = {**storages, **tensors}
    machine = Machine(data, MAKERS, _outside(objects), *places["pickle"])
    return machine.load(), lambda storage: part_of(values[storage.key], storage)


def _outside(objects: dict[str, Storage | Tensor]) -> Callable[[Any], Any]:
    def load(key: Any) -> Any:
        # The class of a module comes with its source.
        return key[0] if isinstance(key, tuple) else objects[str(key)]

    return load


def _entries(data: bytes) -> dict[str, tuple[int, int]]:
    """Begin and end of the plain files of a tar archive."""
    places, at = {}, 0
    while data[at : at + 1] not in (b"", b"\0"):
        head = data[at : at + _BLOCK]
        name = head[:100].split(b"\0")[0].decode("latin-1").removeprefix("./")
        size = int(head[124:136].strip(b" \0") or b"0", 8)
        start = at + _BLOCK
        if not 0 <= size <= len(data) - start:
            raise ValueError("it ends early")
        if head[156:157] in (b"0", b"\0"):
            places.setdefault(name, (start, start + size))
        at = start + -(-size // _BLOCK) * _BLOCK
    return places


def _storages(machine: Machine) -> tuple[dict[str, Storage], dict[str, np.ndarray]]:
    """Storages by number, and the values of those that are whole."""
    storages, values = {}, {}
    for _ in range(machine.load()):
        number, _, kind = machine.load()
        storages[str(number)] = Storage(str(number), storage_type(kind))
        values[str(number)] = take_values(machine, storage_type(kind))
    for number, whole, start, count in machine.load():
        if not (type(start) is type(count) is int and start >= 0 <= count):
            raise ValueError("a storage beyond another one")
        part = storages[str(whole)]._replace(start=start, count=count)
        storages[str(number)] = part
    return storages, values


def _tensors(machine: Machine, storages: dict[str, Storage]) -> dict[str, Tensor]:
    tensors = {}
    for _ in range(machine.load()):
        number, storage, _ = machine.load()
        rank = machine.take_number("<i")
        machine.take(4)
        if not 0 <= rank <= 64:
            raise ValueError("a tensor without a sound shape")
        shape, strides = (
            tuple(machine.take_number("<q") for _ in range(rank)) for _ in range(2)
        )
        offset = machine.take_number("<q")
        if storage is not None:  # else empty
            tensors[str(number)] = view(storages[str(storage)], offset, shape, strides)
    return tensors
