"""DeepLab heads on any backbone: what the second-stage segmenter is made of.

Chen et al.: DeepLab v1 (ICLR 2015, large field of view) and v2 (TPAMI 2018, atrous
spatial pyramid) as retrained in the released SEAM and PPC, and v3 (arXiv 1706.05587,
2017). Beside them the heads that pre-trained backbones are compared with.
"""

import functools
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp

from ppcjax.fields import Range
from ppcjax.nn.batch_norm import BatchNorm
from ppcjax.nn.init import he_normal_fan_out
from ppcjax.nn.layers import Conv, clip_to, features_extent
from ppcjax.nn.modules import Channels, Count, Dropout, Momentum

INIT_RULES = ((r"^params/head/.*kernel", he_normal_fan_out),)


class ConvNormRelu(nn.Module):
    """A convolution, batch normalisation and a ReLU.

    features: output channels.
    kernel: side of the kernel.
    dilation: spacing of the taps.
    use_bias: whether the convolution has a bias.
    relu: whether there is a ReLU.
    momentum: weight of the newest batch in the statistics, PyTorch's convention.
    dtype: type of the convolution.
    """

    features: int
    kernel: int
    dilation: int = 1
    use_bias: bool = False
    relu: bool = True
    momentum: Momentum = 0.1
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x, extent, train):  # [B, h, w, D] -> [B, h, w, features]
        conv = Conv(
            self.features,
            self.kernel,
            dilation=self.dilation,
            use_bias=self.use_bias,
            dtype=self.dtype,
            name="conv",
        )
        y = BatchNorm(momentum=self.momentum, name="bn")(conv(x, extent), train=train)
        return nn.relu(y) if self.relu else y


class Pyramid(nn.Module):
    """Parallel dilated 3x3 convolutions and the mean of the image, side by side.

    rates: dilation of each 3x3 branch.
    width: channels of each branch.
    pointwise: whether there is a 1x1 branch too.
    momentum: weight of the newest batch in the statistics.
    dtype: type of the convolutions.
    """

    rates: Sequence[int]
    width: int
    pointwise: bool
    momentum: Momentum = 0.1
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x, extent, train):  # [B, h, w, D] -> [B, h, w, branches * width]
        branch = functools.partial(
            ConvNormRelu, self.width, momentum=self.momentum, dtype=self.dtype
        )
        branches = []
        if self.pointwise:
            branches.append(branch(1, name="pointwise")(x, extent, train))
        for rate in self.rates:
            branches.append(branch(3, rate, name=f"rate{rate}")(x, extent, train))
        mean = global_mean(x, extent).astype(x.dtype)
        mean = branch(1, name="image")(mean, None, train)
        branches.append(jnp.broadcast_to(mean, branches[0].shape))
        return jnp.concatenate(branches, axis=-1)


def global_mean(x: Any, extent: Any) -> jax.Array:
    """Mean of `x` [B, h, w, D] over the cells within `extent`: [B, 1, 1, D] float32."""
    x = x.astype(jnp.float32)
    if extent is None:
        return jnp.mean(x, axis=(1, 2), keepdims=True)
    cells = jnp.maximum(jnp.prod(extent, axis=1), 1)[:, None, None, None]
    return jnp.sum(clip_to(x, extent), axis=(1, 2), keepdims=True) / cells


class LargeFieldHead(nn.Module):
    """DeepLab v1: one 3x3 convolution of a large rate, then two 1x1 ones.

    num_classes: C.
    width: channels of the hidden layers.
    rate: dilation.
    dropout: rate before the classifier.
    momentum: weight of the newest batch in the statistics.
    dtype: type of the hidden layers; the classifier is float32.
    """

    num_classes: int
    width: Channels = 512
    rate: Count = 12
    dropout: Dropout = 0.5
    momentum: Momentum = 0.1
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x, extent=None, *, train=False):  # [B, h, w, D] -> [B, h, w, C]
        layer = functools.partial(
            ConvNormRelu, self.width, momentum=self.momentum, dtype=self.dtype
        )
        y = layer(3, self.rate, name="field")(x, extent, train)
        y = layer(1, name="mix")(y, extent, train)
        y = nn.Dropout(self.dropout, deterministic=not train)(y)
        return Conv(self.num_classes, 1, use_bias=True, name="classifier")(y)


class PyramidHead(nn.Module):
    """DeepLab v2 as released with SEAM and PPC: four rates and the image's mean.

    Deviations: the paper's v2 sums four classifiers and has no image branch.

    num_classes: C.
    width: channels of each branch and of the mixture.
    rates: dilation of each branch.
    dropout: rate, applied twice before the classifier.
    momentum: weight of the newest batch in the statistics.
    dtype: type of the hidden layers; the classifier is float32.
    """

    num_classes: int
    width: Channels = 256
    rates: tuple[Count, ...] = (6, 12, 18, 24)
    dropout: Dropout = 0.5
    momentum: Momentum = 0.1
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x, extent=None, *, train=False):  # [B, h, w, D] -> [B, h, w, C]
        fields = {"momentum": self.momentum, "dtype": self.dtype}
        y = Pyramid(self.rates, self.width, False, **fields, name="pyramid")(
            x, extent, train
        )
        y = ConvNormRelu(self.width, 1, **fields, name="mix")(y, extent, train)
        for _ in range(2):
            y = nn.Dropout(self.dropout, deterministic=not train)(y)
        return Conv(self.num_classes, 1, use_bias=True, name="classifier")(y)


class DeepLabV3Head(nn.Module):
    """DeepLab v3: a 1x1 branch, three rates and the image's mean; then a 3x3 layer.

    num_classes: C.
    width: channels of each branch and of the layers after.
    rates: dilation of each branch; (12, 24, 36) belongs to output stride 8.
    mix_kernel: side of the kernel that mixes the branches; ContrastiveSeg has 3.
    refine_relu: whether the layer after ends in a ReLU; ContrastiveSeg's does not.
    dropout: rate on the mixture.
    momentum: weight of the newest batch in the statistics.
    dtype: type of the hidden layers; the classifier is float32.
    """

    num_classes: int
    width: Channels = 256
    rates: tuple[Count, ...] = (12, 24, 36)
    mix_kernel: Literal[1, 3, 5, 7] = 1
    refine_relu: bool = True
    dropout: Dropout = 0.5
    momentum: Momentum = 0.1
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x, extent=None, *, train=False):  # [B, h, w, D] -> [B, h, w, C]
        fields = {"momentum": self.momentum, "dtype": self.dtype}
        y = Pyramid(self.rates, self.width, True, **fields, name="pyramid")(
            x, extent, train
        )
        mix = ConvNormRelu(self.width, self.mix_kernel, **fields, name="mix")
        y = mix(y, extent, train)
        y = nn.Dropout(self.dropout, deterministic=not train)(y)
        refine = ConvNormRelu(
            self.width, 3, relu=self.refine_relu, **fields, name="refine"
        )
        y = refine(y, extent, train)
        return Conv(self.num_classes, 1, use_bias=True, name="classifier")(y)


class FCNHead(nn.Module):
    """Dilated 3x3 convolutions and a classifier: what pre-training is judged by.

    Of MoCo (He et al., CVPR 2020, section 4.2) and those who compare with it; the
    backbone has output stride 16.

    num_classes: C.
    width: channels of the hidden layers.
    layers: how many of them.
    rate: their dilation.
    momentum: weight of the newest batch in the statistics.
    dtype: type of the hidden layers; the classifier is float32.
    """

    num_classes: int
    width: Channels = 256
    layers: Annotated[int, Range(0, 100)] = 2
    rate: Count = 6
    momentum: Momentum = 0.1
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x, extent=None, *, train=False):  # [B, h, w, D] -> [B, h, w, C]
        fields = {"momentum": self.momentum, "dtype": self.dtype}
        for i in range(1, self.layers + 1):
            layer = ConvNormRelu(self.width, 3, self.rate, **fields, name=f"field{i}")
            x = layer(x, extent, train)
        return Conv(self.num_classes, 1, use_bias=True, name="classifier")(x)


class LinearHead(nn.Module):
    """A 1x1 classifier alone: reads what the features say, adds nothing.

    num_classes: C.
    dtype: taken so that it can stand where the other heads do; it is float32.
    """

    num_classes: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x, extent=None, *, train=False):  # [B, h, w, D] -> [B, h, w, C]
        del extent, train
        return Conv(self.num_classes, 1, use_bias=True, name="classifier")(x)


HEADS = {
    "fcn": FCNHead,
    "linear": LinearHead,
    "v1": LargeFieldHead,
    "v2": PyramidHead,
    "v3": DeepLabV3Head,
}


class DeepLab(nn.Module):
    """A backbone with a head of `HEADS`.

    backbone: a module of `ppcjax.nn.backbones`.
    head: the head.
    frozen_backbone: whether training uses the backbone as evaluation does, with its
        stored statistics, and sends no gradient into it.
    """

    backbone: nn.Module
    head: nn.Module
    frozen_backbone: bool = False

    def __call__(self, image: Any, extent: Any = None, *, train: bool = False):
        """Class scores of normalised images.

        Args:
            image: [B, H, W, 3], normalised as the backbone wants it.
            extent: [B, 2] true rows and columns of images in the top left corner of
                padded canvases; None: the images fill them.
            train: whether drop-out and batch statistics are on.

        Returns:
            [B, h, w, C] float32 logits, zero beyond the extent; h = ceil(H / stride),
            but for a backbone with `grid`.
        """
        learns = train and not self.frozen_backbone
        features = self.backbone(image, extent, train=learns)["embedding"]
        if self.frozen_backbone:
            features = jax.lax.stop_gradient(features)
        extent = features_extent(self.backbone, extent)
        return clip_to(self.head(features, extent, train=train), extent)
