"""WideResNet-38 with dilated last stages, the backbone of SEAM and PPC.

Wu et al., "Wider or Deeper: Revisiting the ResNet Model for Visual Recognition",
model A1, pre-activation, output stride 8. Block and layer names are those of the
published weights (b2 .. b7, branch1, branch2a, branch2b1, branch2b2).
"""

import functools
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from ppcjax.nn.batch_norm import BatchNorm
from ppcjax.nn.layers import Conv, FrozenBatchNorm, channel_dropout, shrink
from ppcjax.nn.modules import Momentum


class PlainBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut, after a shared pre-activation.

    The shortcut is a strided 1x1 convolution of the pre-activation where shape
    changes, else the block's input.
    """

    mid: int
    features: int
    stride: int = 1
    first_dilation: int = 1
    dilation: int = 1
    norm: Callable[..., nn.Module] = FrozenBatchNorm
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x, extent, train=False):
        """[B, h, w, D] -> the output and the pre-activation."""
        active = nn.relu(self.norm(name="bn_branch2a")(x, train=train))
        shortcut = x
        if x.shape[-1] != self.features or self.stride != 1:
            shortcut = Conv(
                self.features, 1, self.stride, dtype=self.dtype, name="conv_branch1"
            )(active)
        y = Conv(
            self.mid,
            stride=self.stride,
            dilation=self.first_dilation,
            dtype=self.dtype,
            name="conv_branch2a",
        )(active, extent)
        y = nn.relu(self.norm(name="bn_branch2b1")(y, train=train))
        y = Conv(
            self.features,
            dilation=self.dilation,
            dtype=self.dtype,
            name="conv_branch2b1",
        )(y, shrink(extent, self.stride))
        return shortcut + y, active


class BottleneckBlock(nn.Module):
    """1x1, dilated 3x3 and 1x1 convolutions with channel drop-out between them."""

    features: int
    dilation: int
    dropout: float
    norm: Callable[..., nn.Module] = FrozenBatchNorm
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x, extent, train):
        """[B, h, w, D] -> the output and the pre-activation."""
        active = nn.relu(self.norm(name="bn_branch2a")(x, train=train))
        shortcut = Conv(self.features, 1, dtype=self.dtype, name="conv_branch1")(active)
        y = Conv(self.features // 4, 1, dtype=self.dtype, name="conv_branch2a")(active)
        y = nn.relu(self.norm(name="bn_branch2b1")(y, train=train))
        y = channel_dropout(self.dropout, train)(y)
        y = Conv(
            self.features // 2,
            dilation=self.dilation,
            dtype=self.dtype,
            name="conv_branch2b1",
        )(y, extent)
        y = nn.relu(self.norm(name="bn_branch2b2")(y, train=train))
        y = channel_dropout(self.dropout, train)(y)
        y = Conv(self.features, 1, dtype=self.dtype, name="conv_branch2b2")(y)
        return shortcut + y, active


class WideResNet38(nn.Module):
    """The network without its classifier.

    dropout: whether blocks b6 and b7 drop channels (0.3 and 0.5) in training.
    batch_statistics: whether training normalises by the batch and updates what is
        stored, as the released DeepLab does; the CAM networks use stored statistics
        only, which then are parameters.
    momentum: weight of the newest batch in the statistics, PyTorch's convention.
    dtype: type of the convolutions.
    """

    dropout: bool = True
    batch_statistics: bool = False
    momentum: Momentum = 3e-4
    dtype: Any = jnp.float32
    stride = 8
    endpoints = ("stage3", "stage4", "embedding")

    @nn.compact
    def __call__(self, x, extent=None, *, train=False):
        """Features of normalised images.

        Args:
            x: [B, H, W, 3], normalised by ImageNet's mean and deviation.
            extent: [B, 2] true rows and columns, or None.
            train: whether drop-out is on, and batch statistics if there are any.

        Returns:
            stage3 [B, h, w, 512], stage4 [B, h, w, 1024]: pre-activations that enter
            b5 and b6; embedding [B, h, w, 4096]. h = ceil(H / 8).
        """
        norm = FrozenBatchNorm
        if self.batch_statistics:
            norm = functools.partial(BatchNorm, momentum=self.momentum)
        fields = {"norm": norm, "dtype": self.dtype}

        def plain(name, x, *shape, **dilations):
            block = PlainBlock(*shape, **dilations, **fields, name=name)
            return block(x, extent, train)

        x = Conv(64, dtype=self.dtype, name="conv1a")(x, extent)
        for stage, features, repeats in ((2, 128, 2), (3, 256, 2), (4, 512, 5)):
            x, _ = plain(f"b{stage}", x, features, features, 2)
            extent = shrink(extent, 2)
            for i in range(1, repeats + 1):
                x, _ = plain(f"b{stage}_{i}", x, features, features)
        x, stage3 = plain("b5", x, 512, 1024, dilation=2)
        for i in (1, 2):
            x, _ = plain(f"b5_{i}", x, 512, 1024, first_dilation=2, dilation=2)
        rates = (0.3, 0.5) if self.dropout else (0.0, 0.0)
        b6 = BottleneckBlock(2048, 4, rates[0], **fields, name="b6")
        x, stage4 = b6(x, extent, train)
        b7 = BottleneckBlock(4096, 4, rates[1], **fields, name="b7")
        x, _ = b7(x, extent, train)
        embedding = nn.relu(norm(name="bn7")(x, train=train))
        return {"stage3": stage3, "stage4": stage4, "embedding": embedding}
