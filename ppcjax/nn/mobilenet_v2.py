"""MobileNetV2 1.0 at output stride 8, with batch normalisation folded away.

Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", CVPR 2018.
For machines without an accelerator.
"""

import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from ppcjax.nn.layers import Conv, clip_to, shrink

# (expansion, channels, repeats, stride) of each group of inverted residuals.
GROUPS = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


class DepthwiseConv(nn.Module):
    """A 3x3 depthwise convolution with bias, as nine shifted products.

    Compilers for CPUs turn grouped convolutions into slow loops; shifted products
    fuse into one pass over the image, forward and backward.
    """

    stride: int
    dilation: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x, extent=None):  # [B, h, w, D] -> [B, h', w', D]
        channels = x.shape[-1]
        kernel = self.param(
            "kernel", nn.initializers.lecun_normal(), (3, 3, 1, channels)
        ).astype(self.dtype)
        bias = self.param("bias", nn.initializers.zeros, (channels,))
        x = clip_to(x, extent)
        if self.stride == 1:
            y = filter_channels(x, kernel, self.dilation)
        else:
            # At stride 2 the ImageNet weights know padding after the image only.
            windows = _windows(x, 0, 2 * self.dilation, self.dilation, self.stride)
            y = _sum_of_taps(windows, kernel)
        return y + bias.astype(self.dtype)[None, None, None]


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def filter_channels(x: jax.Array, kernel: jax.Array, dilation: int) -> jax.Array:
    """Filters each channel by its own 3x3 kernel, at stride 1 with zero padding.

    The gradient is written out: that of a slice is a padded copy, and nine of them
    a tap cost more than the filter itself.

    Args:
        x: [B, h, w, D].
        kernel: [3, 3, 1, D].
        dilation: spacing of the taps.

    Returns:
        [B, h, w, D].
    """
    return _sum_of_taps(_windows(x, dilation, dilation, dilation, 1), kernel)


def _filter_forward(x, kernel, dilation):
    return filter_channels(x, kernel, dilation), (x, kernel)


def _filter_backward(dilation, residuals, gradient):
    x, kernel = residuals
    g_x = filter_channels(gradient, kernel[::-1, ::-1], dilation)
    windows = _windows(x, dilation, dilation, dilation, 1)
    taps = [jnp.einsum("bhwd,bhwd->d", window, gradient) for window in windows]
    return g_x, jnp.stack(taps).reshape(kernel.shape)


filter_channels.defvjp(_filter_forward, _filter_backward)


def _windows(x, low: int, high: int, dilation: int, stride: int) -> list[jax.Array]:
    """The nine shifted views of `x`, padded by `low` zeros before and `high` after."""
    height, width = (-(-n // stride) for n in x.shape[1:3])
    x = jnp.pad(x, ((0, 0), (low, high), (low, high), (0, 0)))
    return [
        x[
            :,
            top : top + (height - 1) * stride + 1 : stride,
            left : left + (width - 1) * stride + 1 : stride,
        ]
        for top in (0, dilation, 2 * dilation)
        for left in (0, dilation, 2 * dilation)
    ]


def _sum_of_taps(windows: list[jax.Array], kernel: jax.Array) -> jax.Array:
    taps = kernel.reshape(9, 1, 1, 1, -1)
    return sum(window * tap for window, tap in zip(windows, taps, strict=True))


class InvertedResidual(nn.Module):
    """Expand, filter each channel, project; a shortcut where shapes agree.

    Returns the block's output and the expanded activations inside it.
    """

    expansion: int
    features: int
    stride: int
    dilation: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x, extent):  # -> [B, h', w', features], [B, h, w, wide]
        y = x
        if self.expansion > 1:
            wide = self.expansion * x.shape[-1]
            y = Conv(wide, 1, use_bias=True, dtype=self.dtype, name="expand")(y)
            y = nn.relu6(y)
        expanded = y
        y = DepthwiseConv(
            self.stride, self.dilation, dtype=self.dtype, name="depthwise"
        )(y, extent)
        y = nn.relu6(y)
        y = Conv(self.features, 1, use_bias=True, dtype=self.dtype, name="project")(y)
        if x.shape == y.shape and self.stride == 1:
            y = x + y
        return y, expanded


class MobileNetV2(nn.Module):
    """The network without its classifier, strides beyond 8 turned into dilation.

    dtype: type of the convolutions.

    Deviations: at odd sizes stride-2 layers sample even rows and columns, where
    TensorFlow's SAME padding samples odd ones; at even sizes both agree.
    """

    dtype: Any = jnp.float32
    stride = 8
    endpoints = ("stage3", "stage4", "embedding")

    @nn.compact
    def __call__(self, x, extent=None, *, train=False):
        """Features of images scaled to [-1, 1].

        Args:
            x: [B, H, W, 3] in [-1, 1].
            extent: [B, 2] true rows and columns, or None.
            train: ignored; the network has neither drop-out nor statistics.

        Returns:
            stage3 [B, h, w, 192] and stage4 [B, h, w, 576], the groups of 32 and 96
            channels as the next block expands and activates them, and embedding
            [B, h, w, 1280]; h = ceil(H / 8).
        """
        del train
        x = Conv(32, stride=2, low_pad=0, use_bias=True, dtype=self.dtype, name="stem")(
            x, extent
        )
        x, extent = nn.relu6(x), shrink(extent, 2)
        endpoints, stride, dilation, index = {}, 2, 1, 0
        for group, (expansion, features, repeats, step) in enumerate(GROUPS):
            for i in range(repeats):
                index += 1
                step_here = step if i == 0 and stride * step <= self.stride else 1
                x, expanded = InvertedResidual(
                    expansion,
                    features,
                    step_here,
                    dilation,
                    dtype=self.dtype,
                    name=f"block{index}",
                )(x, extent)
                stride, extent = stride * step_here, shrink(extent, step_here)
                # The layer that lost its stride keeps the old spacing of taps.
                if i == 0 and step_here != step:
                    dilation *= step
                if i == 0 and group in (3, 5):
                    endpoints[f"stage{3 if group == 3 else 4}"] = expanded
        x = Conv(1280, 1, use_bias=True, dtype=self.dtype, name="head")(x)
        return endpoints | {"embedding": nn.relu6(x)}
