"""Files of weights as strangers might send them: broken anywhere, or made to lie."""

import io
import json
import pickle
import struct
import zipfile

import numpy as np

from tests.faults.held import Fault
from tests.weights.readers.files import FILES, field, packed
from tests.weights.readers.pickling import (
    Call,
    Named,
    Outside,
    pickled,
    stream_bytes,
    torch_call,
    zip_bytes,
)

NUMBERS = (-1, 1 << 31, 1 << 34, 1 << 62, 255)


def broken(rng):
    """A sound file of some format that is cut, flipped or overwritten somewhere."""
    name = sorted(FILES)[rng.integers(len(FILES))]
    data, how = bytearray(FILES[name][0]), int(rng.integers(5))
    at = int(rng.integers(len(data)))
    if how == 0:
        data[at] ^= 1 << int(rng.integers(8))
    elif how == 1:
        del data[at:]
    elif how == 2:
        data[at : at + 8] = rng.bytes(8)
    elif how == 3:
        data[at : at + 8] = struct.pack("<q", NUMBERS[rng.integers(len(NUMBERS))])
    else:
        data[at:at] = rng.bytes(int(rng.integers(1, 99)))
    what = ("a flip", "a cut", "noise", "a number", "more bytes")[how]
    return Fault(f"{name}: {what} at {at}", bytes(data))


def _tensor(shape, strides, count=4, kind="FloatStorage", offset=0):
    place = Outside(("storage", Named("torch", kind), "0", "cpu", count))
    return torch_call("_rebuild_tensor_v2", place, offset, shape, strides, False, {})


def _torch(tensor, values=bytes(16)):
    return zip_bytes({"data.pkl": pickled({"a": tensor}), "data/0": values})


def _npy(text, values=bytes(16)):
    head = text.encode().ljust(118) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head + values


def _header(shape="(4,)", kind="'<f4'"):
    return f"{{'descr': {kind}, 'fortran_order': False, 'shape': {shape}, }}"


def _deflated(entries):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return file.getvalue()


def _listed(**entry):
    whole = {"dtype": "F32", "shape": [4], "data_offsets": [0, 16], **entry}
    return packed(json.dumps({"a": whole}).encode(), np.zeros(4, np.float32))


def _onnx(*dims, kind=1, more=b"", raw=bytes(16)):
    head = b"".join(field(1, dim & (2**64 - 1)) for dim in dims)
    tensor = head + field(2, kind) + field(8, b"a") + field(9, raw) + more
    return field(1, 8) + field(7, field(5, tensor))


def _outside(place):
    entry = field(13, field(1, b"location") + field(2, place))
    tensor = field(1, 4) + field(2, 1) + field(8, b"a") + entry + field(14, 1)
    return field(1, 8) + field(7, field(5, tensor))


def _laughs(depth):
    tree = {"a": 1}
    for _ in range(depth):
        tree = {"a": tree, "b": tree}
    return pickle.dumps(tree, 2)


def _zip64(size):
    """An archive whose only entry claims a size in the wide field."""
    data = bytearray(zip_bytes({"data.pkl": pickled({})}))
    entry = data.rindex(b"PK\x01\x02")
    data[entry + 20 : entry + 28] = b"\xff" * 8
    wide = struct.pack("<HHQQ", 1, 16, size, size)
    named = entry + 46 + struct.unpack_from("<H", data, entry + 28)[0]
    data[entry + 30 : entry + 32] = struct.pack("<H", len(wide))
    data[named:named] = wide
    end = data.rindex(b"PK\x05\x06")
    data[end + 12 : end + 16] = struct.pack("<I", end - entry)
    return bytes(data)


def bomb():
    """Arrays of 40 MiB of zeros, deflated to 40 KiB."""
    values = _npy(_header("(1048576,)"), bytes(4 << 20))
    return _deflated({f"{i}.npy": values for i in range(10)})


def lying():
    """Name -> bytes of a file that asks for more than it holds, or leads outside."""
    found = {
        "stride 0": _torch(_tensor((1 << 34,), (0,))),
        "stride 0, two axes": _torch(_tensor((1 << 17, 1 << 17), (0, 0))),
        "strides that reach beyond": _torch(_tensor((2, 2), (1 << 40, 1))),
        "an offset beyond": _torch(_tensor((2,), (1,), offset=1 << 40)),
        "a negative stride": _torch(_tensor((2,), (-1,))),
        "a storage of 60 GB": _torch(_tensor((15 << 30,), (1,), count=15 << 30)),
        "a rank of 99": _torch(_tensor((1,) * 99, (1,) * 99)),
        "no shape": _torch(_tensor("x", "x")),
        "views that overlap": zip_bytes(
            {
                "data.pkl": pickled(
                    {str(i): _tensor((1 << 19,), (1,), offset=i) for i in range(99)}
                ),
                "data/0": bytes(3 << 20),
            }
        ),
        "deflated zeros": bomb(),
        "deflated zeros of PyTorch": _deflated(
            {"n/data.pkl": pickled({"a": _tensor((1 << 26,), (1,), count=1 << 26)})}
            | {"n/data/0": bytes(1 << 28)}
        ),
        "npz: a shape of 60 GB": _deflated({"a.npy": _npy(_header("(15000000000,)"))}),
        "npz: negative": _deflated({"a.npy": _npy(_header("(-4,)"))}),
        "npz: code": _deflated({"a.npy": _npy(_header("(__import__('os').abort(),)"))}),
        "npz: nested": _deflated({"a.npy": _npy("(" * 9000)}),
        "npz: minus": _deflated({"a.npy": _npy("-" * 9000 + "1")}),
        "npz: objects": _deflated({"a.npy": _npy(_header(kind="'|O'"))}),
        "safetensors: 60 GB": _listed(shape=[15 << 30]),
        "safetensors: negative": _listed(shape=[-4]),
        "safetensors: offsets beyond": _listed(data_offsets=[0, 1 << 40]),
        "safetensors: backwards": _listed(data_offsets=[16, 0]),
        "safetensors: shape of texts": _listed(shape=["4"]),
        "safetensors: a long list": struct.pack("<Q", 1 << 40) + b'{"a":',
        "safetensors: negative list": struct.pack("<q", -2) + b'{"a":',
        "safetensors: twice": packed(b'{"a":{},"a":{}}'),
        "safetensors: nested": packed(b'{"a":' + b"[" * 99_999),
        "safetensors: lists": packed(b'{"a":[' + b"[]," * 1_000_000 + b"[]]}"),
        "onnx: 60 GB": _onnx(15 << 30),
        "onnx: negative": _onnx(-4),
        "onnx: wraps": _onnx(1 << 63, 2),
        "onnx: unknown type": _onnx(4, kind=99),
        "onnx: a length beyond": field(1, 8) + b"\x3a\xff\xff\xff\xff\x7f",
        "onnx: endless number": field(1, 8) + b"\x3a" + b"\xff" * 99,
        "onnx: fields": field(1, 8) + field(7, field(1, b"") * 2_100_000),
        "mxnet: many": struct.pack("<QQQ", 0x112, 0, 1 << 62),
        "mxnet: wide": struct.pack("<QQQIiI", 0x112, 0, 1, 0xF993FAC9, 0, 1 << 31),
        "tar: nothing": bytes(257) + b"ustar\x0000" + bytes(512),
        "pickle: laughs": _laughs(40),
        "pickle: lists": b"\x80\x02" + b"]" * 2_100_000 + b".",
        "pickle: sets": b"\x80\x04" + b"\x8f" * 2_100_000 + b".",
        "pickle: memo": b"\x80\x04]" + b"\x94" * 2_100_000 + b".",
        "pickle: marks": b"\x80\x02" + b"(" * 2_100_000 + b".",
        "pickle: memo index": b"\x80\x02}r\xff\xff\xff\xff.",
        "pickle: long": b"\x80\x02\x8b\xff\xff\xff\x7f1.",
        "pickle: bytes": b"\x80\x04\x8e" + struct.pack("<Q", 1 << 40) + b"x.",
        "pickle: deep": b"\x80\x02)" + b"\x85" * 500_000 + b".",
        "pickle: runs": pickled({"x": Call(Named("os", "system"), "true")}),
        "stream: runs": stream_bytes(pickled(Call(Named("builtins", "exec"), "1")), {}),
    }
    places = (b"/etc/passwd", b"../x", b"a/../../x", b"", b"\0", b"/dev/zero")
    found |= {f"onnx: values in {place!r}": _outside(place) for place in places}
    sizes = (1 << 34, 1 << 62, (1 << 64) - 1)
    return found | {f"zip64: {size}": _zip64(size) for size in sizes}
