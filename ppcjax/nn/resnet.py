"""ResNets with strides or dilation, plain or deep stem, for all methods that use one.

He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, in torchvision's
form (stride in the 3x3 convolution), whose layer names these are; dilation as in Chen
et al., DeepLab (TPAMI 2018); deep stem as in PSPNet (Zhao et al., CVPR 2017).
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, Literal

import flax.linen as nn
import jax.numpy as jnp
import numpy as np

from ppcjax.nn.batch_norm import BatchNorm
from ppcjax.nn.init import Initializer, he_normal_fan_out
from ppcjax.nn.layers import Conv, ceil_pooled, max_pool, shrink
from ppcjax.nn.modules import Channels, Momentum


class BasicBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut.

    width: output channels.
    stride: step of the first convolution and of the shortcut.
    dilation: spacing of the taps of both convolutions.
    norm: makes a normalisation from its name.
    last_relu: whether the sum passes through a ReLU.
    dtype: type of the convolutions.
    """

    width: int
    stride: int
    dilation: int
    norm: Callable[..., nn.Module]
    last_relu: bool = True
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x, extent, train):  # [B, h, w, D] -> [B, h', w', width]
        conv = functools.partial(Conv, dilation=self.dilation, dtype=self.dtype)
        y = conv(self.width, stride=self.stride, name="conv1")(x, extent)
        y = nn.relu(self.norm(name="bn1")(y, train=train))
        y = conv(self.width, name="conv2")(y, shrink(extent, self.stride))
        y = self.norm(name="bn2")(y, train=train)
        y = y + _shortcut(self, x, y.shape, train)
        return nn.relu(y) if self.last_relu else y


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions around a shortcut; fields as in BasicBlock.

    width: channels between the convolutions; the output has four times as many.
    """

    width: int
    stride: int
    dilation: int
    norm: Callable[..., nn.Module]
    last_relu: bool = True
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x, extent, train):  # [B, h, w, D] -> [B, h', w', 4 width]
        conv = functools.partial(Conv, dtype=self.dtype)
        y = conv(self.width, 1, name="conv1")(x)
        y = nn.relu(self.norm(name="bn1")(y, train=train))
        y = conv(self.width, 3, self.stride, self.dilation, name="conv2")(y, extent)
        y = nn.relu(self.norm(name="bn2")(y, train=train))
        y = conv(4 * self.width, 1, name="conv3")(y)
        y = self.norm(name="bn3")(y, train=train)
        y = y + _shortcut(self, x, y.shape, train)
        return nn.relu(y) if self.last_relu else y


def _shortcut(block: nn.Module, x, shape, train):
    """`x`, through a strided 1x1 convolution if it has not the shape of the sum."""
    if x.shape == shape:
        return x
    conv = Conv(shape[-1], 1, block.stride, dtype=block.dtype, name="downsample_conv")
    return block.norm(name="downsample_bn")(conv(x), train=train)


# Settings of the deep-stem network that PFENet and ASGNet stand on.
PFENET = {"stem": "deep", "stages": 3, "output_stride": 8, "dilate_first": True}
# Blocks of each stage, and their kind.
DEPTHS = {
    18: ((2, 2, 2, 2), BasicBlock),
    34: ((3, 4, 6, 3), BasicBlock),
    50: ((3, 4, 6, 3), Bottleneck),
    101: ((3, 4, 23, 3), Bottleneck),
}


class ResNet(nn.Module):
    """The network without pooling and classifier.

    depth: a key of DEPTHS.
    stem: "plain" (7x7 convolution) or "deep" (three 3x3 ones), then a max-pooling.
    ceil_pool: whether the max-pooling rounds its size up, so that grids of even
        images are odd (512 pixels give 65 cells at stride 8), as ContrastiveSeg has it.
    stages: how many of the four are built.
    width: channels of the plain stem and of the first stage's convolutions; published
        weights have 64.
    output_stride: 8, 16 or 32; strides beyond it become dilation 2, then 4.
    dilate_first: whether the first block of a dilated stage has the dilation of its
        stage (as in PFENet and ASGNet) or of the one before (half of it, as in
        torchvision and DeepLab).
    last_relu: whether the last block ends in a ReLU.
    stage_links: whether the stem and each stage have a strided 1x1 convolution from
        their input to their output as well, which starts at zero (an experiment with
        ASGNet; no published file has these).
    momentum: weight of the newest batch in the statistics, PyTorch's convention.
    frozen_statistics: whether training uses the stored statistics and keeps them.
    dtype: type of the convolutions.
    """

    depth: int = 50
    stem: Literal["plain", "deep"] = "plain"
    ceil_pool: bool = False
    stages: Literal[1, 2, 3, 4] = 4
    width: Channels = 64
    output_stride: Literal[8, 16, 32] = 32
    dilate_first: bool = False
    last_relu: bool = True
    stage_links: bool = False
    momentum: Momentum = 0.1
    frozen_statistics: bool = False
    dtype: Any = jnp.float32

    def __post_init__(self):
        """Raises ValueError for settings that do not fit each other."""
        if self.ceil_pool and self.stage_links:
            raise ValueError("resnet ceil_pool and stage_links: choose one of them")
        super().__post_init__()

    @property
    def stride(self) -> int:
        """Input pixels per cell of the last stage."""
        return min(self.output_stride, 2 ** (self.stages + 1))

    @property
    def endpoints(self) -> tuple[str, ...]:
        """Names of the outputs."""
        return (*(f"stage{i}" for i in range(1, self.stages + 1)), "embedding")

    def grid_extent(self, extent: Any) -> Any:
        """Rows and columns of the last stage for images of `extent`, any integers."""
        half = shrink(extent, 2)
        quarter = ceil_pooled(half) if self.ceil_pool else shrink(half, 2)
        return shrink(quarter, self.stride // 4)

    @nn.compact
    def __call__(self, x, extent=None, *, train=False):
        """Features of normalised images.

        Args:
            x: [B, H, W, 3], normalised by ImageNet's mean and deviation.
            extent: [B, 2] true rows and columns, or None.
            train: whether batch statistics are used and updated.

        Returns:
            stage1 .. stage4 [B, h, w, D], D = width times 1, 2, 4, 8 (from depth 50 on
            four times as many), at strides 4, 8, 16, 32 but never beyond output_stride,
            each h = ceil(H / stride) unless `ceil_pool`, see `grid_extent`; and
            "embedding", which is the last stage.
        """
        norm = functools.partial(
            BatchNorm, momentum=self.momentum, frozen=self.frozen_statistics
        )
        image = x
        x, extent = self._stem(x, extent, norm, train)
        x = self._linked(x, image, 4, 0)
        blocks, block = DEPTHS[self.depth]
        endpoints, stride, dilation = {}, 4, 1
        for stage in range(self.stages):
            step, first_dilation = 1, dilation
            if stage > 0 and stride < self.output_stride:
                step, stride = 2, stride * 2
            elif stage > 0:
                dilation *= 2
                first_dilation = dilation if self.dilate_first else dilation // 2
            before = x
            for i in range(blocks[stage]):
                is_last = (stage, i) == (self.stages - 1, blocks[stage] - 1)
                x = block(
                    self.width * 2**stage,
                    step if i == 0 else 1,
                    first_dilation if i == 0 else dilation,
                    norm,
                    last_relu=self.last_relu or not is_last,
                    dtype=self.dtype,
                    name=f"layer{stage + 1}_{i}",
                )(x, extent, train)
                extent = shrink(extent, step) if i == 0 else extent
            x = self._linked(x, before, step, stage + 1)
            endpoints[f"stage{stage + 1}"] = x
        return endpoints | {"embedding": x}

    def _linked(self, x, before, stride, number):
        """`x` and its link from `before`, the input `stride` times as fine."""
        if not self.stage_links:
            return x
        link = nn.Conv(
            x.shape[-1],
            (1, 1),
            strides=stride,
            use_bias=False,
            kernel_init=nn.initializers.zeros,
            dtype=self.dtype,
            name=f"link{number}",
        )
        return x + link(before)

    def _stem(self, x, extent, norm, train):
        """Convolutions and the max-pooling: features and extent at stride 4."""
        width = self.width
        layers = ((width, 7, 2),)
        if self.stem == "deep":
            layers = ((width, 3, 2), (width, 3, 1), (2 * width, 3, 1))
        for i, (features, kernel, stride) in enumerate(layers, start=1):
            conv = Conv(features, kernel, stride, dtype=self.dtype, name=f"conv{i}")
            x = nn.relu(norm(name=f"bn{i}")(conv(x, extent), train=train))
            extent = shrink(extent, stride)
        pooled = ceil_pooled(extent) if self.ceil_pool else shrink(extent, 2)
        return max_pool(x, extent, ceil=self.ceil_pool), pooled


def init_rules(depth: int) -> Sequence[tuple[str, Initializer]]:
    """Rules of `ppcjax.nn.init.initialize` for training from scratch.

    Kernels are He-normal by fan-out, and the last scale of each residual branch is 0,
    so that every block starts as the identity (Goyal et al., 2017, section 5.1).
    """
    last = 3 if DEPTHS[depth][1] is Bottleneck else 2
    return (
        (r"(conv\d|downsample_conv)/conv/kernel", he_normal_fan_out),
        (rf"layer\d_\d+/bn{last}/scale", lambda rng, shape: np.zeros(shape)),
    )
