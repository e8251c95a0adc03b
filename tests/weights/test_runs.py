"""Runs that start other methods, and backbones that leave as files."""

import contextlib
import logging

import jax
import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file

from ppcjax import methods
from ppcjax.nn.resnet import ResNet
from ppcjax.runs import checkpoint
from ppcjax.types import TrainState, UserError
from ppcjax.weights import load_into, names, writers
from tests.weights.test_load_resnet import IMAGE

SEGMENT = {
    "name": "segment",
    "backbone": "small_resnet",
    "backbone_settings": {"width": 4},
    "head": "v1",
    "head_settings": {"width": 8},
}


def save(folder, params, model_state, config):
    saver = checkpoint.Checkpoints(
        folder, keep=1, config=config, classes=("background",)
    )
    with contextlib.closing(saver):
        saver.save(TrainState(np.int32(7), params, model_state, ()), 7)
        saver.wait()
    return folder


def drawn(tree, seed=0):
    """Random numbers in the shapes of a tree."""
    rng = np.random.default_rng(seed)
    return jax.tree.map(
        lambda leaf: rng.standard_normal(leaf.shape).astype(np.float32), tree
    )


@pytest.fixture(scope="module")
def segmenter():
    return methods.make(SEGMENT, 3).init(jax.random.key(0), None)


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory, segmenter):
    """A run as PixPro leaves it: heads and a target of its own beside the backbone."""
    params, state = drawn(segmenter, seed=1)
    online = {"backbone": params["backbone"], "projector": {"kernel": np.ones((4, 2))}}
    stats = {"backbone": state["batch_stats"]["backbone"]}
    model_state = {
        "batch_stats": stats,
        "target": {"backbone": jax.tree.map(np.zeros_like, params["backbone"])},
        "target_stats": jax.tree.map(np.zeros_like, stats),
    }
    config = {"method": {"name": "pixpro", "backbone": "small_resnet"}}
    folder = tmp_path_factory.mktemp("pixpro")
    return save(folder, online, model_state, config), online, stats


def test_pretrained_backbone_starts_a_segmenter(segmenter, pretrained, caplog):
    folder, online, stats = pretrained
    with caplog.at_level(logging.WARNING):
        params, state = load_into(*segmenter, folder)
    assert jax.tree.structure((params, state)) == jax.tree.structure(segmenter)
    for found, wanted in (
        (params["backbone"], online["backbone"]),  # not the target's
        (state["batch_stats"]["backbone"], stats["backbone"]),
        (params["head"], segmenter[0]["head"]),
    ):
        jax.tree.map(np.testing.assert_array_equal, found, wanted)
    (record,) = caplog.records
    count = len(jax.tree.leaves((online["backbone"], stats)))
    assert f"(pixpro, step 7): loaded backbone ({count}); new: head (" in (
        record.getMessage()
    )


def test_a_segmenter_starts_the_next(segmenter, tmp_path):
    trained = drawn(segmenter, seed=2)
    save(tmp_path, *trained, {"method": SEGMENT})
    params, state = load_into(*segmenter, tmp_path)
    jax.tree.map(np.testing.assert_array_equal, (params, state), trained)
    # More classes: the classifier alone is new.
    wider = methods.make(SEGMENT, 5).init(jax.random.key(0), None)
    params, state = load_into(*wider, tmp_path)
    jax.tree.map(
        np.testing.assert_array_equal, params["head"]["mix"], trained[0]["head"]["mix"]
    )
    jax.tree.map(
        np.testing.assert_array_equal,
        params["head"]["classifier"],
        wider[0]["head"]["classifier"],
    )


def test_another_backbone_is_refused(pretrained):
    wide = {**SEGMENT, "backbone_settings": {"width": 8}}
    state = methods.make(wide, 3).init(jax.random.key(0), None)
    with pytest.raises(
        UserError, match=r"\(small_resnet\) has another backbone: shape"
    ):
        load_into(*state, pretrained[0])
    with pytest.raises(UserError, match="no parameter of .* fits this network"):
        load_into({"other": np.zeros(3)}, {}, pretrained[0])


@pytest.fixture(scope="module")
def resnet():
    shapes = jax.eval_shape(ResNet(18).init, jax.random.key(0), IMAGE)
    params, stats = drawn((shapes["params"], shapes["batch_stats"]))
    model_state = {"batch_stats": {"backbone": stats, "projector": {"x": np.ones(1)}}}
    return {"backbone": params, "projector": {"x": np.ones(1)}}, model_state


def _torchvision_resnet18():
    """Names and shapes of torchvision's resnet18 without its classifier."""
    shapes = {"conv1.weight": (64, 3, 7, 7)}

    def norm(name, width):
        for leaf in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{name}.{leaf}"] = (width,)

    norm("bn1", 64)
    before = 64
    for stage, width in enumerate((64, 128, 256, 512), start=1):
        for i in range(2):
            block = f"layer{stage}.{i}"
            shapes[f"{block}.conv1.weight"] = (width, before, 3, 3)
            shapes[f"{block}.conv2.weight"] = (width, width, 3, 3)
            norm(f"{block}.bn1", width)
            norm(f"{block}.bn2", width)
            if before != width:
                shapes[f"{block}.downsample.0.weight"] = (width, before, 1, 1)
                norm(f"{block}.downsample.1", width)
            before = width
    return shapes


def test_exported_names_are_torchvisions(resnet):
    arrays = writers.backbone_arrays(*resnet)
    found = {name: array.shape for name, array in arrays.items()}
    assert found == _torchvision_resnet18()
    kernel = resnet[0]["backbone"]["layer2_0"]["conv1"]["conv"]["kernel"]
    np.testing.assert_array_equal(
        arrays["layer2.0.conv1.weight"][5, 4], kernel[:, :, 4, 5]
    )


def test_exported_names_are_detectron2s(resnet):
    arrays = writers.backbone_arrays(*resnet, naming="detectron2")
    assert len(arrays) == len(_torchvision_resnet18())
    expected = {
        "stem.conv1.weight": (64, 3, 7, 7),
        "stem.conv1.norm.running_var": (64,),
        "res2.0.conv1.weight": (64, 64, 3, 3),
        "res3.0.shortcut.weight": (128, 64, 1, 1),
        "res3.0.shortcut.norm.running_mean": (128,),
        "res5.1.conv2.norm.bias": (512,),
    }
    assert expected == {name: arrays[name].shape for name in expected}


@pytest.mark.parametrize("naming", list(writers.NAMES))
def test_what_is_written_is_read_back(tmp_path, resnet, naming):
    path = tmp_path / "out" / "backbone.safetensors"
    count = writers.write_backbone(path, *resnet, naming=naming, note={"step": "7"})
    assert count == len(load_file(path)) == 100
    with safe_open(path, "np") as file:
        assert file.metadata() == {"format": "pt", "names": naming, "step": "7"}
    empty = jax.tree.map(np.zeros_like, resnet)
    params, state = load_into(*empty, path)
    jax.tree.map(
        np.testing.assert_array_equal,
        (params["backbone"], state["batch_stats"]["backbone"]),
        (resnet[0]["backbone"], resnet[1]["batch_stats"]["backbone"]),
    )
    assert not params["projector"]["x"] and [*path.parent.iterdir()] == [path]


def test_detectron2_names_go_both_ways():
    for name in _torchvision_resnet18():
        arrays = {f"m.{names.detectron2(n)}": n for n in ("conv1.weight", name)}
        assert names.plain_resnet(arrays)[name] == name


def test_backbones_without_published_names(tmp_path, segmenter):
    with pytest.raises(UserError, match="has no name in torchvision: ResNets"):
        writers.backbone_arrays(*segmenter)
    with pytest.raises(UserError, match="no backbone to export"):
        writers.backbone_arrays({"heads": {}}, {})
    deep = jax.eval_shape(ResNet(18, stem="deep").init, jax.random.key(0), IMAGE)
    state = {"batch_stats": {"backbone": deep["batch_stats"]}}
    deep, state = drawn(({"backbone": deep["params"]}, state))
    with pytest.raises(UserError, match="has no name in detectron2; export under"):
        writers.backbone_arrays(deep, state, naming="detectron2")
    with pytest.raises(UserError, match=r"name the file of the backbone NAME.safet"):
        writers.write_backbone(tmp_path / "a.pth", deep, state)
    with pytest.raises(UserError, match="names 'timm': choose one of torchvision"):
        writers.backbone_arrays(deep, state, naming="timm")
