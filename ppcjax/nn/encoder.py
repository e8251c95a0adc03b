"""A backbone of which one output is used."""

import flax.linen as nn
import jax.numpy as jnp


class Encoder(nn.Module):
    """A backbone of which one endpoint is used.

    backbone: a module of `ppcjax.nn.backbones`.
    endpoint: name of the endpoint.
    """

    backbone: nn.Module
    endpoint: str = "embedding"

    def __call__(self, image, extent=None, *, train=False):
        """[B, H, W, 3] normalised -> [B, h, w, D] float32."""
        endpoints = self.backbone(image, extent, train=train)
        return endpoints[self.endpoint].astype(jnp.float32)
