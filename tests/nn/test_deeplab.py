"""DeepLab heads: shapes, parameter counts, padded canvases, settings of backbones."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ppcjax.nn.batch_norm import BatchNorm
from ppcjax.nn.deeplab import HEADS, INIT_RULES, DeepLab, global_mean
from ppcjax.nn.init import initialize
from ppcjax.nn.mobilenet_v2 import MobileNetV2
from ppcjax.nn.small_resnet import SmallResNet
from ppcjax.nn.wide_resnet38 import BottleneckBlock, WideResNet38
from tests.golden.arrays import paths

KEY = jax.random.key(0)
CLASSES = 21
SMALL = {"width": 6}


def _count(tree):
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


@pytest.mark.parametrize(
    ("name", "channels", "count"),
    [
        ("fcn", 2048, 9 * (2048 + 256) * 256 + 4 * 256 + 257 * 21),
        ("linear", 2048, 2049 * 21),
        # A convolution and a scale and a bias per channel each, and the classifier.
        ("v1", 4096, 9 * 4096 * 512 + 512 * 512 + 4 * 512 + 513 * 21),
        ("v2", 2048, (4 * 9 + 1) * 2048 * 256 + 5 * 256 * 256 + 12 * 256 + 257 * 21),
        (
            "v3",
            2048,
            (3 * 9 + 2) * 2048 * 256 + (5 + 9) * 256 * 256 + 14 * 256 + 257 * 21,
        ),
    ],
)
def test_published_heads(name, channels, count):
    head = HEADS[name](CLASSES)
    features = jax.ShapeDtypeStruct((2, 7, 9, channels), jnp.float32)
    variables = jax.eval_shape(head.init, KEY, features)
    assert _count(variables["params"]) == count
    train = functools.partial(head.apply, train=True, mutable=["batch_stats"])
    logits, updated = jax.eval_shape(
        lambda v, x: train(v, x, rngs={"dropout": KEY}), variables, features
    )
    assert logits.shape == (2, 7, 9, CLASSES) and logits.dtype == jnp.float32
    stats = {k: v for k, v in variables.items() if k != "params"}
    chex.assert_trees_all_equal_shapes(updated, stats)


def test_width_and_rates_are_settings():
    features = jax.ShapeDtypeStruct((1, 4, 4, 32), jnp.float32)
    for name, settings in (("v1", {"rate": 4}), ("v2", {"rates": (2, 3)})):
        head = HEADS[name](5, **SMALL, **settings)
        params = jax.eval_shape(head.init, KEY, features)["params"]
        assert params["classifier"]["conv"]["kernel"].shape == (1, 1, 6, 5)
    assert set(params["pyramid"]) == {"rate2", "rate3", "image"}


@pytest.mark.parametrize("name", HEADS)
def test_padding_changes_nothing(name):
    settings = {} if name == "linear" else SMALL
    net = DeepLab(SmallResNet(width=4), HEADS[name](5, **settings))
    height, width = 22, 31
    rng = np.random.default_rng(0)
    image = rng.standard_normal((1, height, width, 3)).astype(np.float32)
    variables = initialize(net, KEY, image, rules=INIT_RULES)
    variables = jax.tree.map(lambda x: x + 0.1, variables)
    loud = np.full((1, 40, 36, 3), 7, np.float32)
    loud[:, :height, :width] = image
    apply = jax.jit(net.apply)
    exact = apply(variables, image)
    padded = np.asarray(apply(variables, loud, np.array([[height, width]])))
    h, w = exact.shape[1:3]
    scale = np.abs(exact).max()
    np.testing.assert_allclose(padded[:, :h, :w], exact, atol=2e-5 * scale)
    assert (padded[:, h:] == 0).all() and (padded[:, :, w:] == 0).all()


def test_global_mean_is_of_the_cells_inside():
    x = np.random.default_rng(0).standard_normal((2, 5, 6, 3)).astype(np.float32)
    mean = global_mean(x, np.array([[3, 4], [0, 0]]))
    np.testing.assert_allclose(mean[0, 0, 0], x[0, :3, :4].mean((0, 1)), atol=1e-6)
    np.testing.assert_array_equal(mean[1], 0)


def test_initial_weights_follow_fan_out():
    net = DeepLab(SmallResNet(width=4), HEADS["v1"](5, width=64))
    image = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
    params = initialize(net, KEY, image, rules=INIT_RULES)["params"]
    kernel = params["head"]["field"]["conv"]["conv"]["kernel"]
    np.testing.assert_allclose(kernel.std(), np.sqrt(2 / (9 * 64)), rtol=0.05)


class TestBatchStatisticsOfWideResNet38:
    def test_same_names_in_another_collection(self):
        image = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
        frozen, batch = (
            jax.eval_shape(WideResNet38(batch_statistics=b).init, KEY, image)
            for b in (False, True)
        )
        assert "batch_stats" not in frozen
        assert paths(frozen["params"]).keys() == {
            *paths(batch["params"]),
            *paths(batch["batch_stats"]),
        }

    def test_training_normalises_by_the_batch(self):
        block = BottleneckBlock(
            8, 2, 0.0, norm=functools.partial(BatchNorm, momentum=0.5)
        )
        x = np.random.default_rng(0).standard_normal((2, 5, 5, 4)).astype(np.float32)
        variables = initialize(block, KEY, x, None, train=False)

        @jax.jit
        def train(x):
            return block.apply(variables, x, None, train=True, mutable=["batch_stats"])

        (y, _), updated = train(x)
        (shifted, _), _ = train(3 * x + 1)
        np.testing.assert_allclose(y, shifted, atol=1e-3)
        stored = updated["batch_stats"]["bn_branch2a"]["mean"]
        np.testing.assert_allclose(stored, 0.5 * x.mean((0, 1, 2)), atol=1e-6)


def test_mobilenet_backbone():
    net = DeepLab(MobileNetV2(), HEADS["v1"](5, width=16))
    image = jax.ShapeDtypeStruct((1, 40, 48, 3), jnp.float32)
    variables = jax.eval_shape(net.init, KEY, image)
    assert jax.eval_shape(net.apply, variables, image).shape == (1, 5, 6, 5)
