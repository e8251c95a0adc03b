"""Reading MXNet's parameter files, whole and damaged."""

import numpy as np
import pytest

from ppcjax.types import UserError
from ppcjax.weights.mxnet import read_params
from tests.weights.mxnet_files import VERSIONS, params_bytes, some_arrays


def _read(tmp_path, data):
    path = tmp_path / "some.params"
    path.write_bytes(data)
    return read_params(path)


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
    for length in [*range(0, len(data) - 1, 23), len(data) - 1]:
        with pytest.raises(UserError, match="some.params.*download it again"):
            _read(tmp_path, data[:length])


@pytest.mark.parametrize(
    "data",
    [
        params_bytes(some_arrays(), magic=0x113),
        params_bytes(some_arrays(), storage=1),
        b"PK\x03\x04" + bytes(200),
        b"\xff" * 200,
    ],
    ids=["magic", "sparse", "zip", "noise"],
)
def test_other_files_are_a_one_line_error(tmp_path, data):
    with pytest.raises(UserError, match="not a complete MXNet parameter file"):
        _read(tmp_path, data)
