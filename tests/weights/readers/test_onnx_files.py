"""ONNX: values in every place, and places outside of the folder."""

import ml_dtypes
import numpy as np
import pytest

from ppcjax.weights.readers import read
from tests.weights.readers.files import field, onnx_bytes, onnx_tensor
from tests.weights.readers.test_read import check_equal, refused, write

FLOATS = np.arange(6, dtype=np.float32).reshape(2, 3)


def initializer(name, array, *fields):
    """A tensor whose values are in other fields."""
    return field(5, onnx_tensor(name, array, raw=False) + b"".join(fields))


def constant(name, array, kind=b"Constant"):
    value = field(1, b"value") + field(5, onnx_tensor("", array))
    return field(1, field(2, name.encode()) + field(4, kind) + field(5, value))


def outside(place, offset=0, length=24):
    where = {"location": place, "offset": str(offset), "length": str(length)}
    entries = [
        field(13, field(1, key.encode()) + field(2, value.encode()))
        for key, value in where.items()
    ]
    return initializer("w", FLOATS, *entries, field(14, 1))


def test_values_in_lists(tmp_path):
    half = np.array([1.5, -2], np.float16)
    brain = np.array([1.5, -2], ml_dtypes.bfloat16)
    small = np.array([-3, 4], np.int8)
    bits = b"".join(field(5, int(n)) for n in half.view(np.uint16))
    packed = field(5, b"".join(field(0, int(n))[1:] for n in brain.view(np.uint16)))
    negative = field(5, (-3) % 2**64) + field(5, 4)
    data = onnx_bytes(
        {},
        initializer("f", FLOATS, field(4, FLOATS.tobytes())),
        initializer("h", half, bits),
        initializer("b", brain, packed),
        initializer("i", small, negative),
        initializer("d", np.ones(2), field(10, np.ones(2).tobytes())),
    )
    expected = {"f": FLOATS, "h": half, "b": brain, "i": small, "d": np.ones(2)}
    check_equal(read(write(tmp_path, data)), expected)


def test_constants_that_are_weights(tmp_path):
    data = onnx_bytes(
        {"a": FLOATS},
        constant("w", FLOATS + 1),
        constant("shape", np.arange(2)),
        constant("eps", np.float32(1e-5).reshape(())),
        constant("other", FLOATS, b"Fill"),
    )
    check_equal(read(write(tmp_path, data)), {"a": FLOATS, "w": FLOATS + 1})


def test_values_beside_the_file(tmp_path):
    (tmp_path / "net.data").write_bytes(b"12345678" + FLOATS.tobytes())
    data = onnx_bytes({}, outside("net.data", 8))
    check_equal(read(write(tmp_path, data)), {"w": FLOATS})
    assert "too short" in refused(
        write(tmp_path, onnx_bytes({}, outside("net.data", 9)))
    )
    big = outside("net.data", 0, 10**12)
    assert "too short" in refused(write(tmp_path, onnx_bytes({}, big)))
    short = outside("net.data", 0, 20)
    assert "other values" in refused(write(tmp_path, onnx_bytes({}, short)))
    assert "not there" in refused(write(tmp_path, onnx_bytes({}, outside("no.data"))))


def test_values_outside_the_folder(tmp_path):
    folder = tmp_path / "net"
    folder.mkdir()
    secret = tmp_path / "secret"
    secret.write_bytes(FLOATS.tobytes())
    (folder / "link").symlink_to(secret)
    for place in ("../secret", str(secret), "link", "x/../../secret", "", "/dev/zero"):
        path = write(folder, onnx_bytes({}, outside(place)))
        assert "outside its folder" in refused(path)


@pytest.mark.parametrize(
    "more, says",
    [
        (field(5, onnx_tensor("a", FLOATS)), "two tensors are named a"),
        (initializer("b", FLOATS), "other values than its shape"),
        (initializer("b", np.zeros(2**20, np.int8)[:0]), ""),
        (field(5, field(1, 50_000) * 2 + field(2, 1) + field(9, b"1234")), "shape"),
        (field(5, field(1, 2**64 - 1) * 2 + field(2, 1) + field(9, b"1234")), "shape"),
        (field(5, field(1, 1) * 100 + field(2, 1) + field(9, b"1234")), ""),
        (field(5, field(2, 22) + field(8, b"tiny")), "holds tiny in a type"),
        (field(5, b"\xff" * 12), "number without an end"),
        (field(5, b"\x0b"), "field of an unknown kind"),
        (field(5, b"\x4a\xff\xff\xff\xff\x0f"), "ends early"),
    ],
)
def test_tensors_that_are_not_whole(tmp_path, more, says):
    path = write(tmp_path, onnx_bytes({"a": FLOATS}, more))
    if not says:
        return
    assert says in refused(path)
