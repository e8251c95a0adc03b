"""WideResNet-38's ImageNet weights: the names and shapes of MXNet's file."""

import jax
import numpy as np
import pytest

from ppcjax.weights import guess, load_into, namemap
from ppcjax.weights.matching import leaves_of
from tests.golden.arrays import load, recipe
from tests.weights.mxnet_files import params_bytes
from tests.weights.published import small
from tests.weights.test_writers import tree_of

HEADS = {"classifier": {"conv": {"kernel": np.ones((1, 1, 4, 3), np.float32)}}}


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


def test_names_cover_the_published_file():
    names, ours = namemap.namings("wide_resnet38")["mxnet"], {}
    for path, leaf in guess.leaves("wide_resnet38", {}).items():
        (term,) = names.terms(path)
        assert term.name not in ours, path
        order = (3, 2, 0, 1) if len(leaf.shape) == 4 else (0,)
        ours[term.name] = tuple(leaf.shape[i] for i in order)
    assert ours == _published_wide_resnet38()


def _loaded(tmp_path, arrays, leaves):
    """Parameters of a backbone from a file that has a classifier, too."""
    file = tmp_path / "wide.params"
    arrays = arrays | {"arg:linear1000_bias": np.zeros(9, np.float32)}
    file.write_bytes(params_bytes(arrays))
    zeros = {p: np.broadcast_to(np.float32(0), x.shape) for p, x in leaves.items()}
    params = {"backbone": tree_of(zeros), "heads": HEADS}
    found, _ = load_into(params, {}, file)
    assert found["heads"] is HEADS
    assert jax.tree.structure(found) == jax.tree.structure(params)
    return leaves_of(found["backbone"])


def test_a_params_file_fills_the_backbone(tmp_path):
    """With few channels."""
    rng, arrays = np.random.default_rng(0), {}
    for name, shape in _published_wide_resnet38().items():
        shape = [n if n <= 4 else 6 for n in shape]
        arrays[name] = rng.standard_normal(shape).astype(np.float32)
    found = _loaded(tmp_path, arrays, small("wide_resnet38", {}))
    kernel = found["b5_1/conv_branch2a/conv/kernel"]
    expected = arrays["arg:res5b1_branch2a_weight"]
    np.testing.assert_array_equal(kernel[1, 2, 3, 5], expected[5, 3, 1, 2])
    for ours, theirs in {
        "bn7/var": "aux:bn7_moving_var",
        "b2/bn_branch2b1/mean": "aux:bn2a_branch2b1_moving_mean",
        "b5_1/bn_branch2a/scale": "arg:bn5b1_branch2a_gamma",
        "b7/bn_branch2b2/bias": "arg:bn7a_branch2b2_beta",
    }.items():
        np.testing.assert_array_equal(found[ours], arrays[theirs])


@pytest.mark.slow
def test_recorded_weights_in_a_params_file(tmp_path):
    """The backbone of PPC's checkpoint, under the names of the file it started from."""
    held, leaves = recipe(load("ppc_net")), guess.leaves("wide_resnet38", {})
    maps = namemap.namings("wide_resnet38")
    (mxnet, own) = (maps[naming] for naming in ("mxnet", "released"))
    arrays = {mxnet.terms(p)[0].name: held[own.terms(p)[0].name] for p in leaves}
    found = _loaded(tmp_path, arrays, leaves)
    for path, leaf in found.items():
        wanted = held[own.terms(path)[0].name]
        wanted = wanted.transpose(2, 3, 1, 0) if wanted.ndim == 4 else wanted
        np.testing.assert_array_equal(leaf, wanted, err_msg=path)
