"""ResNets from files with torchvision's names: parameters and statistics."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import save_file

from ppcjax.nn.resnet import ResNet
from ppcjax.types import UserError
from ppcjax.weights import load_into, names
from tests.golden.arrays import paths
from tests.weights.torch_files import torch_bytes

IMAGE = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
HEADS = {"classifier": {"kernel": np.ones((1, 1, 4, 3), np.float32)}}


@pytest.fixture(scope="module")
def state():
    shapes = jax.eval_shape(ResNet(18).init, jax.random.key(0), IMAGE)
    stats = {"batch_stats": {"backbone": shapes["batch_stats"], "head": HEADS}}
    return {"backbone": shapes["params"], "head": HEADS}, stats


@pytest.fixture(scope="module")
def arrays(state):
    """Some numbers for every name, and a classifier that nobody wants."""
    params, model_state = state
    rng = np.random.default_rng(0)
    arrays = {"fc.weight": np.zeros((9, 4), np.float32)}
    trees = (params["backbone"], model_state["batch_stats"]["backbone"])
    for path, leaf in (item for tree in trees for item in paths(tree).items()):
        order = (3, 2, 0, 1) if len(leaf.shape) == 4 else (0,)
        shape = [leaf.shape[i] for i in order]
        values = rng.standard_normal(shape).astype(np.float32)
        arrays[names.resnet_torch(path)] = values
    return arrays


@pytest.mark.parametrize("kind", ["safetensors", "pth"])
@pytest.mark.parametrize("prefix", ["", "module.encoder."])
def test_fills_parameters_and_statistics(tmp_path, state, arrays, kind, prefix):
    arrays = {prefix + name: array for name, array in arrays.items()}
    path = tmp_path / f"resnet18.{kind}"
    if kind == "safetensors":
        save_file(arrays, path)
    else:
        path.write_bytes(torch_bytes(arrays))
    params, model_state = load_into(*state, path)
    assert params["head"] is HEADS and model_state["batch_stats"]["head"] is HEADS
    assert jax.tree.structure((params, model_state)) == jax.tree.structure(state)
    kernel = params["backbone"]["layer2_0"]["downsample_conv"]["conv"]["kernel"]
    np.testing.assert_array_equal(
        kernel[0, 0], arrays[f"{prefix}layer2.0.downsample.0.weight"][:, :, 0, 0].T
    )
    stats = model_state["batch_stats"]["backbone"]
    np.testing.assert_array_equal(
        stats["layer4_1"]["bn2"]["var"], arrays[f"{prefix}layer4.1.bn2.running_var"]
    )


def test_statistics_must_be_there(tmp_path, state, arrays):
    arrays = dict(arrays)
    del arrays["bn1.running_mean"]
    save_file(arrays, tmp_path / "resnet18.safetensors")
    with pytest.raises(UserError, match="no bn1.running_mean for backbone/bn1/mean"):
        load_into(*state, tmp_path / "resnet18.safetensors")


def test_cut_safetensors_is_a_one_line_error(tmp_path, state, arrays):
    path = tmp_path / "resnet18.safetensors"
    save_file(arrays, path)
    for keep in (0, 100, path.stat().st_size // 2):
        path.write_bytes(path.read_bytes()[:keep])
        with pytest.raises(UserError, match="not a complete safetensors file"):
            load_into(*state, path)


def test_deep_stem_kept_as_a_sequence_has_plain_names():
    layers = ("conv1.0", "conv1.1", "conv1.3", "conv1.4", "conv1.6", "bn1")
    stored = {f"{layer}.weight": layer for layer in layers}
    stored |= {"layer1.0.conv1.weight": "a", "layer1.0.bn1.running_var": "b"}
    assert names.plain_resnet(stored) == {
        "conv1.weight": "conv1.0",
        "bn1.weight": "conv1.1",
        "conv2.weight": "conv1.3",
        "bn2.weight": "conv1.4",
        "conv3.weight": "conv1.6",
        "bn3.weight": "bn1",
        "layer1.0.conv1.weight": "a",
        "layer1.0.bn1.running_var": "b",
    }
