"""The feature pyramid against NumPy, at odd sizes, and padded."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ppcjax.nn import fpn
from ppcjax.nn.fpn import FeaturePyramid
from ppcjax.nn.init import initialize
from ppcjax.nn.layers import stride_of
from ppcjax.types import UserError

KEY = jax.random.key(0)
RULES = [(r"^params/", fpn.init_rules()[0][1])]  # alone, it has no name
NET = FeaturePyramid(("fine", "coarse"), width=3, coarser=2)


def _stages(height, width):
    """Maps at strides 4 and 8 of an image of that size."""
    rng = np.random.default_rng(0)
    return {
        name: rng.standard_normal((1, -(-height // s), -(-width // s), d))
        for name, s, d in (("fine", 4, 2), ("coarse", 8, 4), ("unused", 8, 1))
    }


def _loud(net, stages, size):
    """Variables whose biases are not 0, which would hide what leaks in."""
    variables = initialize(net, KEY, stages, size=size, rules=RULES)
    return jax.tree.map(lambda x: x + 0.1, variables)


def _convolved(x, layer, stride=1):
    """A convolution of [1, h, w, D] with zeros around, in NumPy."""
    kernel, bias = layer["conv"]["kernel"], layer["conv"]["bias"]
    side = kernel.shape[0]
    x = np.pad(x, ((0, 0), *((side // 2,) * 2,) * 2, (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(x, (side, side), axis=(1, 2))
    return np.einsum("bhwdij,ijde->bhwe", windows, kernel)[:, ::stride, ::stride] + bias


def test_levels_by_hand_at_an_odd_size():
    size = (35, 18)
    stages = _stages(*size)
    variables = _loud(NET, stages, size)
    found = jax.jit(lambda v, s: NET.apply(v, s, size))(variables, stages)
    p = variables["params"]
    coarse = _convolved(stages["coarse"], p["lateral_coarse"])
    fine = _convolved(stages["fine"], p["lateral_fine"])
    fine += coarse.repeat(2, 1).repeat(2, 2)[:, :9, :5]
    levels = [
        _convolved(fine, p["output_fine"]),
        _convolved(coarse, p["output_coarse"]),
    ]
    levels.append(_convolved(levels[1], p["coarser1"], 2))
    levels.append(_convolved(np.maximum(levels[2], 0), p["coarser2"], 2))
    assert [x.shape[1:3] for x in found] == [(9, 5), (5, 3), (3, 2), (2, 1)]
    chex.assert_trees_all_close(found, levels, atol=1e-4)


def test_padding_changes_nothing():
    small, large = (35, 18), (48, 32)
    exact = _stages(*small)
    variables = _loud(NET, exact, small)
    padded = {}
    for name, x in _stages(*large).items():  # noise beyond the image
        height, width = exact[name].shape[1:3]
        x[:, :height, :width] = exact[name]
        padded[name] = x
    extent = np.array([small])

    @jax.jit
    def both(v):
        return NET.apply(v, exact, small), NET.apply(v, padded, large, extent)

    expected, found = both(variables)
    for own, other in zip(expected, found, strict=True):
        height, width = own.shape[1:3]
        np.testing.assert_allclose(other[:, :height, :width], own, atol=1e-4)
        assert not np.any(other[:, height:]) and not np.any(other[:, :, width:])


def test_stages_of_one_stride_add_without_repetition():
    stages = {name: jnp.ones((1, 3, 4, 2)) for name in ("stage3", "stage4")}
    net = FeaturePyramid(("stage3", "stage4"), width=2, coarser=0)
    shapes = jax.eval_shape(lambda s: net.init_with_output(KEY, s, (12, 16)), stages)
    assert [x.shape for x in shapes[0]] == [(1, 3, 4, 2)] * 2


def test_initial_weights():
    """Uniform within sqrt(3 / fan-in), of variance 1 / fan-in; biases 0."""
    net = FeaturePyramid(("stage4",), width=16, coarser=1)
    stages = {"stage4": np.zeros((1, 2, 2, 8))}
    variables = initialize(net, KEY, stages, size=(64, 64), rules=RULES)
    for name, fan_in in (("lateral_stage4", 8), ("output_stage4", 144)):
        layer = variables["params"][name]["conv"]
        bound = (3 / fan_in) ** 0.5
        assert 0.9 * bound < np.abs(layer["kernel"]).max() <= bound
        assert not layer["bias"].any()


@pytest.mark.parametrize(
    ("size", "grid", "stride"),
    [
        ((224, 224), (28, 28), 8),
        ((33, 64), (2, 2), 32),
        ((8, 64), (1, 2), 32),
        ((5, 1), (3, 1), 2),
        ((7, 9), (7, 9), 1),
        ((512, 512), (65, 65), 8),  # rounded up by a pooling
    ],
)
def test_stride_of(size, grid, stride):
    assert stride_of(size, grid) == stride


def test_a_known_stride_is_taken_where_it_fits():
    assert stride_of((64, 50), (5, 4), known=14) == 14
    assert stride_of((64, 50), (8, 7), known=14) == 8


@pytest.mark.parametrize(
    ("endpoints", "message"),
    [
        (("fine", "stage9"), "'stage9': the backbone has coarse, fine, unused"),
        (("coarse", "fine"), "of fine does not cover .* from fine to coarse"),
    ],
)
def test_stages_that_do_not_fit(endpoints, message):
    net = FeaturePyramid(endpoints, width=2)
    stages = _stages(32, 32)
    with pytest.raises(UserError, match=message):
        jax.eval_shape(lambda s: net.init(KEY, s, (32, 32)), stages)


def test_a_stage_named_twice():
    with pytest.raises(ValueError, match="give different stages"):
        FeaturePyramid(("stage4", "stage4"))
