"""Small files of every format, of the same arrays where the format has their types."""

import io
import json
import math
import struct

import ml_dtypes
import numpy as np

from tests.weights.mxnet_files import params_bytes
from tests.weights.readers.pickling import (
    FORMS,
    Call,
    Named,
    OldText,
    pickled,
    state_dict_bytes,
)

_SAFE = {"bfloat16": "BF16", "bool": "BOOL", "complex64": "C64"}
_ONNX = {
    **{"float32": 1, "uint8": 2, "int8": 3, "int16": 5, "int32": 6, "int64": 7},
    **{"bool": 9, "float16": 10, "float64": 11, "bfloat16": 16},
}


def some_arrays():
    rng = np.random.default_rng(0)
    wide = rng.standard_normal((4, 3, 2))
    return {
        "conv.weight": wide.astype(np.float32),
        "half": wide[0].astype(np.float16),
        "brain": wide[1].astype(ml_dtypes.bfloat16),
        "double": wide[:, 0, 0],
        "scalar": np.array(7),
        "empty": np.zeros((0, 3), np.float32),
        "signed": np.arange(-3, 3, dtype=np.int8),
        "unsigned": np.arange(3, dtype=np.uint8),
        "mask": np.array([True, False, True]),
    }


def safetensors_bytes(arrays, **header):
    """header: entries that replace those of the list."""
    entries, at = {}, 0
    for name, array in arrays.items():
        short = f"{array.dtype.kind.upper()}{8 * array.dtype.itemsize}"
        entries[name] = {
            "dtype": _SAFE.get(array.dtype.name, short),
            "shape": array.shape,
            "data_offsets": [at, at + array.nbytes],
        }
        at += array.nbytes
    raw = json.dumps({"__metadata__": {"format": "pt"}, **entries, **header}).encode()
    return packed(raw, *arrays.values())


def packed(header, *arrays):
    """A safetensors file around any list."""
    values = [array.tobytes() for array in arrays]
    return b"".join([struct.pack("<Q", len(header)), header, *values])


def npz_bytes(arrays, save=np.savez):
    file = io.BytesIO()
    save(file, **arrays)
    return file.getvalue()


def numpy_pickle_bytes(arrays, protocol=2, python=3):
    """What Detectron2 writes: NumPy's arrays in a plain pickle."""
    tree = {name: _numpy_call(array, python) for name, array in arrays.items()}
    return pickled({"model": tree, "__author__": "somebody"}, protocol)


def _numpy_call(array, python):
    short = f"{array.dtype.kind}{array.dtype.itemsize}"
    order = "|" if array.dtype.itemsize == 1 else "<"
    dtype_state = (3, order, None, None, None, -1, -1, 0)
    dtype = Call(Named("numpy", "dtype"), short, False, True, state=dtype_state)
    text = array.tobytes().decode("latin-1")
    raw = Call(Named("_codecs", "encode"), text, "latin1")
    raw = OldText(array.tobytes()) if python == 2 else raw
    empty = (Named("numpy", "ndarray"), (0,), "b")
    maker = Named("numpy.core.multiarray", "_reconstruct")
    return Call(maker, *empty, state=(1, array.shape, dtype, False, raw))


def field(number, value):
    """A field of Protocol Buffers: an int, or bytes."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _varint(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def onnx_tensor(name, array, raw=True):
    head = [field(1, n) for n in array.shape]
    head += [field(2, _ONNX[array.dtype.name]), field(8, name.encode())]
    return b"".join([*head, field(9, array.tobytes()) if raw else b""])


def onnx_bytes(arrays, *more):
    """more: further fields of the graph."""
    tensors = [field(5, onnx_tensor(name, a)) for name, a in arrays.items()]
    return field(1, 8) + field(7, b"".join([*tensors, *more])) + field(8, b"")


def _only(arrays, kinds):
    return {name: a for name, a in arrays.items() if a.dtype.name in kinds}


_MXNET = ("float32", "float64", "float16", "uint8", "int64", "int8")
ARRAYS = some_arrays()
_NUMPY = {name: a for name, a in ARRAYS.items() if name != "brain"}
_MX = {n: a for n, a in _only(ARRAYS, _MXNET).items() if a.ndim and math.prod(a.shape)}
_PICKLED = {f"model.{name}": array for name, array in _NUMPY.items()}
# The bytes of a file of each format, and what is in it.
FILES = {
    **{f"torch {form}": (state_dict_bytes(form, ARRAYS), ARRAYS) for form in FORMS},
    "safetensors": (safetensors_bytes(ARRAYS), ARRAYS),
    "mxnet": (params_bytes(_MX), _MX),
    "npz": (npz_bytes(_NUMPY), _NUMPY),
    "npz deflated": (npz_bytes(_NUMPY, np.savez_compressed), _NUMPY),
    "onnx": (onnx_bytes(ARRAYS), ARRAYS),
    "numpy pickle": (numpy_pickle_bytes(_NUMPY), _PICKLED),
    "numpy pickle of Python 2": (numpy_pickle_bytes(_NUMPY, python=2), _PICKLED),
}
