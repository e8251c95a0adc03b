"""Writes pickles of classes that are not there, and PyTorch's files around them."""

import collections
import io
import pickle
import struct
import tarfile
import zipfile

import numpy as np

FORMS = ("zip", "stream", "tar")
STORAGES = {
    **{"float64": "Double", "float32": "Float", "float16": "Half", "int64": "Long"},
    **{"int32": "Int", "int16": "Short", "int8": "Char", "uint8": "Byte"},
    **{"bool": "Bool", "bfloat16": "BFloat16", "complex64": "ComplexFloat"},
}
_MAGIC = 0x1950A86A20F9469CFC6C


class Named:
    """A class or function, by name only."""

    def __init__(self, module, name):
        self.module, self.name = module, name


class Call:
    """What calling something gives, and the state that it gets then."""

    def __init__(self, maker, *arguments, state=None):
        self.maker, self.arguments, self.state = maker, arguments, state


class OldText:
    """A text of Python 2, which may be bytes."""

    def __init__(self, data):
        self.data = data


class Outside:
    """An object that is kept outside of the pickle."""

    def __init__(self, key):
        self.key, self.is_saved = key, False


class _Pickler(pickle._Pickler):
    dispatch = dict(pickle._Pickler.dispatch)

    def save_named(self, value):
        if self.proto >= 4:
            self.save(value.module)
            self.save(value.name)
            self.write(pickle.STACK_GLOBAL)
        else:
            self.write(f"c{value.module}\n{value.name}\n".encode())

    def save_call(self, value):
        self.save(value.maker)
        self.save(value.arguments)
        self.write(pickle.REDUCE)
        if value.state is not None:
            self.save(value.state)
            self.write(pickle.BUILD)

    def save_outside(self, value):
        value.is_saved = True
        self.save(value.key)
        self.write(pickle.BINPERSID)

    def save_old_text(self, value):
        size = struct.pack("<i", len(value.data))
        self.write(pickle.BINSTRING + size + value.data)

    dispatch[OldText] = save_old_text
    dispatch[Named] = save_named
    dispatch[Call] = save_call
    dispatch[Outside] = save_outside


def pickled(tree, protocol=2):
    file = io.BytesIO()
    _Pickler(file, protocol).dump(tree)
    return file.getvalue()


def torch_call(name, *arguments):
    return Call(Named("torch._utils", name), *arguments)


def container(form, tree_of, storages, protocol=2, parts=()):
    """The bytes of a file.

    tree_of: makes what is pickled, of a function tensor(storage, offset, shape,
        strides) in elements.
    storages: flat arrays by name, which are numbers in writing.
    parts: storages of a tar archive that are parts of others: (number, number of the
        other, offset, count).
    """
    views, outside = [], {}

    def tensor(key, offset, shape, strides):
        if form == "tar":
            views.append((key, offset, shape, strides))
            return Outside(str(1000 + len(views)))
        kind = STORAGES[storages[key].dtype.name] + "Storage"
        where = ("storage", Named("torch", kind), key, "cpu", storages[key].size)
        where = (*where, None) if form == "stream" else where
        place = Outside(where)
        outside.setdefault(key, []).append(place)
        hooks = collections.OrderedDict()
        return torch_call(
            "_rebuild_tensor_v2", place, offset, shape, strides, False, hooks
        )

    tree = pickled(tree_of(tensor), protocol)
    if form == "zip":
        values = {f"data/{key}": array.tobytes() for key, array in storages.items()}
        return zip_bytes({"data.pkl": tree, "byteorder": b"little", **values})
    if form == "stream":
        used = {k for k, places in outside.items() if any(p.is_saved for p in places)}
        return stream_bytes(tree, {k: storages[k] for k in storages if k in used})
    return _tar_bytes(tree, views, storages, parts)


def stream_bytes(tree, storages):
    """The older container around a pickle."""
    heads = [pickled(part) for part in (_MAGIC, 1001, {"little_endian": True})]
    values = [_raw(array) for array in storages.values()]
    return b"".join([*heads, tree, pickled(list(storages)), *values])


def _raw(array):
    return struct.pack("<q", array.size) + array.tobytes()


def _tar_bytes(tree, views, storages, parts):
    tensors = [pickled(len(views))]
    for i, (key, offset, shape, strides) in enumerate(views):
        tensors.append(pickled((1001 + i, int(key), Named("torch", "FloatTensor"))))
        rank = len(shape)
        numbers = (rank, 0, *shape, *strides, offset)
        tensors.append(struct.pack(f"<ii{2 * rank + 1}q", *numbers))
    values = [pickled(len(storages))]
    for key, array in storages.items():
        kind = Named("torch", STORAGES[array.dtype.name] + "Storage")
        values += [pickled((int(key), "cpu", kind)), _raw(array)]
    entries = {
        "sys_info": pickled({"protocol_version": 1000, "little_endian": True}),
        "pickle": tree,
        "tensors": b"".join(tensors),
        "storages": b"".join([*values, pickled(list(parts))]),
    }
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, data in entries.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return file.getvalue()


def zip_bytes(entries, *, folder="net/", method=zipfile.ZIP_STORED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, data in entries.items():
            archive.writestr(folder + name, data)
    return file.getvalue()


def state_dict_bytes(form, arrays, wrap=lambda tree: tree, protocol=2):
    """A file of named arrays, each a storage of its own."""
    keys = {name: str(i) for i, name in enumerate(arrays)}

    def tree_of(tensor):
        tree = collections.OrderedDict()
        for name, array in arrays.items():
            strides = np.cumprod([1, *array.shape[:0:-1]])[::-1][: array.ndim]
            tree[name] = tensor(keys[name], 0, array.shape, tuple(map(int, strides)))
        return wrap(tree)

    storages = {keys[name]: array.ravel() for name, array in arrays.items()}
    return container(form, tree_of, storages, protocol)
