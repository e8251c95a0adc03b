"""The networks of PixPro: a backbone and heads of 1x1 convolutions on its map.

Xie et al., "Propagate Yourself", CVPR 2021. The online network has all heads, the
target network the projectors only. A feature pyramid may stand below the pixel branch
of both.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from ppcjax.nn import fpn
from ppcjax.nn.backbones import Backbone
from ppcjax.nn.batch_norm import BatchNorm
from ppcjax.nn.init import Initializer, OfFanIn, torch_uniform
from ppcjax.nn.layers import Conv


class Projector(nn.Module):
    """1x1 convolution, batch normalisation, ReLU, 1x1 convolution: "MLP2d".

    hidden: channels between the convolutions.
    features: output channels.
    momentum: weight of the newest batch in the statistics, PyTorch's convention.
    dtype: type of the convolutions.
    """

    hidden: int = 4096
    features: int = 256
    momentum: float = 0.1
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x, *, train=False):  # [B, h, w, D] -> [B, h, w, features]
        x = Conv(self.hidden, 1, use_bias=True, dtype=self.dtype, name="linear1")(x)
        x = nn.relu(BatchNorm(self.momentum, name="bn1")(x, train=train))
        return Conv(self.features, 1, use_bias=True, dtype=self.dtype, name="linear2")(
            x
        )


class Transform(nn.Module):
    """The value transform g of the propagation.

    layers: 0 (the identity), 1 (a 1x1 convolution) or 2 (a Projector).
    dtype: type of the convolutions.
    """

    layers: int = 1
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x, *, train=False):  # [B, h, w, D] -> same
        width = x.shape[-1]
        if self.layers == 0:
            return x
        if self.layers == 1:
            return Conv(width, 1, use_bias=True, dtype=self.dtype, name="linear1")(x)
        return Projector(width, width, dtype=self.dtype, name="mlp")(x, train=train)


class Maps(NamedTuple):
    """What a network says about B images; float32, not normalised.

    feature: [B, h, w, D] of the backbone, in its own type.
    projection: [B, h, w, E], or None without the pixel branch.
    value: [B, h, w, E] the transformed projection, or None.
    instance: [B, h, w, E] the projection of the instance branch, or None.
    prediction: [B, h, w, E] what is predicted from it, or None.
    pyramid: one Maps for each level, from fine to coarse, whose feature, projection
        and value are the level's; the projection and value above are then None.
    """

    feature: jax.Array
    projection: jax.Array | None = None
    value: jax.Array | None = None
    instance: jax.Array | None = None
    prediction: jax.Array | None = None
    pyramid: tuple["Maps", ...] = ()

    @property
    def levels(self) -> tuple["Maps", ...]:
        """What has a projection: the levels of the pyramid, or else the map itself."""
        return self.pyramid or (self,)


class PixProNet(nn.Module):
    """A backbone with the heads that a method needs; those it does not are None.

    endpoint: which output of the backbone they stand on.
    pyramid: a FeaturePyramid, on whose levels projector and transform stand instead.
        All levels share them, and their batch statistics are those of the cells of
        all levels together: what stored statistics say in evaluation is then what
        training used (see Wu and Johnson, "Rethinking Batch in BatchNorm", 2021).
    """

    backbone: nn.Module
    endpoint: str = "embedding"
    projector: nn.Module | None = None
    transform: nn.Module | None = None
    instance_projector: nn.Module | None = None
    predictor: nn.Module | None = None
    pyramid: nn.Module | None = None

    def __call__(self, image, extent=None, *, train=False) -> Maps:
        """The online network.

        Args:
            image: [B, H, W, 3], normalised for the backbone.
            extent: [B, 2] true rows and columns, or None.
            train: whether batch statistics are used and updated.
        """
        maps = self.target(image, extent, train=train)
        prediction = None
        if self.predictor is not None:
            prediction = self.predictor(maps.instance, train=train)
            prediction = prediction.astype(jnp.float32)
        maps = maps._replace(prediction=prediction)
        if self.transform is None:
            return maps
        projections = [level.projection for level in maps.levels]
        values = _on_all(self.transform, projections, train)
        if self.pyramid is None:
            return maps._replace(value=values[0])
        levels = zip(maps.pyramid, values, strict=True)
        return maps._replace(pyramid=tuple(m._replace(value=v) for m, v in levels))

    def target(self, image, extent=None, *, train=False) -> Maps:
        """The target network: backbone and projectors; arguments as above."""
        outputs = self.backbone(image, extent, train=train)
        maps = Maps(outputs[self.endpoint])
        if self.pyramid is not None:
            levels = self.pyramid(outputs, image.shape[1:3], extent)
            projections = _on_all(self.projector, levels, train)
            pairs = zip(levels, projections, strict=True)
            maps = maps._replace(pyramid=tuple(Maps(x, y) for x, y in pairs))
        elif self.projector is not None:
            maps = maps._replace(
                projection=_on_all(self.projector, [maps.feature], train)[0]
            )
        if self.instance_projector is not None:
            instance = self.instance_projector(maps.feature, train=train)
            maps = maps._replace(instance=instance.astype(jnp.float32))
        return maps


def _on_all(head, levels, train):
    """A head of 1x1 convolutions on maps [B, h, w, D] of several grids: [B, h, w, E].

    They are one map to it, and so one batch to its normalisation.
    """
    if len(levels) == 1:
        return [head(levels[0], train=train).astype(jnp.float32)]
    rows = [x.reshape(x.shape[0], -1, 1, x.shape[-1]) for x in levels]  # [B, h w, 1, D]
    ends = np.cumsum([x.shape[1] for x in rows])[:-1]
    y = head(jnp.concatenate(rows, axis=1), train=train).astype(jnp.float32)
    parts = zip(levels, jnp.split(y, ends, axis=1), strict=True)
    return [part.reshape(*x.shape[:3], -1) for x, part in parts]


# What has a momentum copy, by field of PixProNet.
TARGET_PARTS = ("backbone", "pyramid", "projector", "instance_projector")


def init_rules(backbone: Backbone) -> Sequence[tuple[str, Initializer | OfFanIn]]:
    """Rules of `ppcjax.nn.init.initialize` for a PixProNet trained from scratch.

    Kernels and biases of the heads are uniform within 1 / sqrt(fan-in), which is
    PyTorch's default. For the pyramid see `ppcjax.nn.fpn.init_rules`.

    Args:
        backbone: entry of the backbone, which says how its own arrays start.
    """
    heads = "projector|transform|instance_projector|predictor"
    return (
        *fpn.init_rules("pyramid"),
        (rf"params/({heads})/(.*/)?linear[12]/", torch_uniform),
        *backbone.scratch,
    )
