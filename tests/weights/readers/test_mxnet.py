"""Reading MXNet's parameter files, whole and damaged."""

import struct

import numpy as np
import pytest

from ppcjax.types import UserError
from ppcjax.weights.readers import read
from tests.weights.mxnet_files import MAGIC, VERSIONS, params_bytes, some_arrays


def _read(tmp_path, data):
    path = tmp_path / "some.params"
    path.write_bytes(data)
    return read(path)


@pytest.mark.parametrize("version", VERSIONS)
def test_round_trip(tmp_path, version):
    arrays = some_arrays()
    back = _read(tmp_path, params_bytes(arrays, version))
    assert list(back) == list(arrays)
    for name, array in arrays.items():
        assert back[name].dtype == array.dtype
        np.testing.assert_array_equal(back[name], array)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_file_cut_anywhere_is_a_one_line_error(tmp_path, version):
    data = params_bytes(some_arrays(), version)
    for length in [*range(8, len(data) - 1, 23), len(data) - 1]:
        with pytest.raises(UserError, match="some.params.*download it again"):
            _read(tmp_path, data[:length])


@pytest.mark.parametrize(
    "data",
    [
        params_bytes(some_arrays(), storage=1),
        params_bytes(some_arrays())[:24] + b"\xff" * 200,
    ],
    ids=["sparse", "noise"],
)
def test_other_files_are_a_one_line_error(tmp_path, data):
    with pytest.raises(UserError, match="not a complete MXNet parameter file"):
        _read(tmp_path, data)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("shape", [(50_000, 50_000), (2**31, 2**31, 2**31)])
def test_ten_gigabytes_declared_in_a_small_file(tmp_path, version, shape):
    array = np.lib.stride_tricks.as_strided(np.zeros(1, np.float32), (2,), (0,))
    data = params_bytes({"a": array.reshape(1, 2)}, version)
    form = "I" if version == "oldest" else "q"
    if version == "oldest":
        shape = tuple(n - 1 for n in shape)
    rank, size = struct.pack("<I", 2), struct.calcsize(f"<2{form}")
    at = data.index(rank, 24) + 4
    wide = struct.pack("<I", len(shape)) + struct.pack(f"<{len(shape)}{form}", *shape)
    with pytest.raises(UserError, match="the file ends early"):
        _read(tmp_path, data[: at - 4] + wide + data[at + size :])


def test_two_arrays_of_one_name(tmp_path):
    data = params_bytes({"a": np.ones(2), "b": np.ones(2)})
    with pytest.raises(UserError, match="two arrays have one name"):
        _read(tmp_path, data[:-1] + b"a")


def test_arrays_without_anything_in_them_are_left_out(tmp_path):
    """Rank 0 and nothing more."""
    data = params_bytes({"a": np.ones(2)})
    names = struct.pack("<QQ", 2, 1) + b"a" + struct.pack("<Q", 1) + b"b"
    nothing = struct.pack("<IiI", MAGIC["v2"], 0, 0)
    whole = data[:16] + struct.pack("<Q", 2) + data[24:-17] + nothing + names
    assert list(_read(tmp_path, whole)) == ["a"]
