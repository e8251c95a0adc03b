"""Files of other libraries give their features, and load what is written there.

Needs torch, torchvision, timm and transformers: make test-torch.
"""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ppcjax.nn import backbones
from ppcjax.runs import Run
from ppcjax.weights import known, load_into, matching, start, writers
from ppcjax.weights.arrays import network_leaves
from tests.golden.arrays import relative_error
from tests.weights.torch_networks import NETWORKS, randomise

pytestmark = pytest.mark.torch

TOLERANCE = 1e-4
# What a backbone of ours lacks of a network.
HEADS = (
    *("fc.", "classifier.", "head.", "pooler.", "norm_pre", "embeddings.mask_token"),
    *("incre_modules.", "downsamp_modules.", "final_layer.", "num_batches_tracked"),
)


def _saved(net, folder, container):
    """The network's state as a file."""
    torch = pytest.importorskip("torch")
    state = {n: t.contiguous() for n, t in net.state_dict().items()}
    if container == "safetensors":
        pytest.importorskip("safetensors.torch").save_file(state, folder / "a")
    else:
        is_zip = container == "zip"
        tree = {"state_dict": state, "epoch": 3}
        torch.save(tree, folder / "a", _use_new_zipfile_serialization=is_zip)
    return folder / "a"


def _opened(case, file):
    """Module, parameters by collection and colours, as a run would start."""
    lines, method = [], {"backbone": case.backbone, "backbone_settings": case.settings}
    sources = start.find(str(file), method)
    if case.row:
        sources = [sources[0]._replace(facts=known.get(case.row).facts)]
    method = start.settings_of(sources, method, lines.append)
    module, entry = backbones.make(
        case.backbone, method["backbone_settings"], pixel_mean=method.get("pixel_mean")
    )
    image = jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32)
    shapes = jax.eval_shape(module.init, jax.random.key(0), image)
    trees = {kind: {"backbone": tree} for kind, tree in shapes.items()}
    params = trees.pop("params")
    params, state = load_into(params, trees, sources, log=lines.append)
    return module, entry, params, state


def _images(sizes):
    for i, size in enumerate(sizes):
        yield np.random.default_rng(i).standard_normal((1, *size, 3)).astype(np.float32)


def _theirs(case, net, x):
    """What the other network gives, by output of ours and in its layout."""
    torch = pytest.importorskip("torch")
    with torch.no_grad():
        found = case.features(net, torch.from_numpy(x.transpose(0, 3, 1, 2).copy()))
    return {name: y.movedim(1, -1).numpy() for name, y in found.items()}


CONTAINERS = itertools.cycle(("zip", "stream", "safetensors"))


@pytest.mark.parametrize(
    ("key", "container"), list(zip(NETWORKS, CONTAINERS, strict=False))
)
def test_features_there_and_back(key, container, tmp_path):
    case = NETWORKS[key]
    net = randomise(case.make())
    file = _saved(net, tmp_path, container)
    module, entry, params, state = _opened(case, file)
    np.testing.assert_allclose(entry.mean, case.mean, atol=1e-6)
    variables = {"params": params["backbone"]}
    variables |= {kind: tree["backbone"] for kind, tree in state.items()}
    more = {"want": case.want} if case.want else {}
    apply, ours, errors = jax.jit(functools.partial(module.apply, **more)), [], []
    for x in _images(case.sizes):
        ours.append(apply(variables, x))
        for name, y in _theirs(case, net, x).items():
            errors.append(relative_error(ours[-1][name], y))
    assert max(errors) < TOLERANCE, errors
    print(f"{key}: {max(errors):.1e} there")
    if case.row:
        return  # the names tell of another epsilon, for which files are written

    other, back = _written(case, file, params, state, tmp_path), []
    for x, y in zip(_images(case.sizes), ours, strict=True):
        for name, z in _theirs(case, other, x).items():
            back.append(relative_error(z, y[name]))
    print(f"{key}: {max(back):.1e} back")
    assert max(back) < TOLERANCE, back


def _written(case, file, params, state, folder):
    """The other network, new, with what a run of ours writes for it."""
    leaves = network_leaves(params, state)
    leaves = {path.removeprefix("backbone/"): leaf for path, leaf in leaves.items()}
    source = start.find(str(file), {})[0]
    match = matching.best_match(leaves, source.arrays, matching.maps_of(leaves))
    run = Run(folder, 7, {}, (), None, params, state)
    path = folder / "back.safetensors"
    writers.write_backbone(path, run, naming=match.names.naming)
    held = pytest.importorskip("safetensors.torch").load_file(path)
    net = case.make()
    result = net.load_state_dict(held, strict=False)
    assert not result.unexpected_keys
    assert all(name.startswith(HEADS) for name in result.missing_keys), result
    return net.eval()
