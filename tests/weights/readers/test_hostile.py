"""Files made to run something or to fill the memory: one line, and nothing happens."""

import io
import os
import pickle
import struct
import time
import tracemalloc

import numpy as np
import pytest

from ppcjax.types import UserError
from ppcjax.weights.readers import read
from tests.weights.readers.files import npz_bytes
from tests.weights.readers.pickling import (
    FORMS,
    Call,
    Named,
    Outside,
    pickled,
    state_dict_bytes,
    stream_bytes,
    torch_call,
    zip_bytes,
)
from tests.weights.readers.test_read import check_equal, refused, write

ONES = {"a": np.ones(3, np.float32)}


class _Attack:
    """Opens a file for writing where it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def in_zip(tree):
    return zip_bytes({"data.pkl": tree})


def in_stream(tree):
    return stream_bytes(tree, {})


HOLDERS = {"plain": lambda tree: tree, "zip": in_zip, "stream": in_stream}
hold = pytest.mark.parametrize("hold", HOLDERS.values(), ids=HOLDERS)


@hold
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_nothing_is_executed(tmp_path, hold, protocol):
    victim = tmp_path / "written"
    tree = pickle.dumps({"x": _Attack(victim)}, protocol=protocol)
    pickle.loads(tree)["x"].close()
    assert victim.exists()  # Python's own unpickler would
    victim.unlink()
    assert "nothing was run" in refused(write(tmp_path, hold(tree)))
    assert not victim.exists()


@hold
@pytest.mark.parametrize(
    "maker",
    [
        *("os.system", "posix.system", "nt.system", "subprocess.Popen"),
        *("builtins.eval", "builtins.exec", "__builtin__.eval", "builtins.__import__"),
        *("runpy.run_path", "importlib.import_module", "socket.socket"),
    ],
)
def test_who_asks_to_run_something_is_named(tmp_path, hold, maker):
    name = Named(*maker.rsplit(".", 1))
    for protocol in (2, 4):
        path = write(tmp_path, hold(pickled({"x": Call(name, "true")}, protocol)))
        assert "would run" in refused(path)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "maker",
    [
        *("builtins.getattr", "builtins.map", "functools.partial", "operator.call"),
        *("torch.load", "torch.hub.load", "numpy.load", "pickle.loads"),
        *("torch._utils._rebuild_tensor_v2.__globals__", "tempfile.mkdtemp"),
        *("ppcjax.types.UserError", "tests.weights.readers.test_hostile.boom"),
    ],
)
def test_unknown_names_stand_for_nothing(tmp_path, form, maker):
    call = Call(Named(*maker.rsplit(".", 1)), "x", state={"__setstate__": 1, "y": 2})
    data = state_dict_bytes(form, ONES, lambda tree: {"x": Call(call, "y"), **tree})
    check_equal(read(write(tmp_path, data)), ONES)


def boom(*_):
    raise AssertionError("this was run")


def test_an_archive_in_an_archive_stays_closed(tmp_path):
    inner = in_zip(pickled(Call(Named("os", "system"), "true")))
    data = zip_bytes({"net.pth": inner})
    assert "unpack it and give the file inside" in refused(write(tmp_path, data))


def test_pickles_behind_the_stream_stay_closed(tmp_path):
    data = state_dict_bytes("stream", ONES) + pickled(Call(Named("os", "system"), "x"))
    check_equal(read(write(tmp_path, data)), ONES)


@pytest.mark.parametrize(
    "key",
    [
        *(3, None, (), ("storage",), "storage", ["storage", 1, 2, 3, 4], ("module",)),
        ("storage", "FloatStorage", "0", "cpu", 1),
        ("storage", Named("os.path", "FloatStorage"), "0", "cpu", 1),
        ("storage", Named("torch", "FloatStorage"), [1], "cpu", 1),
        ("storage", Named("torch", "FloatStorage"), "../../0", "cpu", 1),
        ("storage", Call(Named("a", "b")), "0", "cpu", 1),
        (("storage",), 1, 2, 3, 4),
    ],
)
def test_ids_of_odd_types(tmp_path, key):
    tensor = torch_call("_rebuild_tensor_v2", Outside(key), 0, (1,), (1,), False, {})
    for hold in (in_zip, in_stream):
        refused(write(tmp_path, hold(pickled({"a": tensor}))))


def _laughs(kind):
    """A container in a container, each twice, forty deep."""
    tree = kind(1)
    for _ in range(40):
        tree = [tree, tree] if kind is _listed else {"a": tree, "b": tree}
    return pickle.dumps(tree, protocol=2)


def _listed(value):
    return [value, value]


def _keyed(value):
    return {"a": value}


_BOMBS = {
    "memo index": b"\x80\x02}r\xff\xff\xff\xff.",
    "text memo index": b"\x80\x02}p99999999999999\n.",
    "bytes8": b"\x80\x04\x8e" + struct.pack("<Q", 1 << 40) + b"x.",
    "bytearray8": b"\x80\x05\x96" + struct.pack("<Q", 1 << 40) + b"x.",
    "text8": b"\x80\x04\x8d" + struct.pack("<Q", 1 << 63) + b"x.",
    "frame": b"\x80\x04\x95" + struct.pack("<Q", 1 << 50) + b"}.",
    "long4": b"\x80\x02\x8b\xff\xff\xff\x7f1.",
    "negative long4": b"\x80\x02\x8b\xff\xff\xff\xff1.",
    "long digits": b"\x80\x02L" + b"9" * 100_000 + b"L\n.",
    "tuples as a key": b"\x80\x02}(" + b")" + b"2\x86" * 60 + b"K\x01u.",
    "shared lists": _laughs(_listed),
    "shared dictionaries": _laughs(_keyed),
    "deep lists": b"\x80\x02" + b"]" * 9999 + b"a" * 9998 + b".",
    "deep tuples": b"\x80\x02)" + b"\x85" * 9999 + b".",
    "marks": b"\x80\x02" + b"(" * 9999 + b".",
    "twice": b"\x80\x02}" + b"2" * 9999 + b".",
    "own list": b"\x80\x02]q\x00h\x00ah\x00a.",
    "no stop": b"\x80\x02}",
    "empty stack": b"\x80\x020.",
    "extension": b"\x80\x02\x82\x01.",
    "out of band": b"\x80\x05\x97.",
    "protocol": b"\x80\x05\x80\xff}.",
    "odd dictionary": b"\x80\x02}(K\x01u.",
    "name of a number": b"\x80\x04K\x01K\x02\x93.",
    "surrogates": b"\x80\x02X\x03\x00\x00\x00\xed\xa0\x80.",
    "keys of one hash": b"\x80\x02}("
    + b"".join(
        b"\x8a\x0a" + (i * (2**61 - 1)).to_bytes(10, "little") + b"N"
        for i in range(15_000)
    )
    + b"u.",
    "copied dictionaries": pickle.dumps(None, 2)[:2]
    + b"ccollections\nOrderedDict\nq\x00](" + b"K\x01K\x02\x86" * 9999 + b"e\x85q\x010"
    + b"h\x00h\x01R0" * 999 + b"}.",
    "copied bytes": b"\x80\x02c_codecs\nencode\nq\x00X\xa0\x86\x01\x00" + b"x" * 100_000
    + b"X\x06\x00\x00\x00latin1\x86q\x010" + b"h\x00h\x01R" * 9999 + b"}.",
}  # fmt: skip


@pytest.mark.parametrize("name", _BOMBS)
def test_pickles_that_grow(tmp_path, name):
    for hold in HOLDERS.values():
        path = write(tmp_path, hold(_BOMBS[name]))
        began = time.perf_counter()
        tracemalloc.start()
        refused(path)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 100 << 20
        assert time.perf_counter() - began < 20  # a few tenths on an idle machine


def test_shared_tensors_have_no_end_of_names(tmp_path):
    def wrap(tree):
        for _ in range(30):
            tree = {"a": tree, "b": tree}
        return tree

    path = write(tmp_path, state_dict_bytes("zip", ONES, wrap))
    assert "names more than 200000 tensors" in refused(path)


def test_long_names(tmp_path):
    def wrap(tree):
        return {"x" * 500: {"y" * 600: tree}}

    path = write(tmp_path, state_dict_bytes("zip", ONES, wrap))
    assert "a name of more than 1000 letters" in refused(path)


def test_zip_bombs(tmp_path):
    """Deflated entries grow 200-fold, or to 16 MiB, and no more."""
    weights = np.random.default_rng(0).standard_normal(5000)
    data = npz_bytes({"a": weights}, np.savez_compressed)
    check_equal(read(write(tmp_path, data)), {"a": weights})
    many = {f"a{i}": np.zeros(100_000, np.float32) for i in range(60)}
    data = npz_bytes(many, np.savez_compressed)
    tracemalloc.start()
    text = refused(write(tmp_path, data))
    assert tracemalloc.get_traced_memory()[1] < 20 << 20
    tracemalloc.stop()
    assert "more than weights of a file of this size can" in text


def test_declared_sizes_are_not_believed(tmp_path):
    data = bytearray(npz_bytes({"a": np.zeros(1000)}, np.savez_compressed))
    entry = data.rindex(b"PK\x01\x02")
    data[entry + 24 : entry + 28] = struct.pack("<I", 0xF0000000)
    assert "unpacks to" in refused(write(tmp_path, bytes(data)))
    data[entry + 24 : entry + 28] = struct.pack("<I", 100)
    assert "the size of" in refused(write(tmp_path, bytes(data)))


def test_entries_that_share_bytes(tmp_path):
    data = bytearray(zip_bytes({f"{i}.npy": bytes(99) for i in range(9)}, folder=""))
    first, at = data.index(b"PK\x01\x02"), -1
    for _ in range(9):
        at = data.index(b"PK\x01\x02", at + 1)
        data[at + 20 : at + 28] = struct.pack("<II", first - 40, first - 40)
        data[at + 42 : at + 46] = struct.pack("<I", 0)
    assert "overlap" in refused(write(tmp_path, bytes(data)))


@pytest.mark.parametrize("flip", ["encrypted", "method", "checksum", "twice"])
def test_odd_archives(tmp_path, flip):
    data = bytearray(npz_bytes({"a": np.zeros(9), "b": np.ones(9)}))
    entry = data.index(b"PK\x01\x02")
    if flip == "encrypted":
        data[entry + 8] |= 1
    elif flip == "method":
        data[entry + 10] = 14
    elif flip == "checksum":
        data[entry + 16] ^= 1
    else:
        data = data.replace(b"b.npy", b"a.npy")
    refused(write(tmp_path, bytes(data)))


def test_pipes_and_devices_are_not_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert "no plain file" in refused(tmp_path / "pipe")
    with pytest.raises(UserError):
        read("/dev/zero")


def test_objects_in_npz_stay_closed(tmp_path):
    victim = tmp_path / "written"
    file = io.BytesIO()
    arrays = {"x": np.array([_Attack(victim)], object), "w": np.ones(2)}
    np.savez(file, **arrays, allow_pickle=True)
    found = read(write(tmp_path, file.getvalue()))
    assert "x" not in found and "w" in found
    assert not victim.exists()
