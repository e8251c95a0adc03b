"""Methods that compare queries with examples, and train nothing."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax

from ppcjax.methods import common, episodes
from ppcjax.nn.backbones import Backbone, need_endpoints
from ppcjax.nn.encoder import Encoder
from ppcjax.nn.layers import features_extent
from ppcjax.ops.masks import l2_normalize
from ppcjax.types import Method

# (features of B N K supports, their batch, true sizes of photos and of grids) -> what
# `fit` gives; (features of B Q queries, that) -> what `segment` gives.
Learn = Callable[[jax.Array, Any, Any, Any], dict[str, jax.Array]]
Decode = Callable[[jax.Array, Any], dict[str, jax.Array]]


@dataclass(frozen=True, kw_only=True)
class Network(common.Network):
    """A backbone of which one output is compared.

    backbone: name of the backbone.
    backbone_settings: fields of its module.
    dtype: type of the convolutions; what is made of the output is float32 always.
    endpoint: output of the backbone that is compared.
    """

    backbone: common.BackboneName = "vit_s14"
    endpoint: str = "embedding"


class _Setup(NamedTuple):
    """What the functions of the method know."""

    net: Encoder
    entry: Backbone
    learn: Learn
    decode: Decode


def comparing(network: Network, learn: Learn, decode: Decode) -> Method:
    """A Method without a loss on features [M, h, w, D] of unit length.

    Args:
        network: the network.
        learn: what examples give.
        decode: logits of queries by that.

    Raises:
        UserError: the backbone lacks the output.
    """
    module, entry = network.make_backbone()
    need_endpoints(module, (network.endpoint,), "endpoint")
    setup = _Setup(Encoder(module, network.endpoint), entry, learn, decode)
    return Method(
        common.initializer(setup.net),
        None,
        functools.partial(_predict, setup),
        reads="episodes",
        gives="episodes",
        fit=functools.partial(_fit, setup),
        segment=functools.partial(_segment, setup),
    )


def _encode(setup, params, model_state, photos):
    image = episodes.normalize(photos, setup.entry)
    variables = {"params": params, **model_state}
    return l2_normalize(setup.net.apply(variables, image, photos.extent))


def _learnt(setup, features, supports, extent):
    grid_extent = features_extent(setup.net.backbone, extent)
    return setup.learn(features, supports, extent, grid_extent)


def _fit(setup, params, model_state, supports):
    photos = episodes.photos(supports, "support")
    features = _encode(setup, params, model_state, photos)
    return _learnt(setup, features, supports, photos.extent)


def _segment(setup, params, model_state, learnt, queries):
    photos = episodes.photos(queries, "query")
    return setup.decode(_encode(setup, params, model_state, photos), learnt)


def _predict(setup, params, model_state, batch):
    features = _encode(setup, params, model_state, episodes.all_photos(batch))
    of_supports, of_queries = episodes.split(features, batch)
    extent = episodes.photos(batch, "support").extent
    return setup.decode(of_queries, _learnt(setup, of_supports, batch, extent))
