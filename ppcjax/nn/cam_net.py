"""The network of SEAM and PPC: a backbone, its activation maps, and the heads.

Wang et al. (SEAM), CVPR 2020, section 3.3, with the projector of Du et al. (PPC),
CVPR 2022, section 3.2.
"""

import functools
from typing import Any, Literal, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from ppcjax.nn.init import he_normal, xavier_uniform
from ppcjax.nn.layers import (
    Conv,
    channel_dropout,
    clip_to,
    features_extent,
    inside,
)
from ppcjax.ops import cam as cam_ops
from ppcjax.ops.resize import resize
from ppcjax.ops.self_attention import attended, attention_correlation

INIT_RULES = (
    (r"(classifier|projector)/conv/kernel", xavier_uniform()),
    (r"affinity_stage\d/conv/kernel", he_normal),
    (r"affinity/conv/kernel", xavier_uniform(gain=4.0)),
)


class CamOutput(NamedTuple):
    """What the network says of a view, at its own resolution.

    cam: [B, h, w, C] raw activation maps.
    refined: [B, h, w, C] cleaned maps after pixel correlation; near a distribution.
    projection: [B, h, w, D] non-negative features for contrast, not normalised.
    spread: [B, h, w, C] `cam` above its mean, where the class token looks if that is
        asked for, after pixel correlation; None where nobody asks for it.
    """

    cam: jax.Array
    refined: jax.Array
    projection: jax.Array
    spread: jax.Array | None = None


class CamHeads(nn.Module):
    """Classifier, projector and pixel correlation on a backbone's endpoints.

    num_classes: C, the background included.
    background: index of the background channel.
    projection: channels of the projection.
    affinity: channels of the reduced stage3, of the reduced stage4, and of their
        mixture with the image, in which pixels are compared.
    dropout: rate at which channels of the embedding are dropped, once for the
        classifier and the projector.
    correlation_block: columns of the pixel correlation formed at once.
    image_gain: factor on the image in that mixture. 1 as published; a backbone that
        never saw ImageNet has lost colour in its late stages and wants more.
    centred: whether what pixels are compared in loses its mean over the image
        before. Activations share a large common part, so their cosines are all
        high and refined maps flat; the release learns it away in 10,000 steps,
        short training does not.
    affinity_from: in what pixels are compared: "mixture" of stages and image, which
        is learnt; or what passes no gradient, the backbone's "embedding" or
        "attention" as they are, or the "projection", which contrast alone trains.
    affinity_power: power of the similarity of pixels.
    attention_heads: heads of the attention, where pixels are compared in it.
    class_attention: power of the class token's attention, by which `spread` is
        multiplied before it is spread; 0 for none.
    spreads: whether plain maps after pixel correlation are given, too.
    """

    num_classes: int
    background: int = 0
    projection: int = 128
    affinity: tuple[int, int, int] = (64, 128, 192)
    dropout: float = 0.5
    correlation_block: int = 1024
    image_gain: float = 1.0
    centred: bool = False
    affinity_from: Literal["mixture", "embedding", "attention", "projection"] = (
        "mixture"
    )
    affinity_power: float = 1.0
    attention_heads: int = 1
    class_attention: float = 0.0
    spreads: bool = False

    @nn.compact
    def __call__(
        self, endpoints, image, *, image_extent=None, extent=None, train=False
    ):
        """Endpoints [B, h, w, *] and the normalised image [B, H, W, 3] -> CamOutput."""
        endpoints = {k: v.astype(jnp.float32) for k, v in endpoints.items()}
        embedding = channel_dropout(self.dropout, train)(endpoints["embedding"])
        projected = nn.relu(Conv(self.projection, 1, name="projector")(embedding))
        cam = Conv(self.num_classes, 1, name="classifier")(embedding)

        known = {"embedding": endpoints["embedding"], "projection": projected}
        compared = known.get(self.affinity_from)
        if self.affinity_from == "mixture":
            grid = cam.shape[1:3]
            compared = self._mixture(endpoints, image, grid, image_extent, extent)
        correlated = self._correlation(endpoints, compared, extent)
        cleaned = cam_ops.clean(
            cam, background=self.background, inside=inside(cam, extent)
        )
        cam = clip_to(cam, extent)
        spread = None
        if self.spreads:
            # Not above 0: pooled otherwise than by the mean, maps may be negative
            # throughout, and tell cells apart all the same.
            above = clip_to(nn.relu(cam - _mean_inside(cam, extent)), extent)
            if self.class_attention:
                looked_at = endpoints["class_attention"]
                above = attended(above, looked_at, self.class_attention)
            spread = correlated(above)
        return CamOutput(cam, correlated(cleaned), projected, spread)

    def _correlation(self, endpoints, compared, extent):
        """The function of maps [B, h, w, C] that carries them to similar pixels."""
        if self.affinity_from == "attention":
            within = inside(endpoints["keys"], extent)
            return functools.partial(
                attention_correlation,
                queries=jax.lax.stop_gradient(endpoints["queries"]),
                keys=jax.lax.stop_gradient(endpoints["keys"]),
                there=None if within is None else within[..., 0],
                heads=self.attention_heads,
            )
        if self.affinity_from != "mixture":
            compared = jax.lax.stop_gradient(compared)
        if self.centred:
            compared -= _mean_inside(compared, extent)
        return functools.partial(
            cam_ops.pixel_correlation,
            features=clip_to(compared, extent),
            power=self.affinity_power,
            block=self.correlation_block,
        )

    def _mixture(self, endpoints, image, grid, image_extent, extent):
        """What pixels are compared in; it reads the backbone but does not train it."""
        low, high = (jax.lax.stop_gradient(endpoints[f"stage{i}"]) for i in (3, 4))
        low = nn.relu(Conv(self.affinity[0], 1, name="affinity_stage3")(low))
        high = nn.relu(Conv(self.affinity[1], 1, name="affinity_stage4")(high))
        pixels = resize(
            image,
            grid,
            align_corners=True,
            in_extent=image_extent,
            out_extent=extent,
        )
        mixed = jnp.concatenate([self.image_gain * pixels, low, high], axis=-1)
        return Conv(self.affinity[2], 1, name="affinity")(mixed)


def _mean_inside(x, extent):
    """Mean [B, 1, 1, D] of `x` [B, h, w, D] over the cells within `extent`."""
    if extent is None:
        return jnp.mean(x, axis=(1, 2), keepdims=True)
    area = jnp.maximum(jnp.prod(extent, axis=1), 1)[:, None, None, None]
    return jnp.sum(clip_to(x, extent), axis=(1, 2), keepdims=True) / area


class CamNet(nn.Module):
    """A backbone with `CamHeads`.

    backbone: a module of `ppcjax.nn.backbones`.
    heads: the heads.
    """

    backbone: nn.Module
    heads: CamHeads

    def __call__(self, image: Any, extent: Any = None, *, train: bool = False):
        """Maps of normalised images.

        Args:
            image: [B, H, W, 3], normalised as the backbone wants it.
            extent: [B, 2] true rows and columns of images in the top left corner of
                padded canvases; None: the images fill them.
            train: whether drop-out and batch statistics are on.

        Returns:
            CamOutput at h = ceil(H / stride), w = ceil(W / stride).
        """
        endpoints = self.backbone(image, extent, train=train)
        return self.heads(
            endpoints,
            image,
            image_extent=extent,
            extent=features_extent(self.backbone, extent),
            train=train,
        )
