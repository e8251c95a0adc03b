"""HRNet: counts, grids, what the published file fills, padding."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ppcjax.nn import backbones
from ppcjax.nn.hrnet import HRNet
from ppcjax.nn.init import initialize
from ppcjax.types import UserError
from ppcjax.weights import load_into, names
from tests.golden.arrays import paths
from tests.weights.torch_files import torch_bytes

KEY = jax.random.key(0)
SMALL = HRNet(4, modules=(1, 1, 1), blocks=1)


@functools.cache
def _shapes(module):
    image = jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32)
    return jax.eval_shape(module.init, KEY, image)


def test_parameter_count_of_the_narrow_network():
    """That of the wide one is in test_contrast_net."""
    params = _shapes(backbones.make("hrnet_w18")[0])["params"]
    assert sum(x.size for x in jax.tree.leaves(params)) == 9_562_260


def test_grids_of_a_crop_of_cityscapes():
    image = jax.ShapeDtypeStruct((1, 512, 1024, 3), jnp.float32)
    out = jax.eval_shape(SMALL.apply, _shapes(SMALL), image)
    for i in range(4):
        shape = (1, 128 // 2**i, 256 // 2**i, 4 * 2**i)
        assert out[f"branch{i}"].shape == shape
    assert out["embedding"].shape == (1, 128, 256, 60)


def test_padding_changes_nothing():
    height, width = 37, 85
    rng = np.random.default_rng(0)
    image = rng.standard_normal((1, height, width, 3)).astype(np.float32)
    variables = initialize(SMALL, KEY, image)
    variables = jax.tree.map(lambda x: x + 0.1, variables)
    loud = np.full((1, 64, 96, 3), 7, np.float32)
    loud[:, :height, :width] = image
    apply = jax.jit(SMALL.apply)
    exact = apply(variables, image)
    padded = apply(variables, loud, np.array([[height, width]]))
    chex.assert_tree_all_finite(padded)
    for endpoint, value in exact.items():
        h, w = value.shape[1:3]
        scale = np.abs(value).max()
        np.testing.assert_allclose(
            padded[endpoint][:, :h, :w], value, atol=2e-5 * scale, err_msg=endpoint
        )


@pytest.mark.parametrize("prefix", ["", "module.encoder_q.backbone."])
def test_weights_of_the_published_files(tmp_path, prefix):
    """A synthetic state dict under the names of hrnetv2_w48_imagenet_pretrained."""
    shapes = _shapes(SMALL)
    rng = np.random.default_rng(0)
    arrays = {"classifier.weight": np.zeros((9, 4), np.float32)}
    for tree in shapes.values():
        for path, leaf in paths(tree).items():
            order = (3, 2, 0, 1) if leaf.ndim == 4 else (0,)
            values = rng.standard_normal([leaf.shape[i] for i in order])
            arrays[prefix + names.hrnet_openseg(path)] = values.astype(np.float32)
    file = tmp_path / "hrnetv2.pth"
    file.write_bytes(torch_bytes(arrays))
    state = {"batch_stats": {"backbone": shapes["batch_stats"]}}
    params, state = load_into({"backbone": shapes["params"]}, state, file)
    found = paths(params["backbone"]) | paths(state["batch_stats"]["backbone"])
    for ours, name in {
        "conv2/conv/kernel": "conv2.weight",
        "layer1_0/downsample_bn/var": "layer1.0.downsample.1.running_var",
        "transition1_0/bn/scale": "transition1.0.1.weight",
        "transition3_3/conv/conv/kernel": "transition3.3.0.0.weight",
        "stage4_0/b3_0/bn2/mean": "stage4.0.branches.3.0.bn2.running_mean",
        "stage4_0/fuse0_3/conv/conv/kernel": "stage4.0.fuse_layers.0.3.0.weight",
        "stage4_0/fuse3_0_2/bn/bias": "stage4.0.fuse_layers.3.0.2.1.bias",
    }.items():
        expected = arrays[prefix + name]
        if expected.ndim == 4:
            expected = expected.transpose(2, 3, 1, 0)
        np.testing.assert_array_equal(found[ours], expected)
    del arrays[f"{prefix}stage3.0.fuse_layers.2.0.1.0.weight"]
    file.write_bytes(torch_bytes(arrays))
    with pytest.raises(UserError, match="fuse_layers.2.0.1.0.weight for backbone/st"):
        load_into({"backbone": shapes["params"]}, {}, file)
