"""VGG-16 at output stride 8, the backbone of PANet.

Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image
Recognition", ICLR 2015, as Wang et al. (PANet, ICCV 2019) changed it.
"""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from ppcjax.nn.layers import Conv, max_pool, shrink

# Channels and convolutions of each group, and the stride of the pooling after it.
GROUPS = ((64, 2, 2), (128, 2, 2), (256, 3, 2), (512, 3, 1), (512, 3, 0))


class VGG16(nn.Module):
    """The thirteen convolutions, without the classifier.

    last_relu: whether the last convolution ends in a ReLU. PANet's does not: signed
        features have angles beyond 90 degrees.
    dtype: type of the convolutions.

    Deviations from the network of ImageNet, all of them PANet's: poolings are 3x3 (not
    2x2), the fourth has stride 1 and the last is gone; the last group has dilation 2.
    """

    last_relu: bool = False
    dtype: Any = jnp.float32
    stride = 8
    endpoints = ("stage3", "stage4", "embedding")

    @nn.compact
    def __call__(self, x, extent=None, *, train=False):
        """Features of normalised images.

        Args:
            x: [B, H, W, 3], normalised by ImageNet's mean and deviation.
            extent: [B, 2] true rows and columns, or None.
            train: ignored; the network has neither drop-out nor statistics.

        Returns:
            stage3 (the fourth group), stage4 and embedding (both the fifth), each
            [B, h, w, 512]; h = ceil(H / 8).
        """
        del train
        endpoints = {}
        for group, (features, convs, stride) in enumerate(GROUPS, start=1):
            for i in range(1, convs + 1):
                x = Conv(
                    features,
                    dilation=2 if group == 5 else 1,
                    use_bias=True,
                    dtype=self.dtype,
                    name=f"conv{group}_{i}",
                )(x, extent)
                if self.last_relu or (group, i) != (5, convs):
                    x = nn.relu(x)
            if group >= 4:
                endpoints[f"stage{group - 1}"] = x
            if stride:
                x, extent = max_pool(x, extent, stride), shrink(extent, stride)
        return endpoints | {"embedding": x}
