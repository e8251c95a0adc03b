"""The load command of every row of known.toml, on a file of the row's names."""

import importlib
import json

import jax
import numpy as np
import pytest

from ppcjax.nn import backbones
from ppcjax.weights import (
    arrays,
    fetch,
    guess,
    known,
    namemap,
    readers,
    released,
    start,
)
from ppcjax.weights.loading import load_into

BACKBONES = [row for row in known.rows() if row.what == "backbone"]
WHOLE = [r for r in known.rows() if r.what == "checkpoint" and r.naming != "unknown"]
# Those that are quick to trace; the others differ by depth and width alone.
QUICK = ("resnet18", "mobilenet_v2", "vgg16", "efficientnet_lite0", "wide_resnet38")


def _map(row):
    network, _, naming = row.naming.partition(":")
    return namemap.namings(network)[naming]


def _backbone(row):
    """Name and settings of the backbone that a row is of."""
    if row.network != "vit":
        return row.network, dict(row.settings)
    size = {384: "s", 768: "b", 1024: "l"}[row.settings["width"]]
    registers = {"registers": row.settings.get("registers", 0)}
    return f"vit_{size}{row.settings['patch']}", registers


@pytest.fixture(autouse=True)
def published(monkeypatch, tmp_path):
    """Every row's file is there, and holds what its map asks for, in no memory."""
    held = {}
    file = tmp_path / "weights"
    file.touch()
    monkeypatch.setattr(
        fetch,
        "of_row",
        lambda row, *, say=None: fetch.Found(file, row, row.facts),
    )
    monkeypatch.setattr(readers, "read", lambda path, **_: held)
    monkeypatch.setattr(readers, "note", lambda path: {})
    return held


def _fill(held, leaves, names):
    """What a file of these names holds: every number a quarter, in PyTorch's order."""
    for path, leaf in leaves.items():
        axes = {4: (3, 2, 0, 1), 2: (1, 0)}.get(len(leaf.shape), range(len(leaf.shape)))
        shape = [leaf.shape[i] for i in axes] if names.oihw else list(leaf.shape)
        terms = names.terms(path)
        for term in terms or ():
            if not term.name:
                continue
            part = list(shape)
            if len(terms) > 1:
                axis = 1 if len(part) == 3 else 0
                part[axis] -= 1 if not terms[0].name else 0
                part[axis] //= len([t for t in terms if t.name])
            value = np.broadcast_to(np.float32(0.25), part)
            if term.norm:
                width = np.broadcast_to(np.float32(0.25), part[:1])
                held.update(dict.fromkeys(term.norm, width))
            if not term.kernel:
                held[term.name] = value


def _zeros(leaves):
    return {p: np.broadcast_to(np.float32(0), leaf.shape) for p, leaf in leaves.items()}


def _tree(flat):
    tree = {}
    for path, leaf in flat.items():
        *inner, last = path.split("/")
        node = tree
        for key in inner:
            node = node.setdefault(key, {})
        node[last] = leaf
    return tree


def _cases(rows, network):
    for row in rows:
        marks = () if network(row) in QUICK else (pytest.mark.slow,)
        yield pytest.param(row, id=row.id, marks=marks)


@pytest.mark.parametrize("row", list(_cases(BACKBONES, lambda row: row.network)))
def test_backbone(row, published):
    backbone, settings = _backbone(row)
    leaves = guess.leaves(backbone, settings)
    _fill(published, leaves, _map(row))
    method = {"name": "x", "backbone": backbone, "backbone_settings": settings}
    sources = start.find(row.id, method)
    lines = []
    method = start.settings_of(sources, method, lines.append)
    module, entry = backbones.make(backbone, method["backbone_settings"])
    if row.pixel_mean is not None:
        mean = row.pixel_mean[:: -1 if row.channels == "bgr" else 1]
        np.testing.assert_allclose(method.get("pixel_mean") or entry.mean, mean, 1e-3)
    if row.padding:
        assert module.padding == row.padding
    tree = _tree(_zeros(leaves))
    filled, _ = load_into({"backbone": tree}, {}, sources, log=lines.append)
    assert all(np.any(leaf) for leaf in jax.tree.leaves(filled["backbone"]))
    assert any(row.naming.partition(":")[2] in line for line in lines)


@pytest.mark.slow
@pytest.mark.parametrize("row", [pytest.param(row, id=row.id) for row in WHOLE])
def test_whole_checkpoint(row, published, monkeypatch):
    name, _, variant = row.config.partition(":")
    module = importlib.import_module(f"ppcjax.configs.{name}")
    config = module.get_config(*filter(None, [variant])).to_dict()
    config = json.loads(json.dumps(config))
    classes = tuple(map(str, range(19 if "cityscapes" in name else 21)))
    method = released.methods.make(config["method"], len(classes))
    trees = method.keep(*method.init(jax.random.key(0), released.SHAPES))
    _fill(published, arrays.network_leaves(*trees), _map(row))
    run = released.open_file("weights", config, classes, log=lambda line: None)
    filled = arrays.network_leaves(run.params, run.model_state)
    names = _map(row)
    assert all(np.all(x == 0.25) for p, x in filled.items() if names.terms(p))
