"""The projection that pixel contrasts compare: dropped after training.

Wang et al., "Exploring Cross-Image Pixel Contrast for Semantic Segmentation", ICCV
2021, section 3.2.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from ppcjax.nn.batch_norm import BatchNorm
from ppcjax.nn.layers import Conv, clip_to
from ppcjax.ops.masks import l2_normalize

KINDS = ("convmlp", "linear")


class ProjectionHead(nn.Module):
    """Features to embeddings of unit length.

    convmlp: 1x1 convolution of as many channels, normalisation, ReLU, 1x1 convolution.
    linear: one 1x1 convolution.

    All of it is float32, whatever the features are: similarities at a temperature of
    0.07 need it.

    kind: an entry of KINDS.
    dim: channels D of an embedding.
    momentum: weight of the newest batch in the statistics, PyTorch's convention.
    """

    kind: str = "convmlp"
    dim: int = 256
    momentum: float = 0.1

    @nn.compact
    def __call__(self, x, extent=None, *, train=False) -> jax.Array:
        """Embeddings of features.

        Args:
            x: [B, h, w, any].
            extent: [B, 2] true rows and columns, or None.
            train: whether batch statistics are used and updated.

        Returns:
            [B, h, w, D] float32 of norm 1, or 0 where the projection is 0 and beyond
            the extent.
        """
        x = x.astype(jnp.float32)
        if self.kind == "convmlp":
            x = Conv(x.shape[-1], 1, use_bias=True, name="conv1")(x)
            x = nn.relu(BatchNorm(momentum=self.momentum, name="bn1")(x, train=train))
        x = Conv(self.dim, 1, use_bias=True, name="conv2")(x)
        return clip_to(l2_normalize(x), extent)
