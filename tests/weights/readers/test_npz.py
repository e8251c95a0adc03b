"""NumPy's archives: layouts, texts and sizes that are not true."""

import struct

import ml_dtypes
import numpy as np
import pytest

from ppcjax.weights.readers import read
from tests.weights.readers.files import npz_bytes
from tests.weights.readers.pickling import zip_bytes
from tests.weights.readers.test_read import check_equal, refused, write


def npy(header, values=b"", version=1):
    text = header.encode() + b"\n"
    size = struct.pack("<H" if version == 1 else "<I", len(text))
    return b"\x93NUMPY" + bytes([version, 0]) + size + text + values


def archive(**arrays):
    return zip_bytes({f"{n}.npy": data for n, data in arrays.items()}, folder="")


def test_layouts(tmp_path):
    arrays = {
        "columns": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "conv/w:0": np.arange(3, dtype=">f4"),
        "wide": np.arange(3, dtype=np.longdouble),
    }
    found = read(write(tmp_path, npz_bytes(arrays)))
    assert found["conv/w:0"].dtype.isnative
    expected = {n: a.astype(a.dtype.newbyteorder("=")) for n, a in arrays.items()}
    check_equal(found, expected)


@pytest.mark.parametrize("version", [1, 2, 3])
def test_versions_of_the_header(tmp_path, version):
    header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }"
    values = np.ones(2, np.float32)
    data = archive(a=npy(header, values.tobytes(), version))
    check_equal(read(write(tmp_path, data)), {"a": values})


def test_texts_are_left_out(tmp_path):
    data = npz_bytes({"w": np.ones(2), "text": np.array(["x"]), "raw": np.array(b"x")})
    assert list(read(write(tmp_path, data))) == ["w"]


def test_types_that_numpy_can_not_name(tmp_path):
    data = npz_bytes({"w": np.ones(2, ml_dtypes.bfloat16)})
    assert "holds w.npy in a type that NumPy can't name" in refused(
        write(tmp_path, data)
    )


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '<f4', 'fortran_order': False, 'shape': (50000, 50000)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-1, -2)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': 2}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': ('2',)}",
        "{'descr': '<f4'}",
        "__import__('os').system('true')",
        "(" * 5000,
        "[" * 9000,
        "'a'" + "+'a'" * 2000,
        "\0",
    ],
)
def test_headers_that_do_not_fit(tmp_path, header):
    path = write(tmp_path, archive(a=npy(header, bytes(8))))
    assert "not a complete PyTorch or NumPy zip" in refused(path)


def test_entries_that_are_no_arrays(tmp_path):
    for raw in (b"", b"x", b"\x93NUMPY", b"\x93NUMPY\x01\0\xff\xff{}", bytes(99)):
        refused(write(tmp_path, archive(a=raw)))
