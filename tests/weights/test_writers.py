"""Whole networks and backbones that leave as files, and come back bit for bit."""

import json
import re

import chex
import jax
import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from ppcjax import methods
from ppcjax.runs import Run
from ppcjax.types import UserError
from ppcjax.weights import arrays, load_into, namemap, released, writers
from tests import batches
from tests.small_methods import FACTORIES, NAMES, small
from tests.weights import published

CLASSES = tuple(f"class {i}" for i in range(batches.CLASSES))


def drawn(tree, seed=0):
    """Random numbers in the shapes of a tree; variances are above 0."""
    rng = np.random.default_rng(seed)

    def draw(path, leaf):
        value = rng.standard_normal(np.shape(leaf))
        is_variance = jax.tree_util.keystr(path[-1:]) == "['var']"
        return (1 + abs(value) if is_variance else value).astype(leaf.dtype)

    return jax.tree_util.tree_map_with_path(draw, tree)


def run_of(folder, config, method, params, model_state):
    return Run(folder, 7, config, CLASSES, method, params, model_state)


@pytest.fixture
def run(request, monkeypatch, tmp_path):
    """A run of a method in small, as it predicts."""
    name = request.param
    monkeypatch.setitem(methods.METHODS, name, FACTORIES[name])
    config = {"name": "a run", "data": {}, "method": {"name": name} | small(name)}
    config = json.loads(json.dumps(config))
    method = methods.make(config["method"], len(CLASSES))
    start = method.init(jax.random.key(0), batches.to_train(method))
    kept = method.keep(*drawn(start))
    return run_of(tmp_path / "run", config, method, *kept)


@pytest.mark.parametrize("run", NAMES, indirect=True)
def test_a_whole_network_comes_back(run, tmp_path):
    file = tmp_path / "new" / "network.safetensors"
    count, naming = writers.write_network(file, run)
    assert count == len(load_file(file)) and naming
    lines = []
    back = released.open_file(file, log=lines.append)
    assert (back.config, back.classes, back.step) == (run.config, run.classes, 7)
    assert back.named and back.folder.name == "network"
    ours = run.params, run.model_state
    theirs = back.params, back.model_state
    chex.assert_trees_all_equal_shapes_and_dtypes(theirs, ours)
    chex.assert_trees_all_equal(theirs, ours)
    assert f"names of {naming}" in lines[0]
    assert not any(line.startswith(("  new", "  skipped")) for line in lines)
    batch = batches.to_predict(run.method)
    predict = jax.jit(back.method.predict)
    chex.assert_trees_all_equal(predict(*theirs, batch), predict(*ours, batch))
    chex.assert_trees_all_equal_structs(ours, tuple(run.method.keep(*theirs)))


@pytest.mark.parametrize("run", NAMES[:1], indirect=True)
def test_the_same_network_gives_the_same_bytes(run, tmp_path):
    """The library alone writes notes in another order each time."""
    files = [tmp_path / f"{n}.safetensors" for n in range(4)]
    for file in files:
        writers.write_network(file, run)
    content = files[0].read_bytes()
    assert all(file.read_bytes() == content for file in files[1:])
    assert int.from_bytes(content[:8], "little") % 8 == 0


@pytest.mark.parametrize("run", ["panet"], indirect=True)
def test_files_that_do_not_fill_a_network_are_one_line(run, tmp_path):
    file = tmp_path / "network.safetensors"
    writers.write_network(file, run)
    held = load_file(file)

    def refused(match, config=run.config, classes=CLASSES, **changed):
        save_file({k: v for k, v in (held | changed).items() if v is not None}, file)
        with pytest.raises(UserError, match=match) as error:
            released.open_file(file, config, classes)
        assert "\n" not in str(error.value)

    name = next(iter(held))
    refused("name the config", None)
    refused(rf"has no {re.escape(name)}, which the network needs", **{name: None})
    other = {name: np.zeros((9, 9), "f4")}
    refused(r"is float32 \(9, 9\), which is no part of \(4,\)", **other)
    nothing = {k: None for k in held} | {"a": np.zeros(1, np.float32)}
    refused("holds nothing of this network", **nothing)
    save_file(held, file, {"format": "pt", "config": "{", "classes": "[]"})
    with pytest.raises(UserError, match="its header holds no config, classes"):
        released.open_file(file)


@pytest.mark.parametrize("run", ["segment"], indirect=True)
def test_the_number_of_classes_must_be_that_of_the_file(run, tmp_path):
    file = tmp_path / "network.safetensors"
    writers.write_network(file, run)
    with pytest.raises(UserError, match=r"has shape .* in our order, .*classifier"):
        released.open_file(file, run.config, CLASSES + ("one more",))


def _backbones():
    """The first of each network under all its names, the others under one."""
    for network in namemap.networks():
        for i, (backbone, settings) in enumerate(namemap.variants(network)):
            kinds = namemap.namings(network).values()
            kinds = [names.naming for names in kinds if names.style == "torch"]
            for naming in kinds if i == 0 else kinds[:1]:
                key = f"{backbone}-{'-'.join(settings)}-{naming}"
                marks = [pytest.mark.slow] if i or network == "hrnet" else []
                case = (backbone, json.dumps(settings), naming)
                yield pytest.param(*case, marks=marks, id=key)


def tree_of(leaves):
    """A nested dictionary of leaves by path."""
    tree = {}
    for path, leaf in leaves.items():
        *outer, last = path.split("/")
        inner = tree
        for step in outer:
            inner = inner.setdefault(step, {})
        inner[last] = leaf
    return tree


@pytest.mark.parametrize(("backbone", "settings", "naming"), list(_backbones()))
def test_a_backbone_comes_back(backbone, settings, naming, tmp_path):
    leaves = published.small(backbone, json.loads(settings))
    names = arrays.writable(leaves).get(naming)
    if names is None:
        return  # not every program has every variant
    assert (backbone, json.loads(settings)) in namemap.variants(names.network)
    params = {"backbone": tree_of(leaves), "head": {"bias": np.ones(1, np.float32)}}
    file = tmp_path / "new" / "backbone.safetensors"
    run = run_of(tmp_path, {"name": "a run"}, None, params, {})
    count, chosen = writers.write_backbone(file, run, naming=naming)
    assert (len(load_file(file)), naming) == (count, chosen)
    with safe_open(file, "np") as opened:
        note = {"format": "pt", "names": naming, "run": "a run", "step": "7"}
        assert opened.metadata() == note
    zeros = jax.tree.map(np.zeros_like, params)
    back, _ = load_into(zeros, {}, file)
    chex.assert_trees_all_equal(back["backbone"], params["backbone"])
    assert not back["head"]["bias"] and [*file.parent.iterdir()] == [file]


def test_backbones_without_such_names_are_one_line(tmp_path):
    def refused(match, params, naming="", file="a.safetensors"):
        run = run_of(tmp_path, {}, None, params, {})
        with pytest.raises(UserError, match=match) as error:
            writers.write_backbone(tmp_path / file, run, naming=naming)
        assert "\n" not in str(error.value) and not (tmp_path / file).exists()

    deep = {"backbone": tree_of(published.small("resnet18", {"stem": "deep"}))}
    refused("no names of 'detectron2'; it has those of torchvision", deep, "detectron2")
    refused("name the file NAME.safetensors", deep, file="a.pth")
    refused("no backbone to export", {"heads": {}})
    own = {"backbone": {"stage1": {"scale": np.ones(3)}}}
    refused("has no published name; other runs start from this run's folder", own)
    refused("it has those of none: it is a network of ppcjax alone", own, "timm")


def test_statistics_are_written_wherever_they_are(tmp_path):
    """Among the parameters, where they are frozen, or in a collection of their own."""
    leaves = published.small("resnet18", {})
    is_statistic = {path: path.endswith(("mean", "var")) for path in leaves}
    split = (
        {
            "backbone": tree_of(
                {p: x for p, x in leaves.items() if is_statistic[p] is one}
            )
        }
        for one in (False, True)
    )
    params, stats = split
    apart, _ = arrays.backbone_arrays(params, {"batch_stats": stats})
    whole, _ = arrays.backbone_arrays({"backbone": tree_of(leaves)}, {})
    chex.assert_trees_all_equal(apart, whole)
    save_file(apart, tmp_path / "a.safetensors")
    zeros = jax.tree.map(np.zeros_like, (params, stats))
    found = load_into(zeros[0], {"batch_stats": zeros[1]}, tmp_path / "a.safetensors")
    chex.assert_trees_all_equal(found, (params, {"batch_stats": stats}))
