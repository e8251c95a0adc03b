"""Convolutions against jax.lax, and what an extent does."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ppcjax.nn.depthwise import DepthwiseConv
from ppcjax.nn.layers import Conv, FrozenBatchNorm, channel_dropout, inside, shrink

KEY = jax.random.key(0)
NHWC = ("NHWC", "HWIO", "NHWC")


def _random(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def _value_and_grads(function, *arrays):
    """Output and gradients of a scalar that weighs every output differently."""

    def total(*arrays):
        out = function(*arrays)
        weights = jnp.sin(jnp.arange(out.size, dtype=jnp.float32)).reshape(out.shape)
        return jnp.sum(weights * out), out

    grads, out = jax.jit(
        jax.grad(total, argnums=tuple(range(len(arrays))), has_aux=True)
    )(*arrays)
    return out, *grads


# Kernel, stride, dilation and zeros before the image; None: half the kernel's reach.
DEPTHWISE = [
    *((k, s, d, None) for k in (3, 5) for s in (1, 2) for d in (1, 2)),
    *((3, 2, 1, 0), (5, 2, 1, 1), (3, 1, 4, None), (5, 1, 4, None)),
]


@pytest.mark.parametrize("side, stride, dilation, low_pad", DEPTHWISE)
@pytest.mark.parametrize("size", [(8, 10), (7, 5)])
def test_depthwise_equals_grouped_convolution(side, stride, dilation, low_pad, size):
    channels = 3
    x, kernel, bias = (
        _random(2, *size, channels),
        _random(side, side, 1, channels),
        _random(3),
    )
    module = DepthwiseConv(side, stride, dilation, low_pad)
    total = dilation * (side - 1)
    low = total // 2 if low_pad is None else low_pad

    def grouped(x, kernel, bias):
        return bias[None, None, None] + jax.lax.conv_general_dilated(
            x,
            kernel,
            (stride, stride),
            ((low, total - low),) * 2,
            rhs_dilation=(dilation, dilation),
            dimension_numbers=NHWC,
            feature_group_count=channels,
        )

    def shifted(x, kernel, bias):
        return module.apply({"params": {"kernel": kernel, "bias": bias}}, x)

    ours = _value_and_grads(shifted, x, kernel, bias)
    theirs = _value_and_grads(grouped, x, kernel, bias)
    for actual, expected in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(actual, expected, atol=2e-5)


@pytest.mark.parametrize("stride", [1, 2])
def test_conv_of_side_one_equals_a_convolution(stride):
    x, kernel = _random(2, 5, 6, 3), _random(1, 1, 3, 4)
    module = Conv(4, 1, stride)

    def product(x, kernel):
        return module.apply({"params": {"conv": {"kernel": kernel}}}, x)

    def convolution(x, kernel):
        return jax.lax.conv_general_dilated(
            x, kernel, (stride, stride), "VALID", dimension_numbers=NHWC
        )

    ours = _value_and_grads(product, x, kernel)
    theirs = _value_and_grads(convolution, x, kernel)
    for actual, expected in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(actual, expected, atol=2e-5)


@pytest.mark.parametrize("size", [8, 9])
@pytest.mark.parametrize("stride, dilation", [(1, 1), (2, 1), (1, 4)])
def test_conv_pads_as_torch(size, stride, dilation):
    x = _random(1, size, size, 2)
    out, variables = Conv(3, 3, stride, dilation).init_with_output(KEY, x)
    expected = jax.lax.conv_general_dilated(
        x,
        variables["params"]["conv"]["kernel"],
        (stride, stride),
        ((dilation, dilation),) * 2,
        rhs_dilation=(dilation, dilation),
        dimension_numbers=NHWC,
    )
    assert out.shape[1] == -(-size // stride)
    np.testing.assert_allclose(out, expected, atol=1e-5)


def test_conv_ignores_what_is_beyond_the_extent():
    x = _random(2, 6, 7, 2)
    extent = np.array([[4, 7], [6, 3]], np.int32)
    out, variables = Conv(3).init_with_output(KEY, x, extent)
    for row, (height, width) in enumerate(extent):
        alone = Conv(3).apply(variables, x[row : row + 1, :height, :width])
        np.testing.assert_allclose(out[row, :height, :width], alone[0], atol=1e-5)


def test_extents():
    x = np.zeros((2, 3, 4, 1))
    extent = np.array([[3, 4], [1, 2]], np.int32)
    mask = np.asarray(inside(x, extent))
    assert mask.shape == x.shape and mask[0].all() and mask[1].sum() == 2
    np.testing.assert_array_equal(shrink(extent, 2), [[2, 2], [1, 1]])
    assert inside(x, None) is None and shrink(None, 2) is None


def test_frozen_batch_norm():
    x = _random(2, 3, 4, 5)
    scale, bias, mean = (_random(5, seed=i) for i in (1, 2, 3))
    var = _random(5, seed=4) ** 2
    params = {"scale": scale, "bias": bias, "mean": mean, "var": var}
    out = FrozenBatchNorm().apply({"params": params}, x)
    expected = (x - mean) / np.sqrt(var + 1e-5) * scale + bias
    np.testing.assert_allclose(out, expected, atol=1e-5)


def test_channel_dropout_drops_whole_channels():
    x = np.ones((3, 4, 5, 64), np.float32)
    out = channel_dropout(0.25, True).apply({}, x, rngs={"dropout": KEY})
    flat = np.asarray(out).reshape(3, 20, 64)
    assert np.all(flat == flat[:, :1])
    assert set(np.unique(flat)) == {0, np.float32(1 / 0.75)}
    assert 0.1 < (flat == 0).mean() < 0.4 and np.any(flat[0] != flat[1])
    np.testing.assert_array_equal(channel_dropout(0.25, False).apply({}, x), x)
