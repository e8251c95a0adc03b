"""ASGNet: an object is as many prototypes as it has superpixels.

Li et al., "Adaptive Prototype Learning and Allocation for Few-Shot Segmentation", CVPR
2021.
"""

import dataclasses
import functools
from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple

import jax
import jax.numpy as jnp

from ppcjax.fields import Length, OneOf, kinds
from ppcjax.losses import cross_entropy
from ppcjax.methods import asgnet_terms as terms
from ppcjax.methods import common, episodes
from ppcjax.methods.asgnet_terms import Guidance, Prototypes
from ppcjax.methods.common import Fields
from ppcjax.nn import modules
from ppcjax.nn.asgnet import INIT_RULES, ASGNet
from ppcjax.nn.backbones import KNOWN, Backbone, need_endpoints
from ppcjax.nn.enrichment import HEADS
from ppcjax.nn.layers import features_extent
from ppcjax.nn.modules import Channels
from ppcjax.nn.vit import VisionTransformer
from ppcjax.ops.blur import random_blur
from ppcjax.ops.resize import resize
from ppcjax.types import Method


@dataclass(frozen=True, kw_only=True)
class Network(common.Network):
    """A backbone, a shared reduction and a context module, see `ppcjax.nn.asgnet`.

    backbone: name of the backbone.
    backbone_settings: fields of its module; None for those that ASGNet was published
        with, such as the deep stem and three stages of a ResNet.
    dtype: type of the convolutions; clustering, similarities and losses are float32
        always.
    endpoints: outputs of the backbone that are set side by side, all on one grid.
    backbone_gradient: whether gradients pass into the backbone. Released: no. What
        then moves is the choice of the optimizer.
    head: "enrichment", or "aspp", which needs an output "stage1" at stride 4.
    head_settings: fields of its module, see `ppcjax.nn.enrichment`.
    width: channels after the reduction and in the head.
    dropout: rate of reduced channels.
    """

    backbone: common.BackboneName = "resnet50"
    endpoints: Annotated[tuple[str, ...], Length(1)] = ("stage3", "stage2")
    backbone_gradient: bool = False
    head: Annotated[str, OneOf(HEADS)] = "enrichment"
    head_settings: Fields = None
    width: Channels = 256
    dropout: modules.Dropout = 0.5


@dataclass(frozen=True, kw_only=True)
class Transformer:
    """A frozen vision transformer beside the backbone, an experiment of ours.

    vit: fields of `ppcjax.nn.vit.VisionTransformer`, whose tokens stand beside the
        endpoints; {} for ViT-B/16, None for no transformer. It sees photos normalised
        for the backbone; its positions are "bilinear" unless set.
    vit_size: side at which it sees photos.
    vit_features: channels that its tokens are reduced to.
    class_token: "dropped", or "kept": a known mistake, see `token_map`.
    """

    vit: Fields = None
    vit_size: kinds.Side = 224
    vit_features: Channels = 512
    class_token: Literal["dropped", "kept"] = "dropped"


class _Setup(NamedTuple):
    """What the functions of the method know."""

    net: ASGNet
    entry: Backbone
    guidance: Guidance
    separate_passes: bool
    auxiliary: float
    blur: float


def asgnet(
    num_classes: int,
    *,
    network: Network,
    transformer: Transformer,
    guidance: Guidance,
    separate_passes: bool = False,
    auxiliary: common.Weight = 1.0,
    blur: modules.Share = 0.0,
) -> Method:
    """One class from K masked photos of it.

        L = CE(S, query) + auxiliary * mean over levels l of CE(S_l, query)

    Supports are clustered into superpixels (no gradient), each query cell takes the
    most similar one for a guide, and the context module reads features, guide and the
    similarity to the object. Works for any K up to that of the batch, without another
    compilation: `shot_valid` says which shots count.

    Args:
        num_classes: C of the data set; nothing depends on it.
        network: the network.
        transformer: a transformer beside the backbone.
        guidance: how supports guide queries.
        separate_passes: whether queries and each shot pass through the backbone one
            after the other in training, which the release does. Matters with batch
            statistics only.
        auxiliary: weight of the levels' losses.
        blur: share of training photos that are blurred by [1 4 6 4 1] / 16.

    Returns:
        A Method for N = 1. `predict` gives {"logits": [B, Q, h, w, 2]}, to be
        resized with aligned corners, zero beyond the photo; `fit` gives {"prototypes":
        [B, K S, D], "valid": [B, K S] bool}. Supports without a pixel of the class are
        left out; without any, prior and guide are 0.

    Raises:
        UserError: the backbone lacks an output that is asked for.

    Source: released training program of ASGNet, as described in docs/deviations.md.
    """
    net, entry = _network(network, transformer)
    common.need_no_colours(entry.mean, blur)
    setup = _Setup(net, entry, guidance, separate_passes, auxiliary, blur)

    def init(key, batch):
        terms.check_ways(batch)
        return common.initializer(net, INIT_RULES)(key, batch)

    return Method(
        init,
        functools.partial(_loss, setup),
        functools.partial(_predict, setup),
        reads="episodes",
        gives="episodes",
        fit=functools.partial(_fit, setup),
        segment=functools.partial(_segment, setup),
    )


def _network(network: Network, transformer: Transformer) -> tuple[ASGNet, Backbone]:
    if network.backbone_settings is None:
        published = dict(KNOWN[network.backbone].few_shot)
        network = dataclasses.replace(network, backbone_settings=published)
    module, entry = network.make_backbone()
    low = "stage1" if network.head == "aspp" else None
    need_endpoints(module, network.endpoints, "endpoints", one_grid=True)
    need_endpoints(module, [low] if low else [], "head='aspp'")
    kind = jnp.dtype(network.dtype)
    head = modules.build(
        HEADS[network.head],
        network.head_settings,
        where="head_settings",
        width=network.width,
        dtype=kind,
    )
    vit = None
    if transformer.vit is not None:
        settings = {"positions": "bilinear", **transformer.vit}  # as in old runs
        vit = modules.build(VisionTransformer, settings, where="vit", dtype=kind)
    net = ASGNet(
        module,
        head,
        endpoints=network.endpoints,
        low=low,
        width=network.width,
        dropout=network.dropout,
        backbone_gradient=network.backbone_gradient,
        vit=vit,
        vit_size=transformer.vit_size,
        vit_features=transformer.vit_features,
        class_token=transformer.class_token,
        dtype=kind,
    )
    return net, entry


def _loss(setup, params, model_state, batch, key, step):
    terms.check_ways(batch)
    encode_key, decode_key = jax.random.split(key)
    encode = _encode_by_pass if setup.separate_passes else _encode_at_once
    supports, query, state = encode(setup, params, model_state, batch, encode_key)
    clustering = setup.guidance.clustering()
    learnt = terms.prototypes(clustering, supports.features, batch, train=True)
    found = terms.allocate(query.features, learnt, prior=setup.guidance.prior)
    (logits, levels), state = common.train_pass(
        setup.net, params, state, decode_key, query, found, method="decode"
    )
    mask = episodes.flat(batch["query_mask"], 2)  # [B Q, H, W]
    maps = [logits, *(level for level, _ in levels)]
    full = [resize(x, mask.shape[1:], align_corners=True) for x in maps]
    logits, nats = full[0], [cross_entropy(x, mask) for x in full]
    parts = {"query": nats[0], "auxiliary": sum(nats[1:]) / len(levels)}
    total, scalars = common.weighted_sum(parts, {"auxiliary": setup.auxiliary})
    scalars["stat/accuracy"] = common.accuracy(logits, mask)
    count = jnp.sum(learnt.valid, axis=1, dtype=jnp.float32)
    scalars["stat/prototypes"] = jnp.mean(count)
    return total, (state, scalars)


def _encode_photos(setup, params, state, photos, key):
    """Features of photos in training, and the next model_state."""
    if setup.blur:
        key, blur_key = jax.random.split(key)
        image = random_blur(jnp.float32(photos.image), blur_key, share=setup.blur)
        photos = photos._replace(image=image)
    image = episodes.normalize(photos, setup.entry)
    return common.train_pass(setup.net, params, state, key, image, method="encode")


def _encode_at_once(setup, params, state, batch, key):
    """Supports, queries and the next model_state: all photos in one pass."""
    photos = episodes.all_photos(batch)
    found, state = _encode_photos(setup, params, state, photos, key)
    return *episodes.split(found, batch), state


def _encode_by_pass(setup, params, state, batch, key):
    """Supports, queries and the next model_state: queries first, then each shot."""
    photos = episodes.photos(batch, "query")
    query, state = _encode_photos(setup, params, state, photos, key)

    def one_shot(state, shot):
        photos, number = shot
        shot_key = jax.random.fold_in(key, number)
        found, state = _encode_photos(setup, params, state, photos, shot_key)
        return state, found

    numbers = jnp.arange(batch["shot_valid"].shape[2])
    state, found = jax.lax.scan(one_shot, state, (terms.shots(batch), numbers))
    return terms.as_supports(found), query, state


def _encode(setup, params, model_state, photos):
    """Features of photos in prediction."""
    variables = {"params": params, **model_state}
    image = episodes.normalize(photos, setup.entry)
    return setup.net.apply(variables, image, photos.extent, method="encode")


def _learn(setup, features, batch, extent):
    """Prototypes from the features of supports of that extent."""
    return terms.prototypes(
        setup.guidance.clustering(),
        features,
        batch,
        train=False,
        extent=extent,
        grid_extent=features_extent(setup.net.backbone, extent),
    )


def _decode(setup, params, model_state, query, learnt, batch):
    extent = episodes.photos(batch, "query").extent
    variables = {"params": params, **model_state}

    def logits_of(learnt):
        found = terms.allocate(query.features, learnt, prior=setup.guidance.prior)
        return setup.net.apply(variables, query, found, extent, method="decode")[0]

    if setup.guidance.shots == "joined":
        logits = logits_of(learnt)
    else:
        slots = setup.guidance.superpixels_at_most
        logits = terms.averaged(logits_of, learnt, slots)
    rows = batch["query_image"].shape[:2]
    return {"logits": logits.reshape(*rows, *logits.shape[1:])}


def _fit(setup, params, model_state, supports):
    terms.check_ways(supports)
    photos = episodes.photos(supports, "support")
    features = _encode(setup, params, model_state, photos).features
    centres, valid = _learn(setup, features, supports, photos.extent)
    return {"prototypes": centres, "valid": valid}


def _segment(setup, params, model_state, learnt, queries):
    learnt = Prototypes(learnt["prototypes"], learnt["valid"])
    photos = episodes.photos(queries, "query")
    query = _encode(setup, params, model_state, photos)
    return _decode(setup, params, model_state, query, learnt, queries)


def _predict(setup, params, model_state, batch):
    terms.check_ways(batch)
    photos = episodes.all_photos(batch)
    encoded = _encode(setup, params, model_state, photos)
    supports, query = episodes.split(encoded, batch)
    extent = episodes.photos(batch, "support").extent
    learnt = _learn(setup, supports.features, batch, extent)
    return _decode(setup, params, model_state, query, learnt, batch)
