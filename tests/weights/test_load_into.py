"""Starting from published files and from runs, matched or not."""

import contextlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ppcjax.nn.mobilenet_v2 import MobileNetV2
from ppcjax.nn.wide_resnet38 import WideResNet38
from ppcjax.runs import checkpoint
from ppcjax.types import TrainState, UserError
from ppcjax.weights import load_into, names
from tests.golden.arrays import paths
from tests.weights.mxnet_files import params_bytes

IMAGE = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
HEADS = {"classifier": {"conv": {"kernel": np.ones((1, 1, 4, 3), np.float32)}}}


def _shapes(module):
    return jax.eval_shape(module.init, jax.random.key(0), IMAGE)["params"]


def _published_wide_resnet38():
    """Names and shapes (OIHW) of the published file, written from the paper's table.

    Stage, repeat, channels before, in the middle and after, and whether the shortcut
    has a convolution.
    """
    shapes = {"arg:conv1a_weight": (64, 3, 3, 3)}

    def norm(name, channels):
        for suffix in ("gamma", "beta"):
            shapes[f"arg:{name}_{suffix}"] = (channels,)
        for suffix in ("moving_mean", "moving_var"):
            shapes[f"aux:{name}_{suffix}"] = (channels,)

    before = 64
    for stage, mid, after, repeats in (
        *((2, 128, 128, 3), (3, 256, 256, 3), (4, 512, 512, 6), (5, 512, 1024, 3)),
    ):
        for i in range(repeats):
            block = f"{stage}a" if i == 0 else f"{stage}b{i}"
            if i == 0:
                shapes[f"arg:res{block}_branch1_weight"] = (after, before, 1, 1)
            shapes[f"arg:res{block}_branch2a_weight"] = (mid, before, 3, 3)
            shapes[f"arg:res{block}_branch2b1_weight"] = (after, mid, 3, 3)
            norm(f"bn{block}_branch2a", before)
            norm(f"bn{block}_branch2b1", mid)
            before = after
    for stage, after in ((6, 2048), (7, 4096)):
        res, bn = f"arg:res{stage}a", f"bn{stage}a"
        shapes[f"{res}_branch1_weight"] = (after, before, 1, 1)
        shapes[f"{res}_branch2a_weight"] = (after // 4, before, 1, 1)
        shapes[f"{res}_branch2b1_weight"] = (after // 2, after // 4, 3, 3)
        shapes[f"{res}_branch2b2_weight"] = (after, after // 2, 1, 1)
        norm(f"{bn}_branch2a", before)
        norm(f"{bn}_branch2b1", after // 4)
        norm(f"{bn}_branch2b2", after // 2)
        before = after
    norm("bn7", before)
    return shapes


def test_names_of_wide_resnet38_cover_the_published_file():
    published = _published_wide_resnet38()
    ours = {}
    for path, leaf in paths(_shapes(WideResNet38())).items():
        name = names.wide_resnet38_mxnet(path)
        assert name not in ours, path
        is_kernel = len(leaf.shape) == 4
        order = (3, 2, 0, 1) if is_kernel else (0,)
        ours[name] = tuple(leaf.shape[i] for i in order)
    assert ours == published


def test_params_file_fills_the_backbone_and_leaves_the_heads(tmp_path):
    """Some layers of WideResNet-38, small, and a classifier that nobody wants."""
    rng = np.random.default_rng(0)
    arrays = {
        "arg:conv1a_weight": rng.standard_normal((4, 3, 3, 3)).astype(np.float32),
        "arg:res5b1_branch2a_weight": rng.standard_normal((6, 4, 3, 3)).astype("f4"),
        "arg:bn5b1_branch2a_gamma": rng.standard_normal(4).astype(np.float32),
        "aux:bn7_moving_var": rng.standard_normal(6).astype(np.float32),
        "arg:linear1000_bias": np.zeros(9, np.float32),
    }
    path = tmp_path / "wide.params"
    path.write_bytes(params_bytes(arrays))
    backbone = {
        "conv1a": {"conv": {"kernel": np.zeros((3, 3, 3, 4))}},
        "b5_1": {
            "conv_branch2a": {"conv": {"kernel": np.zeros((3, 3, 4, 6))}},
            "bn_branch2a": {"scale": np.zeros(4)},
        },
        "bn7": {"var": np.zeros(6)},
    }
    params = {"backbone": backbone, "heads": HEADS}
    filled, _ = load_into(params, {}, path)
    assert filled["heads"] is HEADS
    assert jax.tree.structure(filled) == jax.tree.structure(params)
    kernel = filled["backbone"]["b5_1"]["conv_branch2a"]["conv"]["kernel"]
    expected = arrays["arg:res5b1_branch2a_weight"]
    np.testing.assert_array_equal(kernel[1, 2, 3, 5], expected[5, 3, 1, 2])
    variance = filled["backbone"]["bn7"]["var"]
    np.testing.assert_array_equal(variance, arrays["aux:bn7_moving_var"])

    backbone["b5_2"] = {"bn_branch2a": {"scale": np.zeros(4)}}
    with pytest.raises(
        UserError, match="no arg:bn5b2_branch2a_gamma for backbone/b5_2"
    ):
        load_into(params, {}, path)


@pytest.fixture(scope="module")
def mobilenet():
    """Parameters, and the arrays of a file in the order of its layers."""
    rng = np.random.default_rng(0)
    shapes = _shapes(MobileNetV2())
    arrays, width = {}, 0
    kernels = [(name, leaf) for name, leaf in _in_call_order(shapes)]
    for number, (kind, shape) in enumerate(kernels):
        width = shape[-1]
        arrays[f"{number:02d}/{kind}/kernel"] = rng.standard_normal(shape)
        arrays[f"{number:02d}/{kind}/bias"] = rng.standard_normal(width)
    arrays["52/conv_2d/kernel"] = rng.standard_normal((1, 1, width, 11))
    arrays = {name: array.astype(np.float16) for name, array in arrays.items()}
    return {"backbone": shapes, "heads": HEADS}, arrays


def _in_call_order(shapes):
    yield "conv_2d", shapes["stem"]["conv"]["kernel"].shape
    for i in range(1, 18):
        block = shapes[f"block{i}"]
        if "expand" in block:
            yield "conv_2d", block["expand"]["conv"]["kernel"].shape
        yield "depthwise_conv_2d", block["depthwise"]["kernel"].shape
        yield "conv_2d", block["project"]["conv"]["kernel"].shape
    yield "conv_2d", shapes["head"]["conv"]["kernel"].shape


def test_npz_fills_mobilenet_v2(tmp_path, mobilenet):
    params, arrays = mobilenet
    np.savez(tmp_path / "mobile.npz", **arrays)
    filled, _ = load_into(params, {}, tmp_path / "mobile.npz")
    assert filled["heads"] is HEADS
    backbone = paths(filled["backbone"])
    assert len(backbone) == 2 * 52 == len(arrays) - 1
    expected = {
        "stem/conv/kernel": "00/conv_2d/kernel",
        "block1/depthwise/bias": "01/depthwise_conv_2d/bias",
        "block2/expand/conv/bias": "03/conv_2d/bias",
        "block17/project/conv/kernel": "50/conv_2d/kernel",
        "head/conv/kernel": "51/conv_2d/kernel",
    }
    for path, name in expected.items():
        np.testing.assert_array_equal(backbone[path], np.float32(arrays[name]))
        assert backbone[path].dtype == np.float32


def test_npz_that_does_not_fit(tmp_path, mobilenet):
    params, arrays = mobilenet
    path = tmp_path / "mobile.npz"
    np.savez(path, **{k: v for k, v in arrays.items() if not k.startswith("30/")})
    with pytest.raises(UserError, match="mobile.npz has no 30/"):
        load_into(params, {}, path)
    np.savez(path, **arrays | {"00/conv_2d/kernel": np.zeros((3, 3, 3, 16))})
    with pytest.raises(UserError, match=r"shape \(3, 3, 3, 16\), not \(3, 3, 3, 32\)"):
        load_into(params, {}, path)
    other = {"backbone": {"stage1": {"Conv_0": {"kernel": np.zeros((3, 3, 3, 8))}}}}
    with pytest.raises(UserError, match="is it of another network"):
        load_into(other, {}, path)


@pytest.mark.parametrize("keep", [0, 10, 100])
def test_cut_npz_is_a_one_line_error(tmp_path, keep):
    path = tmp_path / "mobile.npz"
    np.savez(path, a=np.zeros(9))
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(UserError, match="mobile.npz is not a complete npz file"):
        load_into({"backbone": {}}, {}, path)


def test_no_such_file_and_unknown_kind(tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        load_into({"backbone": {}}, {}, tmp_path / "none.npz")
    (tmp_path / "weights.h5").touch()
    with pytest.raises(UserError, match="neither a run nor one of .params, .npz"):
        load_into({"backbone": {}}, {}, tmp_path / "weights.h5")


def test_run_directory_gives_what_fits(tmp_path):
    saved = {"backbone": {"a": np.arange(4.0), "b": np.ones(3)}, "heads": {"c": [7.0]}}
    saved = jax.tree.map(jnp.float32, saved)
    state = TrainState(np.int32(5), saved, {}, ())
    saver = checkpoint.Checkpoints(tmp_path, keep=1, config={}, classes=("background",))
    with contextlib.closing(saver):
        saver.save(state, 5)
        saver.wait()
    wanted = {"backbone": {"a": np.zeros(4)}, "heads": {"c": [np.zeros(2)]}}
    filled, _ = load_into(wanted, {}, tmp_path)
    np.testing.assert_array_equal(filled["backbone"]["a"], np.arange(4.0))
    assert not np.any(filled["heads"]["c"][0])
    for name, there in (("b", r"shape \(3,\)"), ("d", "nothing")):
        other = {"backbone": {"a": np.zeros(4), name: np.zeros(2)}}
        message = f"has another backbone: {there} for backbone/{name}"
        with pytest.raises(UserError, match=message):
            load_into(other, {}, tmp_path)
    with pytest.raises(UserError, match="no parameter of .* fits this network"):
        load_into({"other": np.zeros(1)}, {}, tmp_path)


def test_frozen_statistics_of_a_run_become_batch_statistics(tmp_path):
    """Mean and variance are parameters where they are frozen."""
    saved = {"backbone": {"bn": {"scale": jnp.ones(3), "mean": jnp.arange(3.0)}}}
    saver = checkpoint.Checkpoints(tmp_path, keep=1, config={}, classes=("background",))
    with contextlib.closing(saver):
        saver.save(TrainState(np.int32(5), saved, {}, ()), 5)
        saver.wait()
    params = {"backbone": {"bn": {"scale": np.zeros(3)}}}
    state = {"batch_stats": {"backbone": {"bn": {"mean": np.zeros(3)}}}}
    params, state = load_into(params, state, tmp_path)
    np.testing.assert_array_equal(params["backbone"]["bn"]["scale"], 1)
    stored = state["batch_stats"]["backbone"]["bn"]["mean"]
    np.testing.assert_array_equal(stored, np.arange(3.0))
