"""The networks of PixPro: a backbone and heads of 1x1 convolutions on its map.

Xie et al., "Propagate Yourself", CVPR 2021. The online network has all heads, the
target network the projectors only.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from ppcjax.nn import resnet
from ppcjax.nn.batch_norm import BatchNorm
from ppcjax.nn.init import Initializer, he_normal_fan_out
from ppcjax.nn.layers import Conv


class Projector(nn.Module):
    """1x1 convolution, batch normalisation, ReLU, 1x1 convolution: "MLP2d".

    hidden: channels between the convolutions.
    features: output channels.
    momentum: of the batch statistics, PyTorch's convention.
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
    """

    feature: jax.Array
    projection: jax.Array | None = None
    value: jax.Array | None = None
    instance: jax.Array | None = None
    prediction: jax.Array | None = None


class PixProNet(nn.Module):
    """A backbone with the heads that a method needs; those it does not are None.

    endpoint: which output of the backbone they stand on.
    """

    backbone: nn.Module
    endpoint: str = "embedding"
    projector: nn.Module | None = None
    transform: nn.Module | None = None
    instance_projector: nn.Module | None = None
    predictor: nn.Module | None = None

    def __call__(self, image, extent=None, *, train=False) -> Maps:
        """The online network.

        Args:
            image: [B, H, W, 3], normalised for the backbone.
            extent: [B, 2] true rows and columns, or None.
            train: whether batch statistics are used and updated.
        """
        maps = self.target(image, extent, train=train)
        value = prediction = None
        if self.transform is not None:
            value = self.transform(maps.projection, train=train).astype(jnp.float32)
        if self.predictor is not None:
            prediction = self.predictor(maps.instance, train=train)
            prediction = prediction.astype(jnp.float32)
        return maps._replace(value=value, prediction=prediction)

    def target(self, image, extent=None, *, train=False) -> Maps:
        """The target network: backbone and projectors; arguments as above."""
        feature = self.backbone(image, extent, train=train)[self.endpoint]
        projection = instance = None
        if self.projector is not None:
            projection = self.projector(feature, train=train).astype(jnp.float32)
        if self.instance_projector is not None:
            instance = self.instance_projector(feature, train=train)
            instance = instance.astype(jnp.float32)
        return Maps(feature, projection, None, instance)


# Heads that have a momentum copy, by field of PixProNet.
TARGET_PARTS = ("backbone", "projector", "instance_projector")


def init_rules(
    backbone: str, features: int, heads: dict[str, nn.Module | None]
) -> Sequence[tuple[str, Initializer]]:
    """Rules of `ppcjax.nn.init.initialize` for a PixProNet trained from scratch.

    Residual networks have He-normal kernels by fan-out, and 0 as the last scale of each
    branch. Kernels and biases of the heads are uniform within 1 / sqrt(fan-in), which
    is PyTorch's default.

    Args:
        backbone: its name in `ppcjax.nn.backbones.BACKBONES`.
        features: channels D of the endpoint.
        heads: heads by field of PixProNet.
    """
    rules = []
    inputs = {"projector": features, "instance_projector": features}
    for name, head in heads.items():
        if head is None:
            continue
        fan_in = inputs.get(name) or heads[_SOURCE[name]].features
        hidden = getattr(head, "hidden", fan_in)
        rules += [
            (rf"params/{name}/(.*/)?linear1/", uniform_within(fan_in**-0.5)),
            (rf"params/{name}/(.*/)?linear2/", uniform_within(hidden**-0.5)),
        ]
    if backbone == "small_resnet":
        rules += [
            (r"stage\d/BatchNorm_1/scale", lambda rng, shape: np.zeros(shape)),
            (r"backbone/.*kernel", he_normal_fan_out),
        ]
    if backbone.startswith("resnet"):
        rules += resnet.init_rules(int(backbone.removeprefix("resnet")))
    return rules


# Where the other heads get their input from.
_SOURCE = {"transform": "projector", "predictor": "instance_projector"}


def uniform_within(bound: float) -> Initializer:
    """Uniform in [-bound, bound]."""
    return lambda rng, shape: rng.uniform(-bound, bound, shape)
