"""PANet: pixels are the class of the prototype they point to, and vice versa.

Wang et al., "PANet: Few-Shot Image Semantic Segmentation with Prototype Alignment",
ICCV 2019. The variant on a deep-stem ResNet (MLC's and SSP's matcher) is settings of
the same function: see `configs/panet_voc.py`.
"""

import functools
from dataclasses import dataclass
from typing import Literal, NamedTuple

from ppcjax.losses import cross_entropy
from ppcjax.methods import common, episodes, panet_terms
from ppcjax.methods.panet_terms import Matching, prototypes, query_prototypes
from ppcjax.nn.backbones import Backbone, need_endpoints
from ppcjax.nn.encoder import INIT_RULES, Encoder
from ppcjax.nn.layers import features_extent
from ppcjax.types import Method


@dataclass(frozen=True, kw_only=True)
class Network(common.Network):
    """An encoder that supports and queries share.

    backbone: name of the backbone.
    backbone_settings: fields of its module.
    dtype: type of the convolutions; pooling, similarities and losses are float32
        always.
    endpoint: output of the backbone that is compared.
    adapter: whether a 1x1 layer W is learnt on a frozen network, so that f + W f is
        compared for features f; without it nothing there can be trained.
    """

    backbone: common.BackboneName = "vgg16"
    endpoint: str = "embedding"
    adapter: bool = False


class _Setup(NamedTuple):
    """What the functions of the method know."""

    net: Encoder
    entry: Backbone
    matching: Matching
    alignment: float


def panet(
    num_classes: int,
    *,
    network: Network,
    scale: common.Positive = 20.0,
    align_corners: bool = False,
    pooling: Literal["image", "grid"] = "image",
    alignment: common.Weight = 1.0,
    alignment_masks: Literal["predicted", "true"] = "predicted",
) -> Method:
    """Prototypes of N classes and of the background from K masked photos each.

        p = sum_x F(x) M(x) / (sum_x M(x) + 1e-5)      of each support and mask
        P_c = mean_k p_ck,  P_0 = mean_ck p^bg_ck
        S_j(q) = scale cos(F(q), P_j),  L = CE(S, queries) + w L_align

    L_align segments the supports by prototypes of the queries. The equations are in
    `ppcjax.methods.panet_terms`.

    Args:
        num_classes: C of the data set; nothing depends on it.
        network: the network.
        scale: factor of the cosines. 20 in PANet, 10 in MLC, SSP and the variant.
        align_corners: convention of all resizes between image and grid.
        pooling: where features and masks meet, "image" (PANet) or "grid" (the
            variant), see `masked_sums`.
        alignment: weight w of L_align; 0 leaves it out.
        alignment_masks: masks of the queries' prototypes, "predicted" (PANet) or
            "true" (the variant).

    Returns:
        A Method; without a loss on a frozen network, where only an adapter could learn.
        `predict` gives {"logits": [B, Q, h, w, 1 + N]}; `fit` gives {"prototypes":
        [B, 1 + N, D]}, the background's first.

    Source: released training program of PANet, as described in docs/deviations.md.
    """
    module, entry = network.make_backbone()
    need_endpoints(module, (network.endpoint,), "endpoint")
    net = Encoder(module, network.endpoint, network.adapter)
    true_masks = alignment_masks == "true"
    matching = Matching(scale, align_corners, pooling, true_masks)
    setup = _Setup(net, entry, matching, alignment)
    return Method(
        common.initializer(net, INIT_RULES),
        functools.partial(_loss, setup) if entry.mean or network.adapter else None,
        functools.partial(_predict, setup),
        reads="episodes",
        gives="episodes",
        fit=functools.partial(_fit, setup),
        segment=functools.partial(_segment, setup),
    )


def _loss(setup, params, model_state, batch, key, step):
    matching = setup.matching
    image = episodes.normalize(episodes.all_photos(batch), setup.entry)
    features, model_state = common.train_pass(
        setup.net, params, model_state, None, image
    )
    of_supports, of_queries = episodes.split(features, batch)
    low = matching.logits(of_queries, prototypes(matching, of_supports, batch))
    mask = batch["query_mask"]
    logits = matching.to_image(low, mask.shape[-2:])  # [B, Q, H, W, 1 + N]
    terms = {"query": cross_entropy(logits, mask)}
    if setup.alignment:
        centres, area = query_prototypes(matching, of_queries, low, batch)
        terms["alignment"] = panet_terms.alignment(
            matching, of_supports, centres, area, batch
        )
    total, scalars = common.weighted_sum(terms, {"alignment": setup.alignment})
    scalars["stat/accuracy"] = common.accuracy(logits, mask)
    return total, (model_state, scalars)


def _encode(setup, params, model_state, photos):
    """Features [M, h, w, D] of M photos."""
    image = episodes.normalize(photos, setup.entry)
    return setup.net.apply({"params": params, **model_state}, image, photos.extent)


def _learn(setup, features, batch, extent):
    """Prototypes from the features of supports of that extent."""
    grid_extent = features_extent(setup.net.backbone, extent)
    return prototypes(setup.matching, features, batch, extent, grid_extent)


def _fit(setup, params, model_state, supports):
    photos = episodes.photos(supports, "support")
    features = _encode(setup, params, model_state, photos)
    return {"prototypes": _learn(setup, features, supports, photos.extent)}


def _segment(setup, params, model_state, learnt, queries):
    photos = episodes.photos(queries, "query")
    features = _encode(setup, params, model_state, photos)
    return {"logits": setup.matching.logits(features, learnt["prototypes"])}


def _predict(setup, params, model_state, batch):
    features = _encode(setup, params, model_state, episodes.all_photos(batch))
    of_supports, of_queries = episodes.split(features, batch)
    extent = episodes.photos(batch, "support").extent
    centres = _learn(setup, of_supports, batch, extent)
    return {"logits": setup.matching.logits(of_queries, centres)}
