"""PyTorch files: every container and kind of tensor, nothing executed."""

import collections
import io
import tarfile

import ml_dtypes
import numpy as np
import pytest

from ppcjax.weights.readers import read
from tests.weights.readers.files import ARRAYS
from tests.weights.readers.pickling import (
    FORMS,
    STORAGES,
    Call,
    Named,
    Outside,
    container,
    pickled,
    state_dict_bytes,
    stream_bytes,
    torch_call,
    zip_bytes,
)
from tests.weights.readers.test_read import check_equal, refused, write

FLOATS = np.arange(24, dtype=np.float32)


def one(form, offset, shape, strides, values=FLOATS):
    """A file of a tensor "a" that looks at some values."""
    return container(
        form, lambda t: {"a": t("0", offset, shape, strides)}, {"0": values}
    )


def module(entries):
    """A pickled torch.nn.Module, of a class that nobody has."""
    parts = {"_parameters": {}, "_buffers": {}, "_modules": {}, "training": False}
    return Call(Named("their.code", "Net"), state={**parts, **entries})


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", STORAGES)
def test_every_dtype(tmp_path, form, dtype):
    kind = ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype
    arrays = {"a": np.arange(6).astype(kind).reshape(2, 3)}
    check_equal(read(write(tmp_path, state_dict_bytes(form, arrays))), arrays)


@pytest.mark.parametrize("form", FORMS)
def test_views_of_one_storage(tmp_path, form):
    views = {
        "whole": (0, (2, 3, 4), (12, 4, 1)),
        "turned": (0, (4, 3, 2), (1, 4, 12)),
        "later": (13, (2, 5), (5, 1)),
        "column": (1, (6,), (4,)),
        "scalar": (23, (), ()),
        "empty": (24, (0, 7), (7, 1)),
        "steps": (0, (3, 2), (8, 2)),
    }
    data = container(
        form, lambda t: {n: t("0", *view) for n, view in views.items()}, {"0": FLOATS}
    )
    expected = {
        "whole": FLOATS.reshape(2, 3, 4),
        "turned": FLOATS.reshape(2, 3, 4).T,
        "later": FLOATS[13:23].reshape(2, 5),
        "column": FLOATS[1:24:4],
        "scalar": FLOATS[23],
        "empty": np.zeros((0, 7), np.float32),
        "steps": FLOATS.reshape(3, 8)[:, :3:2],
    }
    check_equal(read(write(tmp_path, data)), expected)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_names_of_nested_containers(tmp_path, form, protocol):
    def wrap(tree):
        return {
            "state_dict": {f"module.{name}": value for name, value in tree.items()},
            "epoch": 3,
            "args": Call(Named("argparse", "Namespace"), state={"lr": 0.1}),
            "optimizer": {"state": {0: {"step": tree["half"]}}, "groups": [{"lr": 1}]},
            "list": [1, (tree["mask"], None), "text"],
            "best": Call(Named("their.code", "Score"), 3),
            ("a", "b"): tree["half"],
        }

    data = state_dict_bytes(form, ARRAYS, wrap, protocol)
    expected = {f"state_dict.module.{name}": array for name, array in ARRAYS.items()}
    expected["optimizer.state.0.step"] = ARRAYS["half"]
    expected["list.1.0"] = ARRAYS["mask"]
    check_equal(read(write(tmp_path, data)), expected)


@pytest.mark.parametrize("form", FORMS)
def test_wrapped_tensors(tmp_path, form):
    hooks = collections.OrderedDict()
    wraps = {
        "parameter": lambda t: torch_call("_rebuild_parameter", t, True, hooks),
        "old parameter": lambda t: Call(Named("torch.nn.parameter", "Parameter"), t),
        "subclass": lambda t: Call(
            Named("torch._tensor", "_rebuild_from_type_v2"),
            *(Named("torch._utils", "_rebuild_parameter"), Named("a", "B"), (t,), {}),
        ),
    }
    data = state_dict_bytes(
        form, {"w": FLOATS}, lambda tree: {n: f(tree["w"]) for n, f in wraps.items()}
    )
    check_equal(read(write(tmp_path, data)), dict.fromkeys(wraps, FLOATS))


@pytest.mark.parametrize("form", FORMS)
def test_whole_modules(tmp_path, form):
    def wrap(tree):
        passing = Call(Named("builtins", "set"), ["tmp"])
        inner = module({"_parameters": {"weight": tree["half"], "bias": None}})
        buffers = {"mean": tree["double"], "tmp": tree["mask"]}
        lists = {"_buffers": buffers, "_modules": {"conv": inner, "act": None}}
        net = module({**lists, "_non_persistent_buffers_set": passing})
        return {"model": net, "epoch": 1}

    found = read(write(tmp_path, state_dict_bytes(form, ARRAYS, wrap)))
    expected = {"model.mean": ARRAYS["double"], "model.conv.weight": ARRAYS["half"]}
    check_equal(found, expected)


def test_a_stream_whose_storages_are_parts_of_others(tmp_path):
    def tensor(part):
        kind = Named("torch", "FloatStorage")
        where = ("storage", kind, "9", "cpu", 24, part)
        return torch_call(
            "_rebuild_tensor_v2", Outside(where), 1, (2,), (1,), False, {}
        )

    tree = pickled({"whole": tensor(None), "part": tensor(("9", 5, 4))})
    found = read(write(tmp_path, stream_bytes(tree, {"9": FLOATS})))
    check_equal(found, {"whole": FLOATS[1:3], "part": FLOATS[6:8]})


def test_a_tar_whose_storages_are_parts_of_others(tmp_path):
    views = {"whole": ("0", 1, (2,), (1,)), "part": ("7", 1, (2,), (1,))}

    def tree_of(tensor):
        return {name: tensor(*view) for name, view in views.items()}

    data = container("tar", tree_of, {"0": FLOATS}, parts=[(7, 0, 5, 4)])
    found = read(write(tmp_path, data))
    check_equal(found, {"whole": FLOATS[1:3], "part": FLOATS[6:8]})
    views["part"] = ("7", 1, (4,), (1,))
    data = container("tar", tree_of, {"0": FLOATS}, parts=[(7, 0, 5, 4)])
    assert "reaches beyond its values" in refused(write(tmp_path, data))


def test_types_without_a_storage_class(tmp_path):
    def tensor(name, count):
        kind = Named("torch.storage", "UntypedStorage")
        where = Outside(("storage", kind, name, "cpu", count))
        dtype = Named("torch", {"0": "uint16", "1": "float8_e4m3fn"}[name])
        return torch_call("_rebuild_tensor_v3", where, 1, (2,), (1,), False, {}, dtype)

    arrays = {
        "short": np.arange(3, dtype=np.uint16),
        "tiny": np.arange(3).astype(ml_dtypes.float8_e4m3fn),
    }
    tree = pickled({"short": tensor("0", 6), "tiny": tensor("1", 3)})
    values = [array.tobytes() for array in arrays.values()]
    data = zip_bytes({"data.pkl": tree, "data/0": values[0], "data/1": values[1]})
    found = read(write(tmp_path, data))
    check_equal(found, {name: array[1:] for name, array in arrays.items()})


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "offset, shape, strides",
    [
        (21, (4,), (1,)),
        (0, (5, 6), (6, 1)),
        (0, (3,), (12,)),
        (-1, (2,), (1,)),
        (23, (2,), (-1,)),
        (0, (-2, -2), (1, 1)),
        (0, (2**62, 4), (1, 1)),
        (0, (1,) * 70, (1,) * 70),
    ],
)
def test_a_tensor_must_lie_within_its_values(tmp_path, form, offset, shape, strides):
    path = write(tmp_path, one(form, offset, shape, strides))
    assert "not a complete PyTorch" in refused(path)


@pytest.mark.parametrize("form", FORMS)
def test_ten_gigabytes_declared_in_a_small_file(tmp_path, form):
    path = write(tmp_path, one(form, 0, (50_000, 50_000), (0, 0)))
    assert "a with 2500000000 numbers made of 24" in refused(path)
    path = write(tmp_path, one(form, 0, (50_000, 50_000), (50_000, 1)))
    assert "reaches beyond its values" in refused(path)


@pytest.mark.parametrize("form", FORMS)
def test_views_that_add_up_to_far_more_than_the_file(tmp_path, form):
    values = np.zeros(200_000, np.float32)

    def tree_of(tensor):
        return [tensor("0", i, (190_000,), (1,)) for i in range(200)]

    path = write(tmp_path, container(form, tree_of, {"0": values}))
    assert "overlap" in refused(path)


def test_shape_and_strides_of_different_ranks(tmp_path):
    for form in ("zip", "stream"):
        refused(write(tmp_path, one(form, 0, (2, 2), (1,))))
        refused(write(tmp_path, one(form, 0, [2, 2], [2, 1])))
        refused(write(tmp_path, one(form, 0.0, (2, 2), (2, 1))))


@pytest.mark.parametrize("form", FORMS)
def test_two_tensors_of_one_name(tmp_path, form):
    data = state_dict_bytes(
        form, {"a.b": FLOATS}, lambda tree: {**tree, "a": {"b": tree["a.b"]}}
    )
    assert "two tensors of the name 'a.b'" in refused(write(tmp_path, data))


@pytest.mark.parametrize("form", FORMS)
def test_files_without_named_tensors(tmp_path, form):
    only = state_dict_bytes(form, {"a": FLOATS}, lambda tree: tree["a"])
    assert "one tensor without a name" in refused(write(tmp_path, only))
    none = state_dict_bytes(form, {"a": FLOATS}, lambda tree: {"epoch": 3})
    assert "holds no tensors" in refused(write(tmp_path, none))
    sparse = state_dict_bytes(
        form,
        {"a": FLOATS},
        lambda tree: {"w": torch_call("_rebuild_sparse_tensor", 0, (tree["a"],))},
    )
    assert "'w', a tensor of a kind" in refused(write(tmp_path, sparse))


def test_other_archives(tmp_path):
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("sys_info"))
    text = refused(write(tmp_path, archive.getvalue()))
    assert "is a tar archive; unpack it" in text
    tree = pickled({"a": 1})
    data = zip_bytes({"data.pkl": tree, "byteorder": b"big"})
    assert "big-endian" in refused(write(tmp_path, data))
