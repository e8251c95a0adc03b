"""What networks of inverted residuals share; batch normalisation is folded away.

Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", CVPR 2018.
"""

from typing import Any, Literal, NamedTuple

import flax.linen as nn
import jax.numpy as jnp

from ppcjax.nn.depthwise import DepthwiseConv
from ppcjax.nn.layers import Conv, shrink


class Group(NamedTuple):
    """Inverted residuals of one width.

    expansion: factor from a block's channels to those that it filters.
    kernel: side of the depthwise kernels.
    channels: outputs of each block.
    repeats: number of blocks.
    stride: step of the first block.
    """

    expansion: int
    kernel: int
    channels: int
    repeats: int
    stride: int


def zeros_before(kernel: int, stride: int, padding: str) -> int:
    """Zeros before the first row and column of a layer without dilation.

    Args:
        kernel: side of the kernel, odd.
        stride: step of the layer, 1 or 2.
        padding: "both" centres the first window on the first row. "after" does so at
            stride 1; at stride 2 it centres it on the second, as TensorFlow's SAME
            padding does at even sizes.
    """
    return kernel // 2 - (padding == "after" and stride > 1)


class InvertedResidual(nn.Module):
    """Expand, filter each channel, project; a shortcut where shapes agree.

    Returns the block's output and the expanded activations inside it.

    expansion: factor from the input's channels to the filtered ones.
    kernel: side of the depthwise kernel.
    features: output channels.
    stride: step of the depthwise convolution.
    dilation: spacing of its taps.
    padding: where its zeros are, see `zeros_before`.
    dtype: type of the convolutions.
    """

    expansion: int
    kernel: int
    features: int
    stride: int
    dilation: int
    padding: str
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x, extent):  # -> [B, h', w', features], [B, h, w, wide]
        y = x
        if self.expansion > 1:
            wide = self.expansion * x.shape[-1]
            y = Conv(wide, 1, use_bias=True, dtype=self.dtype, name="expand")(y)
            y = nn.relu6(y)
        expanded, low_pad = y, None
        if self.stride > 1:
            low_pad = zeros_before(self.kernel, self.stride, self.padding)
        y = DepthwiseConv(
            self.kernel,
            self.stride,
            self.dilation,
            low_pad,
            dtype=self.dtype,
            name="depthwise",
        )(y, extent)
        y = nn.relu6(y)
        y = Conv(self.features, 1, use_bias=True, dtype=self.dtype, name="project")(y)
        if x.shape == y.shape and self.stride == 1:
            y = x + y
        return y, expanded


class InvertedResiduals(nn.Module):
    """A stem of 32 channels, groups of inverted residuals, and a head of 1280.

    Networks give `groups`, seven of strides 1, 2, 2, 2, 1, 2, 1.

    output_stride: 8, 16 or 32; strides beyond it become dilation.
    padding: where layers of stride 2 are padded. "after": zeros after the image alone
        (of 5x5 kernels: one before), as TensorFlow's SAME padding does at even sizes.
        "both": as many before as after, as in PyTorch. It belongs to the weights.
    dtype: type of the convolutions.
    """

    output_stride: Literal[8, 16, 32] = 8
    padding: Literal["after", "both"] = "after"
    dtype: Any = jnp.float32
    groups = ()
    endpoints = ("stage3", "stage4", "embedding")

    @property
    def stride(self) -> int:
        """Input pixels per cell of the embedding."""
        return self.output_stride

    @nn.compact
    def __call__(self, x, extent=None, *, train=False):
        """Features of normalised images.

        Args:
            x: [B, H, W, 3], normalised as the weights want it.
            extent: [B, 2] true rows and columns, or None.
            train: ignored; the network has neither drop-out nor statistics.

        Returns:
            stage3 and stage4 [B, h, w, D], the last features of stride 8 and of stride
            16 in the undilated network as the next block expands and activates them,
            and embedding [B, h, w, 1280]; at strides 8, 16 and 32, but never beyond
            output_stride, each h = ceil(H / stride).
        """
        del train
        low_pad = zeros_before(3, 2, self.padding)
        x = Conv(
            32, stride=2, low_pad=low_pad, use_bias=True, dtype=self.dtype, name="stem"
        )(x, extent)
        x, extent = nn.relu6(x), shrink(extent, 2)
        endpoints, stride, dilation, index = {}, 2, 1, 0
        for number, group in enumerate(self.groups):
            for i in range(group.repeats):
                index += 1
                step = group.stride if i == 0 else 1
                step_here = step if stride * step <= self.output_stride else 1
                x, expanded = InvertedResidual(
                    group.expansion,
                    group.kernel,
                    group.channels,
                    step_here,
                    dilation,
                    self.padding,
                    dtype=self.dtype,
                    name=f"block{index}",
                )(x, extent)
                stride, extent = stride * step_here, shrink(extent, step_here)
                # The layer that lost its stride keeps the old spacing of taps.
                dilation *= step // step_here
                if i == 0 and number in (3, 5):
                    endpoints[f"stage{3 if number == 3 else 4}"] = expanded
        x = Conv(1280, 1, use_bias=True, dtype=self.dtype, name="head")(x)
        return endpoints | {"embedding": nn.relu6(x)}
