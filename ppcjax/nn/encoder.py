"""A backbone of which one output is used."""

import flax.linen as nn
import jax.numpy as jnp
import numpy as np

from ppcjax.nn.layers import Conv

# The adapter changes nothing before it has learnt.
INIT_RULES = ((r"^params/adapter/", lambda rng, shape: np.zeros(shape)),)


class Encoder(nn.Module):
    """A backbone of which one endpoint is used.

    backbone: a module of `ppcjax.nn.backbones`.
    endpoint: name of the endpoint.
    adapter: whether f + W f is given for features f, with W = 0 at the start.
    """

    backbone: nn.Module
    endpoint: str = "embedding"
    adapter: bool = False

    @nn.compact
    def __call__(self, image, extent=None, *, train=False):
        """[B, H, W, 3] normalised -> [B, h, w, D] float32."""
        endpoints = self.backbone(image, extent, train=train)
        features = endpoints[self.endpoint].astype(jnp.float32)
        if not self.adapter:
            return features
        return features + Conv(features.shape[-1], 1, name="adapter")(features)
