"""The network of ASGNet: features that query and supports share, and a context module.

Li et al., "Adaptive Prototype Learning and Allocation for Few-Shot Segmentation", CVPR
2021. Clustering and allocation, which have no parameters, are in
`ppcjax.ops.superpixels`.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from ppcjax.nn import enrichment
from ppcjax.nn.layers import Conv, clip_to, features_extent, shrink
from ppcjax.nn.vit import VisionTransformer, token_map
from ppcjax.ops import superpixels
from ppcjax.ops.resize import resize


class Encoded(NamedTuple):
    """Of M photos: features [M, h, w, D] float32; early ones at stride 4, or None."""

    features: jax.Array
    low: jax.Array | None


class ASGNet(nn.Module):
    """A backbone, a shared 1x1 reduction and a context module of `enrichment.HEADS`.

    backbone: a module of `ppcjax.nn.backbones`.
    head: the context module.
    endpoints: outputs of the backbone that are set side by side, all on one grid.
    low: name of the output at stride 4 that the context module wants, or None.
    width: D, channels after the reduction.
    dropout: rate of channels of the reduced features, drawn for each photo.
    backbone_gradient: whether gradients pass into the backbone.
    vit: a transformer whose tokens stand beside the endpoints; no gradient enters it.
    vit_size: side in pixels that it sees photos at.
    vit_features: channels that its tokens are reduced to.
    class_token: "dropped" or "kept", see `ppcjax.nn.vit.token_map`.
    dtype: type of the reduction.
    """

    backbone: nn.Module
    head: nn.Module
    endpoints: Sequence[str] = ("stage3", "stage2")
    low: str | None = None
    width: int = 256
    dropout: float = 0.5
    backbone_gradient: bool = False
    vit: VisionTransformer | None = None
    vit_size: int = 224
    vit_features: int = 512
    class_token: str = "dropped"
    dtype: Any = jnp.float32

    def setup(self):
        """The layers that encoding photos needs besides the backbones."""
        self.reduction = Conv(self.width, 1, dtype=self.dtype)
        self.drop = nn.Dropout(self.dropout, broadcast_dims=(1, 2))  # whole channels
        if self.vit is not None:
            self.vit_projection = Conv(
                self.vit_features, 1, use_bias=True, dtype=self.dtype
            )

    def encode(self, image: Any, extent: Any = None, *, train: bool = False) -> Encoded:
        """Features of normalised photos.

        Args:
            image: [M, H, W, 3], normalised as the backbone wants it.
            extent: [M, 2] true rows and columns, or None.
            train: whether drop-out and batch statistics are on.
        """
        found = self.backbone(image, extent, train=train)
        maps = [found[name] for name in self.endpoints]
        if self.low is not None:
            maps.append(found[self.low])
        if not self.backbone_gradient:
            maps = [jax.lax.stop_gradient(x) for x in maps]
        low = None if self.low is None else maps.pop()
        grid_extent = features_extent(self.backbone, extent)
        if self.vit is not None:
            maps.append(self._transformer(image, extent, maps[0].shape, grid_extent))
        features = self.reduction(jnp.concatenate(maps, axis=-1))
        features = self.drop(features, deterministic=not train)
        return Encoded(clip_to(features.astype(jnp.float32), grid_extent), low)

    def _transformer(self, image, extent, shape, grid_extent):
        """Token map on the grid of the other features: [M, h, w, vit_features]."""
        side = (self.vit_size, self.vit_size)
        full = None if extent is None else jnp.full(extent.shape, self.vit_size)
        image = resize(
            image, side, align_corners=False, in_extent=extent, out_extent=full
        )
        cells = (self.vit_size // self.vit.patch,) * 2
        whole = cells[0] * self.vit.patch  # what exceeds whole patches is left out
        tokens = self.vit(image[:, :whole, :whole], want=("tokens",))["tokens"]
        tokens = jax.lax.stop_gradient(tokens)
        tokens = token_map(tokens, cells, class_token=self.class_token)
        tokens = self.vit_projection(tokens)
        full = None if extent is None else jnp.full(extent.shape, cells[0])
        at = {"in_extent": full, "out_extent": grid_extent}
        y = resize(tokens, shape[1:3], align_corners=True, **at)
        return y.astype(self.dtype)

    def decode(
        self,
        query: Encoded,
        allocation: superpixels.Allocation,
        extent: Any = None,
        *,
        train: bool = False,
    ):
        """Scores of queries.

        Args:
            query: features of the queries, from `encode`.
            allocation: guide and prior for these features.
            extent: [M, 2] true rows and columns of the photos, or None.
            train: whether drop-out and batch statistics are on.

        Returns:
            [M, h, w, 2] float32 logits, zero beyond the extent, and a tuple of
            auxiliary ones, each a pair of [M, h', w', 2] and its extent or None.
        """
        features = jnp.concatenate([query.features, allocation.guide], axis=-1)
        prior = allocation.prior[..., None]
        low, low_extent = query.low, shrink(extent, 4)
        grid_extent = features_extent(self.backbone, extent)
        logits, auxiliary = self.head(
            features, prior, (low, low_extent), grid_extent, train
        )
        out_extent = grid_extent if low is None else low_extent
        return clip_to(logits, out_extent), auxiliary

    def __call__(self, image: Any):
        """Runs every layer once, for the shapes of parameters; returns logits."""
        query = self.encode(image)
        prototypes = jnp.zeros((image.shape[0], 1, self.width))
        valid = jnp.ones(prototypes.shape[:2], bool)
        found = superpixels.allocate(query.features, prototypes, valid, prior="mean")
        return self.decode(query, found)[0]


INIT_RULES = (
    (r"/link\d/kernel$", lambda rng, shape: np.zeros(shape)),
    *enrichment.INIT_RULES,
)
