"""Safetensors: what its list may say, and what not."""

import json

import numpy as np
import pytest

from ppcjax.weights.readers import read
from tests.weights.readers.files import packed, safetensors_bytes
from tests.weights.readers.test_read import check_equal, refused, write

ARRAYS = {"a": np.arange(4, dtype=np.float32), "b": np.arange(3.0)}


def entry(begin, end, shape, dtype="F32"):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def test_the_package_agrees(tmp_path):
    numpy = pytest.importorskip("safetensors.numpy")
    path = tmp_path / "net.safetensors"
    numpy.save_file(ARRAYS, path, metadata={"format": "pt"})
    check_equal(dict(sorted(read(path).items())), ARRAYS)


def test_order_of_the_list_is_free(tmp_path):
    header = {"late": entry(8, 16, [2]), "early": entry(0, 8, [2])}
    values = np.arange(4, dtype=np.float32)
    found = read(write(tmp_path, packed(json.dumps(header).encode() + b"  ", values)))
    check_equal(found, {"late": values[2:], "early": values[:2]})


@pytest.mark.parametrize(
    "header, says",
    [
        ({"b": entry(12, 28, [4])}, "overlap or leave a hole"),
        ({"b": entry(20, 40, [5])}, "overlap or leave a hole"),
        ({"b": entry(16, 36, [5])}, "4 bytes belong to no tensor"),
        ({"b": entry(16, 48, [8])}, "other bytes than its shape"),
        ({"b": entry(16, 40, [7])}, "other bytes than its shape"),
        ({"b": entry(40, 16, [6])}, "other bytes than its shape"),
        ({"b": entry(16, 40, [2**40, 2**40])}, "other bytes than its shape"),
        ({"b": entry(-24, 0, [6])}, "no sound shape"),
        ({"b": entry(16, 40, [-6])}, "no sound shape"),
        ({"b": entry(16, 40, [6.0])}, "no sound shape"),
        ({"b": entry(16, 40, [[6]])}, "no sound shape"),
        ({"b": entry(16, 40, [6], "F4")}, "holds b as F4, which is not read here"),
        ({"b": {"dtype": "F32"}}, "shape"),
        ({"b": 3}, ""),
        ({"b": None}, ""),
    ],
)
def test_lists_that_do_not_fit_the_values(tmp_path, header, says):
    assert says in refused(write(tmp_path, safetensors_bytes(ARRAYS, **header)))


def test_names_that_come_twice(tmp_path):
    text = json.dumps({"a": entry(0, 16, [4])})[:-1] + ', "a": 1}'
    path = write(tmp_path, packed(text.encode(), ARRAYS["a"]))
    assert "names a twice" in refused(path)


@pytest.mark.parametrize("size", [2**63, 2**64 - 1, 10**11, 5000])
def test_lists_longer_than_the_file(tmp_path, size):
    data = size.to_bytes(8, "little") + safetensors_bytes(ARRAYS)[8:]
    assert "not a complete safetensors file" in refused(write(tmp_path, data))


@pytest.mark.parametrize(
    "header",
    [b"{", b"{" + b"[" * 50_000, b'{"a": ' * 50_000, b'{"\xff": 1}', b"{}{}"],
)
def test_lists_that_are_no_json(tmp_path, header):
    assert "not a complete safetensors" in refused(write(tmp_path, packed(header)))


def test_bytes_behind_the_values(tmp_path):
    path = write(tmp_path, safetensors_bytes(ARRAYS) + b"\0\0")
    assert "2 bytes belong to no tensor" in refused(path)
