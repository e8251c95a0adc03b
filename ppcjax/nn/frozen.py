"""Features that a frozen network gave of photos, where a backbone stands otherwise."""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from ppcjax.nn.layers import clip_to, shrink
from ppcjax.nn.modules import Channels, Count

NAME = "frozen"  # in config.method.backbone


class FrozenFeatures(nn.Module):
    """All outputs are the features that it is given, so that nothing is computed.

    width: channels D of the features.
    stride: pixels of the photo per cell.
    dtype: type of the outputs.
    """

    width: Channels = 384
    stride: Count = 14
    dtype: Any = jnp.float32

    endpoints = ("stage2", "stage3", "stage4", "embedding")
    aligned = False  # cells are squares of pixels

    @property
    def in_channels(self) -> int:
        """Channels of what it is given; other backbones are given three colours."""
        return self.width

    def __call__(self, x, extent=None, *, train=False):
        """The features as every output.

        Args:
            x: [B, h, w, D] features.
            extent: [B, 2] rows and columns of the photos in pixels, or None.
            train: ignored; nothing is learnt here.

        Returns:
            [B, h, w, D] by name, zero beyond the extent.
        """
        del train
        found = clip_to(x, shrink(extent, self.stride)).astype(self.dtype)
        return dict.fromkeys(self.endpoints, found)


def is_aligned(backbone: nn.Module) -> bool:
    """Whether the corner cells of a network's grid lie on the corners of the photo.

    So published networks have it; where they do not, cell i covers pixels from
    i * stride to (i + 1) * stride.
    """
    return getattr(backbone, "aligned", True)


def in_channels(net: nn.Module) -> int:
    """Channels of the input of a network on a backbone."""
    return getattr(getattr(net, "backbone", None), "in_channels", 3)
