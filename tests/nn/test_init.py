"""Initial parameters: reproducible, by rule, of the right spread."""

import chex
import flax.linen as nn
import jax
import numpy as np
import pytest

from ppcjax.nn.cam_net import INIT_RULES, CamHeads
from ppcjax.nn.init import initialize, xavier_uniform
from ppcjax.nn.small_resnet import SmallResNet

KEY = jax.random.key(3)
IMAGE = jax.ShapeDtypeStruct((1, 32, 32, 3), np.float32)


@pytest.fixture(scope="module")
def heads():
    """Parameters of the published heads, and the shapes of their inputs."""
    channels = {"stage3": 512, "stage4": 1024, "embedding": 4096}
    endpoints = {
        name: jax.ShapeDtypeStruct((1, 4, 4, d), np.float32)
        for name, d in channels.items()
    }
    module = CamHeads(21)
    return initialize(module, KEY, endpoints, IMAGE, rules=INIT_RULES)["params"]


def test_same_key_same_arrays():
    first, second = (initialize(SmallResNet(4), KEY, IMAGE) for _ in range(2))
    chex.assert_trees_all_equal(first, second)
    other = initialize(SmallResNet(4), jax.random.key(4), IMAGE)
    kernels = [tree["params"]["stem"]["conv"]["kernel"] for tree in (first, other)]
    assert np.all(kernels[0] != kernels[1])
    leaves = jax.tree.leaves(first)
    assert all(isinstance(x, np.ndarray) and x.dtype == np.float32 for x in leaves)


def test_structure_is_that_of_the_module():
    expected = jax.eval_shape(SmallResNet(4).init, KEY, np.zeros((1, 32, 32, 3)))
    variables = initialize(SmallResNet(4), KEY, IMAGE)
    chex.assert_trees_all_equal_shapes(variables, expected)


def test_an_array_depends_on_its_own_path_only(heads):
    channels = {"stage3": 512, "stage4": 1024, "embedding": 4096}
    endpoints = {k: np.zeros((1, 2, 2, d), np.float32) for k, d in channels.items()}
    fewer = initialize(CamHeads(5), KEY, endpoints, IMAGE, rules=INIT_RULES)["params"]
    same = "affinity_stage3", "affinity_stage4", "projector", "affinity"
    chex.assert_trees_all_equal(*({k: t[k] for k in same} for t in (fewer, heads)))


@pytest.mark.parametrize(
    ("head", "bound"),
    [("classifier", 0.038176), ("projector", 0.037689), ("affinity", 0.498058)],
)
def test_xavier_bounds_of_the_published_heads(heads, head, bound):
    kernel = heads[head]["conv"]["kernel"]
    np.testing.assert_allclose(np.abs(kernel).max(), bound, rtol=1e-3)
    np.testing.assert_allclose(kernel.std(), bound / np.sqrt(3), rtol=0.02)


@pytest.mark.parametrize(
    ("head", "deviation"), [("affinity_stage3", 0.0625), ("affinity_stage4", 0.044194)]
)
def test_he_deviation_of_the_published_heads(heads, head, deviation):
    kernel = heads[head]["conv"]["kernel"]
    np.testing.assert_allclose(kernel.std(), deviation, rtol=0.02)


def test_defaults_and_the_first_rule_that_matches():
    class Layers(nn.Module):
        @nn.compact
        def __call__(self, x):
            x = nn.BatchNorm(use_running_average=True)(nn.Conv(64, (3, 3))(x))
            return nn.Dense(7, name="top")(x)

    def ones(rng, shape):
        return np.ones(shape)

    rules = (("top/kernel", ones), ("kernel", xavier_uniform()))
    variables = initialize(Layers(), KEY, IMAGE, rules=rules)
    params, stats = variables["params"], variables["batch_stats"]["BatchNorm_0"]
    assert np.all(params["top"]["kernel"] == 1) and not np.any(params["top"]["bias"])
    bound = np.sqrt(6 / (9 * (3 + 64)))
    np.testing.assert_allclose(
        np.abs(params["Conv_0"]["kernel"]).max(), bound, rtol=0.02
    )
    assert np.all(params["BatchNorm_0"]["scale"] == 1)
    assert np.all(stats["var"] == 1) and not np.any(stats["mean"])


def test_unknown_kind_of_parameter():
    class Odd(nn.Module):
        @nn.compact
        def __call__(self, x):
            return x + self.param("phase", nn.initializers.zeros, (1, 1, 1, 3))

    with pytest.raises(ValueError, match="params/phase"):
        initialize(Odd(), KEY, IMAGE)
