"""Shapes, sizes, and exactness on padded canvases of every backbone."""

import functools
from contextlib import nullcontext

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ppcjax.nn import backbones
from ppcjax.nn.init import initialize
from ppcjax.nn.inverted_residuals import InvertedResidual
from ppcjax.nn.wide_resnet38 import BottleneckBlock, PlainBlock
from ppcjax.types import UserError

KEY = jax.random.key(0)
ENDPOINTS = ("stage3", "stage4", "embedding")
# Channels of these.
CHANNELS = {
    "wide_resnet38": (512, 1024, 4096),
    "mobilenet_v2": (192, 576, 1280),
    "efficientnet_lite0": (240, 672, 1280),
    "small_resnet": (32, 32, 32),
    "vgg16": (512, 512, 512),
    "hrnet_w18": (270, 270, 270),
    "hrnet_w48": (720, 720, 720),
    "resnet18": (256, 512, 512),
    "resnet34": (256, 512, 512),
    "resnet50": (1024, 2048, 2048),
    "resnet101": (1024, 2048, 2048),
    **dict.fromkeys(("vit_s16", "vit_s8", "vit_s14"), (384, 384, 384)),
    **dict.fromkeys(("vit_b16", "vit_b8", "vit_b14"), (768, 768, 768)),
    "vit_l14": (1024, 1024, 1024),
}
SETTINGS = {"small_resnet": {"width": 8}} | {
    name: {"output_stride": 8} for name in CHANNELS if name.startswith("resnet")
}
SETTINGS |= dict.fromkeys(
    ("hrnet_w18", "hrnet_w48"), {"modules": (1, 1, 1), "blocks": 1}
)
SETTINGS |= {name: {"depth": 2} for name in CHANNELS if name.startswith("vit")}


def _make(name):
    return backbones.make(name, **SETTINGS.get(name, {}))[0]


def _count(tree):
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


@pytest.mark.parametrize("name", backbones.BACKBONES)
def test_endpoints_at_even_and_odd_sizes(name):
    module = _make(name)
    variables = jax.eval_shape(module.init, KEY, jnp.zeros((1, 32, 32, 3)))
    for height, width in ((64, 48), (37, 51)):
        image = jax.ShapeDtypeStruct((2, height, width, 3), jnp.float32)
        endpoints = jax.eval_shape(module.apply, variables, image)
        branches = {name for name in endpoints if name.startswith("branch")}
        named = set(endpoints) - branches
        assert set(ENDPOINTS) <= named == set(module.endpoints) - branches
        grid = -(-height // module.stride), -(-width // module.stride)
        for endpoint, channels in zip(ENDPOINTS, CHANNELS[name], strict=True):
            assert endpoints[endpoint].shape == (2, *grid, channels), endpoint


# Convolutions with bias, and (expansion, kernel, channels, repeats) of their groups.
RESIDUALS = {
    "mobilenet_v2": (
        52,
        (
            *((1, 3, 16, 1), (6, 3, 24, 2), (6, 3, 32, 3), (6, 3, 64, 4)),
            *((6, 3, 96, 3), (6, 3, 160, 3), (6, 3, 320, 1)),
        ),
    ),
    "efficientnet_lite0": (
        49,
        (
            *((1, 3, 16, 1), (6, 3, 24, 2), (6, 5, 40, 2), (6, 3, 80, 3)),
            *((6, 5, 112, 3), (6, 5, 192, 4), (6, 3, 320, 1)),
        ),
    ),
}


@pytest.mark.parametrize("name", RESIDUALS)
def test_parameter_count_of_inverted_residuals(name):
    """Layer by layer."""
    count, groups = RESIDUALS[name]
    layers = [(3, 3, 3, 32)]
    width = 32
    for expansion, kernel, features, repeats in groups:
        for _ in range(repeats):
            wide = expansion * width
            layers += [(1, 1, width, wide)] if expansion > 1 else []
            layers += [(kernel, kernel, 1, wide), (1, 1, wide, features)]
            width = features
    layers.append((1, 1, width, 1280))
    assert len(layers) == count
    expected = sum(np.prod(shape) + shape[-1] for shape in layers)
    variables = jax.eval_shape(_make(name).init, KEY, jnp.zeros((1, 32, 32, 3)))
    assert _count(variables) == expected


def test_small_resnet_has_the_parameters_of_its_stages():
    """At width w: a stem, then blocks to w, 2w, 4w and 4w; a shortcut where wider."""
    w = 8
    widths = [(w, w), (w, 2 * w), (2 * w, 4 * w), (4 * w, 4 * w)]
    expected = 9 * 3 * w + 2 * w
    for before, after in widths:
        expected += 9 * before * after + 9 * after * after + 4 * after
        expected += before * after + 2 * after if before != after else 0
    image = jnp.zeros((1, 32, 32, 3))
    variables = jax.eval_shape(_make("small_resnet").init, KEY, image)
    assert _count(variables["params"]) == expected


@pytest.mark.parametrize(
    "name, settings",
    [
        ("small_resnet", {"width": 8}),
        pytest.param("mobilenet_v2", {}, marks=pytest.mark.slow),
        ("efficientnet_lite0", {"padding": "both", "output_stride": 16}),
        ("vit_s14", {"width": 24, "depth": 2, "heads": 2, "registers": 4}),
    ],
)
def test_padding_changes_nothing(name, settings):
    (module, _), height, width = backbones.make(name, settings), 21, 30
    image = np.random.default_rng(0).standard_normal((1, height, width, 3))
    image = image.astype(np.float32)
    variables = initialize(module, KEY, image)
    # Biases and means of trained networks are not zero, so padding would leak.
    variables = jax.tree.map(lambda x: x + 0.1, variables)
    loud = np.full((1, 40, 48, 3), 7, np.float32)
    loud[:, :height, :width] = image
    exact = jax.jit(module.apply)(variables, image)
    padded = jax.jit(module.apply)(variables, loud, np.array([[height, width]]))
    for endpoint, value in exact.items():
        h, w = value.shape[1:3]
        scale = np.abs(value).max()
        np.testing.assert_allclose(
            padded[endpoint][:, :h, :w], value, atol=2e-5 * scale, err_msg=endpoint
        )


@pytest.mark.parametrize("padding", ["after", "both"])
@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("stride, dilation", [(1, 2), (2, 1)])
@pytest.mark.parametrize("size", [(6, 9), (7, 8)])
def test_padding_changes_nothing_in_inverted_residuals(
    padding, kernel, stride, dilation, size
):
    x = np.random.default_rng(0).standard_normal((1, 12, 14, 4)).astype(np.float32)
    block = InvertedResidual(2, kernel, 4, stride, dilation, padding)
    variables = initialize(block, KEY, x, None)
    variables = jax.tree.map(lambda x: x + 0.1, variables)
    exact = block.apply(variables, x[:, : size[0], : size[1]], None)
    padded = block.apply(variables, x, np.array([size]))
    for ours, expected in zip(padded, exact, strict=True):
        h, w = expected.shape[1:3]
        np.testing.assert_allclose(ours[:, :h, :w], expected, atol=1e-5)


@pytest.mark.parametrize(
    "block, mode",
    [
        (PlainBlock(4, 6, 2, dilation=2), {}),
        (BottleneckBlock(8, 4, 0.3), {"train": False}),
    ],
    ids=["plain", "bottleneck"],
)
def test_padding_changes_nothing_in_blocks_of_wide_resnet38(block, mode):
    x = np.random.default_rng(0).standard_normal((1, 12, 14, 5)).astype(np.float32)
    small = x[:, :7, :9]
    variables = initialize(block, KEY, x, None, **mode)
    variables = jax.tree.map(lambda x: x + 0.1, variables)
    apply = jax.jit(functools.partial(block.apply, **mode))
    exact = apply(variables, small, None)
    padded = apply(variables, x, np.array([[7, 9]]))
    for ours, expected in zip(padded, exact, strict=True):
        h, w = expected.shape[1:3]
        np.testing.assert_allclose(ours[:, :h, :w], expected, atol=1e-4)


def test_small_resnet_normalises_by_batch_in_training_and_by_memory_in_evaluation():
    module = _make("small_resnet")
    image = np.random.default_rng(0).standard_normal((4, 16, 16, 3)).astype(np.float32)
    variables = initialize(module, KEY, image)

    @jax.jit
    def train(variables, x):
        return module.apply(variables, x, train=True, mutable=["batch_stats"])

    out, updated = train(variables, image)
    shifted, _ = train(variables, 3 * image)
    # The stem is linear: the batch's own scale cancels.
    np.testing.assert_allclose(out["stage3"], shifted["stage3"], atol=1e-3)
    evaluate = jax.jit(module.apply)
    before, after = (evaluate(v, image) for v in (variables, {**variables, **updated}))
    assert np.abs(before["stage3"] - after["stage3"]).max() > 1e-2
    # Momentum 0.9: a tenth of what the batch says, nine tenths of what was.
    kernel = variables["params"]["stem"]["conv"]["kernel"]
    stem = jax.lax.conv_general_dilated(
        image, kernel, (2, 2), ((1, 1),) * 2, dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    stats = updated["batch_stats"]["BatchNorm_0"]
    np.testing.assert_allclose(stats["mean"], 0.1 * stem.mean((0, 1, 2)), atol=1e-5)
    expected = 0.9 + 0.1 * np.var(stem, axis=(0, 1, 2))
    np.testing.assert_allclose(stats["var"], expected, rtol=1e-4)


def test_bfloat16_keeps_float32_parameters():
    module, _ = backbones.make("mobilenet_v2", dtype=jnp.bfloat16)
    variables = jax.eval_shape(module.init, KEY, jnp.zeros((1, 32, 32, 3)))
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype("float32")}
    image = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
    out = jax.eval_shape(module.apply, variables, image)
    assert out["embedding"].dtype == jnp.bfloat16


def test_colours_can_be_others_than_a_backbones_own():
    _, own = backbones.make("mobilenet_v2")
    _, entry = backbones.make("mobilenet_v2", pixel_mean=(0.1, 0.2, 0.3))
    assert entry == own._replace(mean=(0.1, 0.2, 0.3))
    _, entry = backbones.make("mobilenet_v2", pixel_std=(0.1, 0.2, 0.3))
    assert entry == own._replace(std=(0.1, 0.2, 0.3))


def test_unknown_name():
    with pytest.raises(UserError, match="resnet9.*known are wide_resnet38"):
        backbones.make("resnet9")


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2"])
def test_outputs_side_by_side_need_one_grid(name):
    module, _ = backbones.make(name, {"output_stride": 16})
    outputs = ("stage3", "stage4")
    backbones.need_endpoints(module, outputs, "endpoints")
    refused = pytest.raises(UserError, match="different grids")
    with refused if name == "mobilenet_v2" else nullcontext():
        backbones.need_endpoints(module, outputs, "endpoints", one_grid=True)
    fine, _ = backbones.make(name, {"output_stride": 8})
    backbones.need_endpoints(fine, outputs, "endpoints", one_grid=True)
