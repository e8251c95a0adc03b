"""The networks of ContrastiveSeg: counts, grids, what is computed when, padding."""

import functools
import re

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ppcjax.nn import contrast_net
from ppcjax.nn.heads import gather_regions
from ppcjax.nn.init import initialize
from ppcjax.nn.projection import ProjectionHead
from ppcjax.types import UserError
from tests.golden.arrays import paths

KEY = jax.random.key(0)
DEEPLAB = {
    "backbone": "resnet101",
    "backbone_settings": {"stem": "deep", "ceil_pool": True, "output_stride": 8},
    "head": "v3",
    "head_settings": {
        "width": 512,
        "mix_kernel": 3,
        "refine_relu": False,
        "dropout": 0.0,
    },
    "auxiliary": {"endpoint": "stage3", "width": 256},
}
# Whole networks on HRNet take their time to compile; `test_hrnet` has it alone.
SMALL = {
    "backbone": "small_resnet",
    "backbone_settings": {"width": 4},
    "projection_dim": 8,
}
TINY = {
    "hrnet": SMALL,
    "ocr": SMALL
    | {"head": "ocr", "head_settings": {"width": 12, "key_width": 6, "dropout": 0.0}},
    "deeplab": DEEPLAB
    | {
        "backbone": "resnet18",
        "head_settings": DEEPLAB["head_settings"] | {"width": 8},
        "auxiliary": {"endpoint": "stage3", "width": 8},
        "projection_dim": 8,
    },
}


@functools.cache
def _recipe(name):
    return contrast_net.make(5, **TINY[name])


def _shapes(net, size=(1, 64, 64, 3), **mode):
    image = jax.ShapeDtypeStruct(size, jnp.float32)
    return jax.eval_shape(functools.partial(net.init, **mode), KEY, image)


def _count(tree):
    return sum(x.size for x in jax.tree.leaves(tree))


@pytest.mark.parametrize(
    ("settings", "counts", "grid"),
    [
        (
            {},
            {"backbone": 65_325_120, "head": 4_681_440, "projection": 705_136},
            (128, 256),
        ),
        ({"head": "ocr"}, {"projection": 705_136, "": 75_227_318}, (128, 256)),
        (
            DEEPLAB,
            {"backbone": 42_623_936, "projection": 4_724_992, "": 94_295_270},
            (65, 129),
        ),
    ],
    ids=["hrnet", "ocr", "deeplab"],
)
@pytest.mark.slow
def test_counts_and_grids_of_published_networks(settings, counts, grid):
    net = contrast_net.make(19, **settings).net
    shapes = _shapes(net)
    params = shapes["params"]
    if not settings:
        assert _count(params) == 70_711_696
    for part, count in counts.items():
        assert _count(params[part] if part else params) == count
    image = jax.ShapeDtypeStruct((1, 512, 1024, 3), jnp.float32)
    out = jax.eval_shape(net.apply, shapes, image)
    assert out["logits"].shape == (1, *grid, 19)
    assert out["embedding"].shape == (1, *grid, 256)
    assert ("aux" in out) == bool(settings)


def test_deeplab_has_the_released_decoder():
    params = _shapes(contrast_net.make(19, **DEEPLAB).net)["params"]
    assert _count(params["head"]) + _count(params["auxiliary"]) == 46_946_342


@pytest.mark.parametrize("name", TINY)
def test_padding_changes_nothing(name):
    recipe, (height, width) = _recipe(name), (37, 70)
    rng = np.random.default_rng(0)
    image = rng.standard_normal((1, height, width, 3)).astype(np.float32)
    rules = recipe.init_rules
    variables = initialize(recipe.net, KEY, image, rules=rules)
    # Initial biases of zero would hide what leaks in; scores stay apart.
    variables = jax.tree.map(lambda x: x + 0.02, variables)
    loud = np.full((1, 48, 80, 3), 7, np.float32)
    loud[:, :height, :width] = image
    apply = jax.jit(recipe.net.apply)
    exact = apply(variables, image)
    padded = apply(variables, loud, np.array([[height, width]]))
    h, w = np.asarray(padded.pop("extent")[0])
    chex.assert_tree_all_finite(padded)
    assert exact.keys() == padded.keys()
    for kind, value in exact.items():
        assert value.shape[1:3] == (h, w)
        inner = padded[kind][:, :h, :w]
        scale = np.abs(value).max()
        np.testing.assert_allclose(inner, value, atol=5e-5 * scale, err_msg=kind)
        assert not np.any(padded[kind][:, h:]) and not np.any(padded[kind][:, :, w:])


def test_prediction_computes_and_needs_no_projection():
    net = _recipe("hrnet").net
    shapes = _shapes(net)
    image = jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32)
    whole = jax.eval_shape(net.apply, shapes, image)
    assert set(whole) == {"logits", "embedding"}
    without = _shapes(net, embed=False)
    assert set(shapes["params"]) - set(without["params"]) == {"projection"}
    plain = jax.eval_shape(functools.partial(net.apply, embed=False), without, image)
    assert set(plain) == {"logits"}


def test_blue_first_as_released():
    recipe = contrast_net.make(5, **SMALL, channels="bgr")
    assert recipe.mean == (0.406, 0.456, 0.485) and recipe.std[0] == 0.225
    other = contrast_net.make(5, **SMALL, channels="bgr", pixel_mean=(0.1, 0.2, 0.3))
    assert other.mean == (0.3, 0.2, 0.1) and other.std == recipe.std
    net, image = recipe.net, np.random.default_rng(0).random((1, 32, 32, 3))
    image = image.astype(np.float32)
    rgb = _recipe("hrnet")
    variables = initialize(rgb.net, KEY, image, rules=rgb.init_rules)
    apply = jax.jit(rgb.net.apply)
    turned = jax.jit(net.apply)(variables, image[..., ::-1])
    np.testing.assert_allclose(apply(variables, image)["logits"], turned["logits"])


def test_initial_weights_as_released():
    image = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
    recipe = _recipe("hrnet")
    params = initialize(recipe.net, KEY, image, rules=recipe.init_rules)["params"]
    for path, leaf in paths(params).items():
        if re.match("(head/hidden|projection/conv1)/.*conv/", path):
            fan_in = 16 * (9 if "head" in path else 1)
            assert 0.8 < np.abs(leaf).max() * np.sqrt(fan_in) <= 1, path
    recipe = _recipe("deeplab")
    params = paths(initialize(recipe.net, KEY, image, rules=recipe.init_rules))
    kernel = params["params/head/mix/conv/conv/kernel"]
    np.testing.assert_allclose(kernel.std(), np.sqrt(2 / (9 * 40)), rtol=0.05)
    kernel = params["params/backbone/layer2_0/conv1/conv/kernel"]
    np.testing.assert_allclose(kernel.std(), np.sqrt(2 / (9 * 128)), rtol=0.02)
    assert not params["params/projection/conv2/conv/bias"].any()


def test_regions_are_means_of_what_belongs_to_them():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1, 3, 4, 5)).astype(np.float32)
    regions = np.full((1, 3, 4, 2), -100, np.float32)
    regions[0, :, :2, 0] = regions[0, 2, :, 1] = 100
    context = gather_regions(x, regions, None)
    np.testing.assert_allclose(context[0, 0], x[0, :, :2].mean((0, 1)), atol=1e-6)
    np.testing.assert_allclose(context[0, 1], x[0, 2].mean(0), atol=1e-6)
    cut = gather_regions(x, regions, np.array([[3, 3]]))
    np.testing.assert_allclose(cut[0, 1], x[0, 2, :3].mean(0), atol=1e-6)


def test_zero_features_have_a_zero_embedding_and_finite_gradients():
    head = ProjectionHead("linear", 4)
    variables = {"params": {"conv2": {"conv": {"kernel": np.ones((1, 1, 3, 4))}}}}
    variables["params"]["conv2"]["conv"]["bias"] = np.zeros(4)
    x = np.zeros((1, 2, 2, 3), np.float32)
    value, gradient = jax.jit(
        jax.value_and_grad(lambda x: head.apply(variables, x).sum())
    )(x)
    assert value == 0
    chex.assert_tree_all_finite(gradient)


def test_unknown_auxiliary_endpoint():
    with pytest.raises(UserError, match="'c3'; it has stage3"):
        contrast_net.make(5, **SMALL, auxiliary={"endpoint": "c3"})
