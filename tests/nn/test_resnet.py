"""ResNets: sizes and dilation at every stride, padded canvases, settings."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ppcjax.nn import asgnet
from ppcjax.nn.batch_norm import BatchNorm
from ppcjax.nn.init import initialize
from ppcjax.nn.layers import max_pool
from ppcjax.nn.resnet import BasicBlock, Bottleneck, ResNet, init_rules
from tests.golden.arrays import paths

KEY = jax.random.key(0)


def _shapes(module, size=(1, 64, 64, 3)):
    return jax.eval_shape(module.init, KEY, jax.ShapeDtypeStruct(size, jnp.float32))


def _count(tree):
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


@pytest.mark.parametrize(
    ("settings", "count"),
    [
        # PixPro's backbones, trainable parameters (torchvision's without classifier).
        ({"depth": 18}, 11_176_512),
        ({"depth": 34}, 21_284_672),
        ({"depth": 50}, 23_508_032),
        # With the deep stem: three stages of few-shot's, all four of ContrastiveSeg's.
        ({"depth": 50, "stem": "deep", "stages": 3}, 8_667_072),
        ({"depth": 101, "stem": "deep"}, 42_623_936),
    ],
)
def test_parameter_counts_of_published_networks(settings, count):
    params = _shapes(ResNet(**settings))["params"]
    assert _count(params) == count


@pytest.mark.parametrize(
    ("output_stride", "grids"),
    [(32, (19, 10, 5, 3)), (16, (19, 10, 5, 5)), (8, (19, 10, 10, 10))],
)
def test_endpoints_of_every_stride(output_stride, grids):
    module = ResNet(18, output_stride=output_stride)
    image = jax.ShapeDtypeStruct((1, 73, 76, 3), jnp.float32)
    out = jax.eval_shape(module.apply, _shapes(module), image)
    for i, grid in enumerate(grids, start=1):
        assert out[f"stage{i}"].shape == (1, grid, grid, 32 * 2**i)
    assert out["embedding"].shape == out["stage4"].shape
    assert module.stride == output_stride


@pytest.mark.parametrize(
    ("dilate_first", "expected"),
    [(False, [1, 1, 1, 2, 2, 4]), (True, [1, 1, 2, 2, 4, 4])],
)
def test_dilation_takes_the_place_of_strides(dilate_first, expected, monkeypatch):
    """Dilation of the first convolution of each second and later stage's blocks."""
    seen = []
    real = BasicBlock.__call__

    def spy(self, x, extent, train):
        seen.append((self.name, self.stride, self.dilation))
        return real(self, x, extent, train)

    monkeypatch.setattr(BasicBlock, "__call__", spy)
    _shapes(ResNet(18, output_stride=8, dilate_first=dilate_first))
    later = [row for row in seen if not row[0].startswith("layer1")]
    assert [dilation for _, _, dilation in later] == expected
    assert [stride for _, stride, _ in later] == [2, 1, 1, 1, 1, 1]


def test_last_relu_and_fewer_stages():
    image = np.random.default_rng(0).standard_normal((1, 32, 32, 3)).astype(np.float32)
    module = ResNet(18, stem="deep", stages=2, last_relu=False)
    variables = initialize(module, KEY, image)
    out = jax.jit(module.apply)(variables, image)
    assert set(out) == {"stage1", "stage2", "embedding"} and module.stride == 8
    assert np.min(out["embedding"]) < 0 and np.min(out["stage1"]) == 0


@pytest.mark.parametrize("stem", ["plain", "deep"])
def test_padding_changes_nothing(stem):
    module = ResNet(18, stem=stem, output_stride=8)
    height, width = 37, 45
    rng = np.random.default_rng(0)
    image = rng.standard_normal((1, height, width, 3)).astype(np.float32)
    variables = initialize(module, KEY, image)
    variables = jax.tree.map(lambda x: x + 0.1, variables)
    loud = np.full((1, 64, 56, 3), 7, np.float32)
    loud[:, :height, :width] = image
    apply = jax.jit(module.apply)
    exact = apply(variables, image)
    padded = apply(variables, loud, np.array([[height, width]]))
    chex.assert_tree_all_finite(padded)
    for endpoint, value in exact.items():
        h, w = value.shape[1:3]
        np.testing.assert_allclose(
            padded[endpoint][:, :h, :w],
            value,
            atol=2e-5 * np.abs(value).max(),
            err_msg=endpoint,
        )


def test_padding_changes_nothing_in_a_bottleneck():
    x = np.random.default_rng(0).standard_normal((1, 12, 14, 5)).astype(np.float32)
    block = Bottleneck(3, stride=2, dilation=2, norm=BatchNorm)
    variables = initialize(block, KEY, x, None, train=False)
    variables = jax.tree.map(lambda x: x + 0.1, variables)
    apply = jax.jit(functools.partial(block.apply, train=False))
    exact = apply(variables, x[:, :7, :9], None)
    padded = apply(variables, x, np.array([[7, 9]]))
    np.testing.assert_allclose(padded[:, :4, :5], exact, atol=1e-4)


def test_max_pool_of_negative_values_never_sees_the_padding():
    x = -1 - np.random.default_rng(0).random((1, 7, 6, 2)).astype(np.float32)
    pooled = np.asarray(max_pool(x, None))
    assert pooled.shape == (1, 4, 3, 2)
    for i in range(4):
        for j in range(3):
            rows = slice(max(2 * i - 1, 0), 2 * i + 2)
            columns = slice(max(2 * j - 1, 0), 2 * j + 2)
            np.testing.assert_array_equal(
                pooled[0, i, j], x[0, rows, columns].max((0, 1))
            )
    canvas = np.full((1, 9, 9, 2), 5, np.float32)
    canvas[:, :7, :6] = x
    padded = np.asarray(max_pool(canvas, np.array([[7, 6]])))
    np.testing.assert_array_equal(padded[:, :4, :3], pooled)
    assert (padded[:, 4:] == 0).all() and (padded[:, :, 3:] == 0).all()


@pytest.mark.parametrize("size", [6, 7])
def test_pooling_may_round_its_size_up(size):
    x = -1 - np.random.default_rng(0).random((1, size, size, 2)).astype(np.float32)
    pooled = np.asarray(max_pool(x, None, ceil=True))
    count = size // 2 + 1
    assert pooled.shape == (1, count, count, 2)
    corner = x[0, max(2 * count - 3, 0) :, max(2 * count - 3, 0) :].max((0, 1))
    np.testing.assert_array_equal(pooled[0, -1, -1], corner)
    canvas = np.full((1, 9, 9, 2), 5, np.float32)
    canvas[:, :size, :size] = x
    padded = np.asarray(max_pool(canvas, np.array([[size, size]]), ceil=True))
    np.testing.assert_array_equal(padded[:, :count, :count], pooled)
    assert (padded[:, count:] == 0).all()


@pytest.mark.parametrize(("size", "grid"), [(512, 65), (520, 66), (360, 46), (480, 61)])
def test_grid_of_the_rounded_up_pooling(size, grid):
    module = ResNet(18, stem="deep", ceil_pool=True, output_stride=8)
    assert module.grid_extent(size) == grid
    assert ResNet(18, output_stride=8).grid_extent(size) == -(-size // 8)
    with pytest.raises(ValueError, match="ceil_pool and stage_links"):
        ResNet(18, ceil_pool=True, stage_links=True)


def test_blocks_start_as_the_identity_from_scratch():
    image = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
    for depth, last in ((18, "bn2"), (50, "bn3")):
        module = ResNet(depth)
        params = initialize(module, KEY, image, rules=init_rules(depth))["params"]
        zero = {
            p for p, v in paths(params).items() if p.endswith("scale") and not v.any()
        }
        blocks = {p for p in params if p.startswith("layer")}
        assert zero == {f"{block}/{last}/scale" for block in blocks}
        kernel = params["layer2_0"]["conv1"]["conv"]["kernel"]
        fan_out = kernel.shape[0] * kernel.shape[1] * kernel.shape[3]
        np.testing.assert_allclose(kernel.std(), np.sqrt(2 / fan_out), rtol=0.02)


def test_bfloat16_keeps_float32_variables():
    module = ResNet(18, dtype=jnp.bfloat16)
    variables = _shapes(module)
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype("float32")}
    image = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
    out, updated = jax.eval_shape(
        functools.partial(module.apply, train=True, mutable=["batch_stats"]),
        variables,
        image,
    )
    assert out["embedding"].dtype == jnp.bfloat16
    chex.assert_trees_all_equal_shapes_and_dtypes(
        updated["batch_stats"], variables["batch_stats"]
    )


def test_links_around_stages_start_at_zero():
    settings = {"depth": 18, "stem": "deep", "stages": 2}
    x = np.random.default_rng(0).standard_normal((1, 33, 40, 3)).astype(np.float32)
    linked = ResNet(**settings, stage_links=True)
    variables = initialize(linked, KEY, x, rules=asgnet.INIT_RULES)
    links = {p for p in paths(variables["params"]) if p.startswith("link")}
    assert links == {"link0/kernel", "link1/kernel", "link2/kernel"}
    plain = {k: v for k, v in variables["params"].items() if not k.startswith("link")}
    run = jax.jit(lambda v: linked.apply(v, x)["embedding"])
    without = jax.jit(ResNet(**settings).apply)(variables | {"params": plain}, x)
    np.testing.assert_allclose(run(variables), without["embedding"], rtol=1e-6)
    variables["params"]["link2"]["kernel"] += 1.0
    assert np.any(np.abs(run(variables) - without["embedding"]) > 1e-3)
