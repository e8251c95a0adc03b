"""The affinity network: a backbone and features in which nearby cells are compared.

Ahn and Kwak (PSA), CVPR 2018, section 3.2, as released for WideResNet-38.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from ppcjax.nn.init import Initializer, he_normal, xavier_uniform
from ppcjax.nn.layers import Conv


def init_rules(gain: float = 4.0) -> tuple[tuple[str, Initializer], ...]:
    """Initial kernels of the heads, as `ppcjax.nn.init.initialize` takes them.

    Args:
        gain: gain of the mixture. With 4, as published, the features of other backbones
            than WideResNet-38 can be so large that all affinities start near 0.
    """
    return (
        (r"affinity_(stage\d|embedding)/conv/kernel", he_normal),
        (r"affinity/conv/kernel", xavier_uniform(gain)),
    )


class AffinityHeads(nn.Module):
    """Reduces three endpoints of a backbone and mixes them.

    widths: channels of the reduced stage3, stage4 and embedding; the mixture has as
        many as all three together.
    """

    widths: tuple[int, int, int] = (64, 128, 256)

    @nn.compact
    def __call__(self, endpoints):
        """Endpoints [B, h, w, *] -> features [B, h, w, sum(widths)] > -1, float32."""
        # Unlike in SEAM, the affinity trains the backbone.
        reduced = [
            nn.elu(
                Conv(width, 1, name=f"affinity_{name}")(
                    endpoints[name].astype(jnp.float32)
                )
            )
            for name, width in zip(
                ("stage3", "stage4", "embedding"), self.widths, strict=True
            )
        ]
        mixed = jnp.concatenate(reduced, axis=-1)
        return nn.elu(Conv(mixed.shape[-1], 1, name="affinity")(mixed))


class AffinityNet(nn.Module):
    """A backbone with `AffinityHeads`.

    backbone: a module of `ppcjax.nn.backbones`.
    heads: the heads.
    """

    backbone: nn.Module
    heads: AffinityHeads

    def __call__(
        self, image: Any, extent: Any = None, *, train: bool = False
    ) -> jax.Array:
        """Features of normalised images.

        Args:
            image: [B, H, W, 3], normalised as the backbone wants it.
            extent: [B, 2] true rows and columns of images in the top left corner of
                padded canvases; None: the images fill them.
            train: whether drop-out and batch statistics are on.

        Returns:
            [B, h, w, D] float32 at h = ceil(H / stride); what lies beyond the extent
            means nothing.
        """
        return self.heads(self.backbone(image, extent, train=train))
