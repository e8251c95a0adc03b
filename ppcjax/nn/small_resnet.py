"""A residual network small enough to train from scratch on a laptop in minutes."""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
import numpy as np

from ppcjax.nn.init import he_normal_fan_out
from ppcjax.nn.layers import Conv, shrink
from ppcjax.nn.modules import Channels

# For pre-training from nothing: every block starts as the identity.
INIT_RULES = (
    (r"stage\d/BatchNorm_1/scale", lambda rng, shape: np.zeros(shape)),
    (r"backbone/.*kernel", he_normal_fan_out),
)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with batch normalisation around a shortcut."""

    features: int
    stride: int = 1
    dilation: int = 1
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x, extent, norm):  # [B, h, w, D] -> [B, h', w', features]
        y = Conv(self.features, 3, self.stride, self.dilation, dtype=self.dtype)(
            x, extent
        )
        y = nn.relu(norm()(y))
        extent = shrink(extent, self.stride)
        y = Conv(self.features, dilation=self.dilation, dtype=self.dtype)(y, extent)
        y = norm()(y)
        if x.shape != y.shape:
            x = norm()(Conv(self.features, 1, self.stride, dtype=self.dtype)(x))
        return nn.relu(x + y)


class SmallResNet(nn.Module):
    """Four stages at output stride 4; batch statistics are learnt.

    width: channels of the stem; stages have 1, 2, 4 and 4 times as many.
    dtype: type of the convolutions.
    """

    width: Channels = 24
    dtype: Any = jnp.float32
    stride = 4
    endpoints = ("stage3", "stage4", "embedding")

    @nn.compact
    def __call__(self, x, extent=None, *, train=False):
        """Features of normalised images.

        Args:
            x: [B, H, W, 3], normalised by ImageNet's mean and deviation.
            extent: [B, 2] true rows and columns, or None.
            train: whether batch statistics are used and updated.

        Returns:
            stage3, stage4 and embedding, each [B, h, w, 4 width]; h = ceil(H / 4).
        """

        def norm():
            return nn.BatchNorm(
                use_running_average=not train, momentum=0.9, dtype=self.dtype
            )

        x = Conv(self.width, stride=2, dtype=self.dtype, name="stem")(x, extent)
        x, extent = nn.relu(norm()(x)), shrink(extent, 2)
        endpoints = {}
        stages = ((1, 1, 1), (2, 2, 1), (4, 1, 1), (4, 1, 2))
        for i, (multiple, stride, dilation) in enumerate(stages, start=1):
            x = BasicBlock(
                multiple * self.width,
                stride,
                dilation,
                dtype=self.dtype,
                name=f"stage{i}",
            )(x, extent, norm)
            extent = shrink(extent, stride)
            endpoints[f"stage{i}"] = x
        return {
            "stage3": endpoints["stage3"],
            "stage4": endpoints["stage4"],
            "embedding": x,
        }
