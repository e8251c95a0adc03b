"""HRNetV2: branches at strides 4 to 32 side by side, exchanging all the way.

Wang et al., "Deep High-Resolution Representation Learning for Visual Recognition",
TPAMI 2020, in the form that ContrastiveSeg (ICCV 2021) trains.
"""

import functools
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from ppcjax.nn.batch_norm import BatchNorm
from ppcjax.nn.layers import Conv, shrink
from ppcjax.nn.modules import Channels, Count, Momentum
from ppcjax.nn.resnet import BasicBlock, Bottleneck
from ppcjax.ops.resize import resize


class ConvNorm(nn.Module):
    """A convolution without bias, batch normalisation and maybe a ReLU.

    features: output channels.
    kernel: side of the kernel.
    stride: step.
    norm: makes a normalisation from its name.
    relu: whether it ends in a ReLU.
    dtype: type of the convolution.
    """

    features: int
    kernel: int
    stride: int
    norm: Callable[..., nn.Module]
    relu: bool = True
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x, extent, train):  # [B, h, w, D] -> [B, h', w', features]
        conv = Conv(
            self.features, self.kernel, self.stride, dtype=self.dtype, name="conv"
        )
        x = self.norm(name="bn")(conv(x, extent), train=train)
        return nn.relu(x) if self.relu else x


class Exchange(nn.Module):
    """One module of a stage: basic blocks on each branch, then every branch to every.

    blocks: how many blocks each branch has.
    norm: makes a normalisation from its name.
    dtype: type of the convolutions.
    """

    blocks: int
    norm: Callable[..., nn.Module]
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, branches, extents, train):
        """Branches of the shapes they had.

        Args:
            branches: branch i is [B, h_i, w_i, D_i], of twice the stride of the one
                before.
            extents: true rows and columns [B, 2] of each, or None.
            train: whether batch statistics are used and updated.
        """
        branches = list(branches)
        for i, x in enumerate(branches):
            for j in range(self.blocks):
                block = BasicBlock(
                    x.shape[-1], 1, 1, self.norm, dtype=self.dtype, name=f"b{i}_{j}"
                )
                x = block(x, extents[i], train)
            branches[i] = x
        return [
            nn.relu(
                sum(
                    self._brought(branches, j, i, extents, train)
                    for j in range(len(branches))
                )
            )
            for i in range(len(branches))
        ]

    def _brought(self, branches, source, target, extents, train):
        """Branch `source` with the channels and on the grid of branch `target`."""
        x, wanted = branches[source], branches[target]
        layer = functools.partial(ConvNorm, norm=self.norm, dtype=self.dtype)
        name = f"fuse{target}_{source}"
        if source > target:
            x = layer(wanted.shape[-1], 1, 1, relu=False, name=name)(x, None, train)
            return lift(x, wanted, extents[source], extents[target])
        for level in range(source, target):
            is_last = level == target - 1
            x = layer(
                wanted.shape[-1] if is_last else x.shape[-1],
                3,
                2,
                relu=not is_last,
                name=f"{name}_{level - source}",
            )(x, extents[level], train)
        return x


def lift(x, like, extent, extent_like):
    """`x` [B, h, w, D] resized to the grid of `like`, with aligned corners."""
    y = resize(
        x,
        like.shape[1:3],
        align_corners=True,
        in_extent=extent,
        out_extent=extent_like,
    )
    return y.astype(x.dtype)


class HRNet(nn.Module):
    """The network without classifier.

    A stem of stride 4 and four bottlenecks; then stages of two, three and four
    branches of `width`, 2, 4 and 8 times `width` channels at strides 4, 8, 16 and 32.
    A stage is some modules, each of some basic blocks per branch followed by a fusion:
    every branch becomes the sum of all, brought to its grid by strided convolutions or
    by 1x1 convolutions and bilinear resizing with aligned corners.

    width: channels of the finest branch.
    modules: how many modules each of the three stages has.
    blocks: how many blocks a branch has in a module.
    momentum: weight of the newest batch in the statistics, PyTorch's convention.
    frozen_statistics: whether training uses the stored statistics and keeps them.
    dtype: type of the convolutions.
    """

    width: Channels = 48
    modules: tuple[Count, Count, Count] = (1, 4, 3)
    blocks: Count = 4
    momentum: Momentum = 0.1
    frozen_statistics: bool = False
    dtype: Any = jnp.float32
    stride = 4
    endpoints = (
        *("branch0", "branch1", "branch2", "branch3"),
        *("stage3", "stage4", "embedding"),
    )

    @nn.compact
    def __call__(self, x, extent=None, *, train=False):
        """Features of normalised images.

        Args:
            x: [B, H, W, 3], normalised by ImageNet's mean and deviation.
            extent: [B, 2] true rows and columns, or None.
            train: whether batch statistics are used and updated.

        Returns:
            branch0 .. branch3 [B, ceil(H / s), ceil(W / s), D] at s = 4, 8, 16, 32 and
            D = 1, 2, 4, 8 times `width`; "embedding", all four side by side on the
            grid of the first [B, ceil(H / 4), ceil(W / 4), 15 width]; and "stage3",
            "stage4", the same for methods that ask for these.
        """
        norm = functools.partial(
            BatchNorm, momentum=self.momentum, frozen=self.frozen_statistics
        )
        layer = functools.partial(ConvNorm, norm=norm, dtype=self.dtype)
        x, extent = self._stem(x, extent, norm, train)
        extents = [extent]
        branches = [x]
        for stage, modules in enumerate(self.modules, start=2):
            new = stage - 1
            grown = layer(self.width * 2**new, 3, 2, name=f"transition{new}_{new}")(
                branches[-1], extents[-1], train
            )
            if new == 1:
                first = layer(self.width, 3, 1, name="transition1_0")
                branches = [first(x, extent, train)]
            branches = [*branches, grown]
            extents = [*extents, shrink(extents[-1], 2)]
            for i in range(modules):
                branches = Exchange(
                    self.blocks, norm, dtype=self.dtype, name=f"stage{stage}_{i}"
                )(branches, extents, train)
        joined = jnp.concatenate(
            [
                lift(y, branches[0], extent, extents[0])
                for y, extent in zip(branches, extents, strict=True)
            ],
            axis=-1,
        )
        endpoints = {f"branch{i}": y for i, y in enumerate(branches)}
        return endpoints | dict.fromkeys(("stage3", "stage4", "embedding"), joined)

    def _stem(self, x, extent, norm, train):
        """Two strided convolutions and four bottlenecks: features and their extent."""
        for i in (1, 2):
            conv = Conv(64, stride=2, dtype=self.dtype, name=f"conv{i}")
            x = nn.relu(norm(name=f"bn{i}")(conv(x, extent), train=train))
            extent = shrink(extent, 2)
        for i in range(4):
            block = Bottleneck(64, 1, 1, norm, dtype=self.dtype, name=f"layer1_{i}")
            x = block(x, extent, train)
        return x, extent
