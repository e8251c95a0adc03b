"""PyTorch files: both formats bit for bit, nothing executed, errors in one line."""

import argparse
import io
import pickle
import tarfile

import numpy as np
import pytest

from ppcjax.types import UserError
from ppcjax.weights.torch_files import read_torch
from tests.weights.torch_files import torch_bytes

RNG = np.random.default_rng(0)
ARRAYS = {
    "conv1.weight": RNG.standard_normal((4, 3, 3, 3)).astype(np.float32),
    "fc.weight": RNG.standard_normal((5, 2)).astype(np.float16),
    "bn1.num_batches_tracked": np.array(7),
}


def _write(tmp_path, data):
    path = tmp_path / "net.pth"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("form", ["zip", "stream"])
def test_round_trip(tmp_path, form):
    path = _write(tmp_path, torch_bytes(ARRAYS, form=form, transposed=("fc.weight",)))
    found = read_torch(path)
    assert list(found) == list(ARRAYS)
    for name, array in ARRAYS.items():
        expected = array.T if name == "fc.weight" else array
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], expected)


@pytest.mark.parametrize("form", ["zip", "stream"])
@pytest.mark.parametrize("key", ["state_dict", "model"])
def test_training_checkpoints_hold_the_weights_among_other_things(tmp_path, form, key):
    def wrap(tree):
        return {"opt": argparse.Namespace(lr=0.1), "epoch": 3, key: tree}

    found = read_torch(_write(tmp_path, torch_bytes(ARRAYS, form=form, wrap=wrap)))
    assert list(found) == list(ARRAYS)


class _Attack:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("form", ["zip", "stream"])
def test_nothing_is_executed(tmp_path, form):
    victim = tmp_path / "written"
    data = torch_bytes(
        ARRAYS, form=form, wrap=lambda tree: {"x": _Attack(victim), "model": tree}
    )
    assert list(read_torch(_write(tmp_path, data))) == list(ARRAYS)
    assert not victim.exists()


@pytest.mark.parametrize("form", ["zip", "stream"])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.9])
def test_truncated(tmp_path, form, share):
    data = torch_bytes(ARRAYS, form=form)
    path = _write(tmp_path, data[: int(share * len(data))])
    with pytest.raises(
        UserError, match="net.pth: not a complete PyTorch file"
    ) as error:
        read_torch(path)
    assert "\n" not in str(error.value)


def test_other_formats(tmp_path):
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("sys_info"))
    with pytest.raises(UserError, match="is a tar archive.*take the .safetensors"):
        read_torch(_write(tmp_path, archive.getvalue()))
    with pytest.raises(UserError, match="not a complete PyTorch file"):
        read_torch(_write(tmp_path, b"<html>not found</html>"))
    with pytest.raises(UserError, match="not a complete PyTorch file"):
        read_torch(_write(tmp_path, pickle.dumps({"a": 1})))
    with pytest.raises(UserError, match="holds no dictionary of tensors"):
        read_torch(_write(tmp_path, torch_bytes({}, wrap=lambda tree: [1, 2])))


def test_tensor_beyond_its_values(tmp_path):
    data = torch_bytes({"a": np.zeros((3, 4), np.float32)}, form="stream")
    head, values = data[: -13 * 4 - 8], data[-13 * 4 :]
    short = head + np.int64(12).tobytes() + values[:-4]
    with pytest.raises(UserError, match="reaches beyond its values"):
        read_torch(_write(tmp_path, short))
