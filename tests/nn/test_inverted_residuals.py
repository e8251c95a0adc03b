"""MobileNetV2 and EfficientNet-Lite0 against plain NumPy, strided and dilated."""

import functools

import jax
import numpy as np
import pytest

from ppcjax.nn import backbones
from ppcjax.types import UserError
from tests.nn import plain_residuals as plain

EPS = 1e-3
IMAGE = np.random.default_rng(1).standard_normal((64, 96, 3)).astype(np.float32)


@functools.cache
def _expected(name, padding):
    layers = plain.random_layers(name)
    kind = {"after": "same", "both": "symmetric"}[padding]
    return layers, plain.apply(name, layers, IMAGE, padding=kind, eps=EPS)


@pytest.mark.parametrize(
    "name, padding, output_stride",
    [
        ("efficientnet_lite0", "after", 8),
        ("efficientnet_lite0", "after", 16),
        ("efficientnet_lite0", "after", 32),
        ("efficientnet_lite0", "both", 8),
        ("efficientnet_lite0", "both", 32),
        ("mobilenet_v2", "after", 16),
        ("mobilenet_v2", "both", 8),
        ("mobilenet_v2", "both", 32),
    ],
)
def test_equals_plain_arithmetic(name, padding, output_stride):
    """A dilated network has the cells of the strided one among its own."""
    settings = {"output_stride": output_stride, "padding": padding}
    module, _ = backbones.make(name, settings)
    assert module.stride == output_stride
    layers, expected = _expected(name, padding)
    ours = jax.jit(module.apply)(plain.folded(layers, EPS), IMAGE[None])
    assert set(ours) == set(expected)
    for endpoint, stride in (("stage3", 8), ("stage4", 16), ("embedding", 32)):
        step = stride // min(stride, output_stride)
        # With padding after the image windows stand on the second cell of each pair.
        first = step - 1 if padding == "after" else 0
        found = ours[endpoint][0, first::step, first::step]
        scale = np.abs(expected[endpoint]).max()
        np.testing.assert_allclose(
            found / scale, expected[endpoint] / scale, atol=1e-4, err_msg=endpoint
        )


def test_strides_and_paddings_that_there_are():
    for settings in ({"output_stride": 4}, {"padding": "same"}):
        with pytest.raises(UserError, match="backbone_settings"):
            backbones.make("efficientnet_lite0", settings)
