"""Writes PyTorch's files, zip and stream, without PyTorch."""

import collections
import io
import pickle
import sys
import types
import zipfile

import numpy as np

_STORAGES = {"f4": "FloatStorage", "f2": "HalfStorage", "i8": "LongStorage"}
_MAGIC = 0x1950A86A20F9469CFC6C


class _Tensor:
    def __init__(self, key, array, transposed):
        self.key, self.array, self.transposed = key, array, transposed


def _fake_torch():
    """Modules whose names a pickle can hold."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    for name in _STORAGES.values():
        setattr(torch, name, type(name, (), {"__module__": "torch"}))

    def rebuild(*args):
        raise NotImplementedError

    rebuild.__name__ = rebuild.__qualname__ = "_rebuild_tensor_v2"
    rebuild.__module__ = "torch._utils"
    utils._rebuild_tensor_v2 = rebuild
    torch._utils = utils
    return {"torch": torch, "torch._utils": utils}


class _Storage:
    def __init__(self, tensor):
        self.tensor = tensor


class _Pickler(pickle.Pickler):
    modules: dict
    is_stream = False

    def reducer_override(self, value):
        if not isinstance(value, _Tensor):
            return NotImplemented
        array = value.array
        shape, strides = array.shape, np.zeros(array.shape, "u1").strides
        if value.transposed:  # the same values, seen the other way about
            shape, strides = shape[::-1], strides[::-1]
        hooks = collections.OrderedDict()
        arguments = (_Storage(value), 1, shape, strides, False, hooks)
        return self.modules["torch._utils"]._rebuild_tensor_v2, arguments

    def persistent_id(self, value):
        if not isinstance(value, _Storage):
            return None
        tensor = value.tensor
        kind = _STORAGES[tensor.array.dtype.str[1:]]
        count = tensor.array.size + 1
        pid = (
            "storage",
            getattr(self.modules["torch"], kind),
            tensor.key,
            "cpu",
            count,
        )
        return (*pid, None) if self.is_stream else pid


def _values(tensor):
    """One value that no tensor looks at, then the tensor's."""
    return np.concatenate([[9], tensor.array.ravel()]).astype(tensor.array.dtype)


def torch_bytes(arrays, *, form="zip", transposed=(), wrap=lambda tree: tree):
    """The bytes of a file of named arrays.

    form: "zip" (torch >= 1.6) or "stream".
    transposed: names of arrays that are stored as views with swapped strides.
    wrap: puts the dictionary into a larger object.
    """
    tensors = collections.OrderedDict(
        (name, _Tensor(str(100 + i), array, name in transposed))
        for i, (name, array) in enumerate(arrays.items())
    )
    file, modules = io.BytesIO(), _fake_torch()
    before = {name: sys.modules.get(name) for name in modules}
    sys.modules.update(modules)
    try:
        pickler = _Pickler(file, protocol=2)
        pickler.modules, pickler.is_stream = modules, form == "stream"
        pickler.dump(wrap(tensors))
    finally:
        for name, module in before.items():
            sys.modules.pop(name)
            if module is not None:
                sys.modules[name] = module
    tree = file.getvalue()
    out = io.BytesIO()
    if form == "zip":
        with zipfile.ZipFile(out, "w") as archive:
            archive.writestr("weights/data.pkl", tree)
            archive.writestr("weights/byteorder", "little")
            for tensor in tensors.values():
                archive.writestr(
                    f"weights/data/{tensor.key}", _values(tensor).tobytes()
                )
        return out.getvalue()
    for header in (_MAGIC, 1001, {"little_endian": True}):
        out.write(pickle.dumps(header, protocol=2))
    out.write(tree)
    out.write(pickle.dumps([t.key for t in tensors.values()], protocol=2))
    for tensor in tensors.values():
        values = _values(tensor)
        out.write(np.int64(len(values)).tobytes() + values.tobytes())
    return out.getvalue()
