"""Checkpoints as the five programs released them, of weights by the golden recipe."""

import functools
import importlib
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from safetensors.numpy import save

from ppcjax.weights import load_into, released
from ppcjax.weights.arrays import network_leaves
from ppcjax.weights.loading import put
from tests.golden.arrays import load, recipe
from tests.weights.readers.files import npz_bytes, onnx_bytes
from tests.weights.readers.pickling import FORMS, state_dict_bytes

WRITERS = {"safetensors": save, "npz": npz_bytes, "onnx": onnx_bytes}


class Released(NamedTuple):
    """How a recorded network is written, and what opens it.

    config: config and variant.
    names: network and naming of the map that is to be found.
    settings: recorded shapes by name -> settings of config.method.
    classes: name of the array that has a row for each class, "" for none.
    file: name of the file; the suffix is that of the release and tells no reader.
    container: "zip", "stream" or "tar" of PyTorch, or a key of WRITERS.
    key: where the arrays are among other things, "" for a file of nothing else.
    prefix: what stands before their names.
    """

    config: str
    names: tuple[str, str]
    settings: Callable[[Mapping[str, Any]], dict[str, Any]] = lambda shapes: {}
    classes: str = ""
    file: str = "weights.pth"
    container: str = "zip"
    key: str = ""
    prefix: str = ""


def _of_ppc(shapes):
    widths = (shapes[f"{name}.weight"][0] for name in ("f8_3", "f8_4", "f9"))
    projection = shapes.get("fc_proj.weight")
    return {"affinity": tuple(widths)} | (
        {"projection": projection[0]} if projection else {}
    )


def _of_asgnet(shapes):
    return {"width": shapes["down_conv.0.weight"][0]}


_DATA_PARALLEL = {"key": "state_dict", "prefix": "module."}
_PPC = Released("ppc_voc", ("ppc", "ppc"), _of_ppc, "fc8.weight")
RELEASED = {
    "ppc_net": _PPC._replace(**_DATA_PARALLEL),
    "ppc_step": _PPC,
    "seam_net": _PPC._replace(
        config="ppc_voc:seam", names=("ppc", "seam"), container="stream"
    ),
    "cseg_hrnet48": Released(
        "contrastive_cityscapes",
        ("contrastive_seg", "hrnet"),
        classes="cls_head.3.weight",
        **_DATA_PARALLEL,
    ),
    "panet_step": Released(
        "panet_voc",
        ("panet", "vgg16"),
        file="30000.pth.tar",
        container="stream",
        **_DATA_PARALLEL,
    ),
    "panet_seed_resnet": Released(
        "panet_voc:resnet50",
        ("panet", "resnet"),
        file="best.onnx",
        container="onnx",
        prefix="net.",
    ),
    "pixpro_step": Released(
        "pixpro_imagenet", ("pixpro", "pixpro"), key="model", prefix="module."
    ),
    "asgnet_net_1shot": Released(
        "asgnet_voc",
        ("asgnet", "pyramid"),
        _of_asgnet,
        file="train_epoch_200.safetensors",
        container="safetensors",
        prefix="module.",
    ),
    "asgnet_net_1shot_aspp": Released(
        "asgnet_voc:aspp",
        ("asgnet", "aspp"),
        _of_asgnet,
        file="BEST.NPZ",
        container="npz",
        prefix="state_dict.",
    ),
}


def state_dict(name):
    """What the original would save: also how many batches its statistics have seen."""
    arrays = recipe(load(name))
    means = [one for one in arrays if one.endswith("running_mean")]
    seen = {one.replace("running_mean", "num_batches_tracked") for one in means}
    return arrays | {one: np.array(7) for one in sorted(seen)}


def write(path, arrays, *, container="zip", key="", prefix=""):
    """Writes arrays to a file of any container, in any wrapper."""
    arrays = {prefix + name: array for name, array in arrays.items()}
    if container in FORMS:

        def wrapped(tree):
            return {"epoch": 3, key: tree, "optimizer": {"lr": 0.1}} if key else tree

        path.write_bytes(state_dict_bytes(container, arrays, wrap=wrapped))
    else:
        path.write_bytes(WRITERS[container](arrays))


def settings(name):
    """Config, with the recorded widths, and classes."""
    case, shapes = RELEASED[name], load(name).shapes()
    module, _, variant = case.config.partition(":")
    config = importlib.import_module(f"ppcjax.configs.{module}").get_config(variant)
    config = config.to_dict()
    config["method"] |= case.settings(shapes)
    count = shapes[case.classes][0] if case.classes else 2
    return config, tuple(f"class {i}" for i in range(count))


@functools.lru_cache(1)
def opened(name):
    """The run that a released checkpoint of a recorded network gives, and its lines."""
    case, lines = RELEASED[name], []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / case.file
        wrapper = {"key": case.key, "prefix": case.prefix}
        write(path, state_dict(name), container=case.container, **wrapper)
        return released.open_file(path, *settings(name), log=lines.append), lines


def filled(variables, name, inside=""):
    """Collections of a network with what the released checkpoint has of it.

    inside: where the network is in that of the checkpoint, such as "backbone/".
    """
    run, _ = opened(name)
    leaves = network_leaves(run.params, run.model_state)
    leaves = {p.removeprefix(inside): leaf for p, leaf in leaves.items()}
    return {kind: put(tree, leaves) for kind, tree in variables.items()}


def filled_backbone(variables, name, **wrapper):
    """Collections of a backbone, from a file of weights to start from."""
    zeros = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), variables)
    params = {"backbone": zeros["params"]}
    state = {k: {"backbone": tree} for k, tree in zeros.items() if k != "params"}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "backbone.pth"
        write(path, state_dict(name), **wrapper)
        params, state = load_into(params, state, path)
    found = {"params": params, **state}
    return {kind: tree["backbone"] for kind, tree in found.items()}
