"""The segmenter of ContrastiveSeg: a backbone, a head, and a projection beside it.

Wang et al., "Exploring Cross-Image Pixel Contrast for Semantic Segmentation", ICCV
2021.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax.numpy as jnp

from ppcjax.nn import backbones
from ppcjax.nn.deeplab import HEADS
from ppcjax.nn.layers import clip_to, shrink
from ppcjax.nn.projection import ProjectionHead


class ContrastNet(nn.Module):
    """Class scores, and in training embeddings of the same grid.

    backbone: a module of `ppcjax.nn.backbones`.
    head: of `ppcjax.nn.deeplab`.
    projection: of "embedding", the features that the head reads too.
    """

    backbone: nn.Module
    head: nn.Module
    projection: nn.Module

    def __call__(
        self, image: Any, extent: Any = None, *, train: bool = False, embed: bool = True
    ) -> dict[str, Any]:
        """Scores "logits" [B, h, w, C] and, if asked for, "embedding" [B, h, w, D]."""
        x = self.backbone(image, extent, train=train)["embedding"]
        extent = shrink(extent, self.backbone.stride)
        out = {"logits": clip_to(self.head(x, extent, train=train), extent)}
        if embed:
            out["embedding"] = self.projection(x, extent, train=train)
        return out


class Recipe(NamedTuple):
    """A network and what belongs to it."""

    net: ContrastNet
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    init_rules: tuple[tuple[str, Any], ...]


def make(
    num_classes: int,
    *,
    backbone: str = "hrnet_w48",
    backbone_settings: Mapping[str, Any] | None = None,
    head: str = "hrnet",
    head_settings: Mapping[str, Any] | None = None,
    auxiliary: Mapping[str, Any] | None = None,
    projection: str = "convmlp",
    projection_dim: int = 256,
    channels: str = "rgb",
    dtype: Any = jnp.float32,
) -> Recipe:
    """The network that settings name; ValueError for one outside its range."""
    if head not in HEADS:
        raise ValueError(f"head={head!r}: choose one of {', '.join(HEADS)}")
    dtype = jnp.dtype(dtype)
    module, entry = backbones.make(backbone, dtype=dtype, **(backbone_settings or {}))
    net = ContrastNet(
        module,
        HEADS[head](num_classes, dtype=dtype, **(head_settings or {})),
        ProjectionHead(projection, projection_dim),
    )
    return Recipe(net, entry.mean, entry.std, ())
