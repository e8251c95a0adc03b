"""A backbone as it is: features of photos from weights of others, nothing to train."""

import functools
from dataclasses import dataclass
from typing import NamedTuple

from ppcjax.methods import common
from ppcjax.nn.backbones import Backbone, need_endpoints
from ppcjax.nn.encoder import Encoder
from ppcjax.nn.layers import clip_to, shrink, stride_of
from ppcjax.types import Method


@dataclass(frozen=True, kw_only=True)
class Network(common.Network):
    """A backbone of which one output counts.

    backbone: name of the backbone.
    backbone_settings: fields of its module.
    dtype: type of the convolutions; what is given is float32 always.
    endpoint: output of the backbone that describes the photos.
    """

    backbone: common.BackboneName = "vit_s14"
    endpoint: str = "embedding"


class _Setup(NamedTuple):
    """What the functions of the method know."""

    net: Encoder
    entry: Backbone
    endpoint: str


def features(num_classes: int, *, network: Network) -> Method:
    """Features of photos by the weights that a config starts from.

    Args:
        num_classes: C of the data set; nothing depends on it.
        network: the network.

    Returns:
        A Method on DenseBatch without a loss. `predict` gives {endpoint: [B, h, w, D]
        float32}, zero beyond the image.
    """
    del num_classes
    module, entry = network.make_backbone()
    need_endpoints(module, (network.endpoint,), "endpoint")
    net = Encoder(module, network.endpoint)
    setup = _Setup(net, entry, network.endpoint)
    return Method(
        common.initializer(net),
        None,
        functools.partial(_predict, setup),
        gives="features",
    )


def _predict(setup, params, model_state, batch):
    extent = common.extent_of(batch)
    image = common.normalized(batch, setup.entry)
    found = setup.net.apply({"params": params, **model_state}, image, extent)
    known = setup.net.backbone.stride
    stride = stride_of(image.shape[1:3], found.shape[1:3], known=known)
    return {setup.endpoint: clip_to(found, shrink(extent, stride))}
