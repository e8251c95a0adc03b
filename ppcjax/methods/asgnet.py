"""ASGNet: an object is as many prototypes as it has superpixels.

Li et al., "Adaptive Prototype Learning and Allocation for Few-Shot Segmentation", CVPR
2021.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from ppcjax.losses import cross_entropy
from ppcjax.methods import asgnet_terms as terms
from ppcjax.methods import episodes
from ppcjax.methods.asgnet_terms import Clustering, Prototypes
from ppcjax.nn import backbones
from ppcjax.nn.asgnet import ASGNet, init_rules
from ppcjax.nn.enrichment import HEADS
from ppcjax.nn.init import initialize
from ppcjax.nn.layers import shrink
from ppcjax.nn.vit import VisionTransformer
from ppcjax.ops.blur import random_blur
from ppcjax.ops.masks import masked_mean
from ppcjax.ops.resize import resize
from ppcjax.types import IGNORE, Method

# The released backbone.
RESNET = {"stem": "deep", "stages": 3, "output_stride": 8, "dilate_first": True}


def asgnet(
    num_classes: int,
    *,
    backbone: str = "resnet50",
    backbone_settings: dict[str, Any] | None = None,
    endpoints: Sequence[str] = ("stage3", "stage2"),
    backbone_gradient: bool = False,
    separate_passes: bool = False,
    head: str = "enrichment",
    head_settings: dict[str, Any] | None = None,
    width: int = 256,
    dropout: float = 0.5,
    vit: dict[str, Any] | None = None,
    vit_size: int = 224,
    vit_features: int = 512,
    class_token: str = "dropped",
    dtype: str = "float32",
    superpixels_at_most: int = 5,
    superpixel_cells: int = 100,
    iterations: tuple[int, int] = (10, 5),
    prior: str = "mean",
    shots: str = "averaged",
    seed_count: str = "placed",
    auxiliary: float = 1.0,
    blur: float = 0.0,
) -> Method:
    """One class from K masked photos of it.

        L = CE(S, query) + auxiliary * mean over levels l of CE(S_l, query)

    Supports are clustered into superpixels (no gradient), each query cell takes the
    most similar one as a guide, and the context module reads features, guide and the
    similarity to the object. Works for any K up to that of the batch, without another
    compilation: `shot_valid` says which shots count.

    Args:
        num_classes: C of the data set; nothing depends on it.
        backbone: a name of `ppcjax.nn.backbones.BACKBONES`.
        backbone_settings: fields of its module; None with a ResNet: deep stem, three
            stages, output stride 8, dilation as released.
        endpoints: outputs of the backbone that are set side by side, all on one grid.
        backbone_gradient: whether gradients pass into the backbone. Released: no. What
            then moves is the choice of the optimizer.
        separate_passes: whether queries and each shot pass through the backbone one
            after the other in training, as released. Matters with batch statistics
            only.
        head: "enrichment", or "aspp", which needs an output "stage1" at stride 4.
        head_settings: fields of its module, see `ppcjax.nn.enrichment`.
        width: channels after the reduction and in the head.
        dropout: rate of reduced channels.
        vit: fields of `ppcjax.nn.vit.VisionTransformer`, whose tokens stand beside the
            endpoints; {} for ViT-B/16, None for no transformer. It sees photos as the
            backbone does.
        vit_size: side in pixels at which it sees them.
        vit_features: channels its tokens are reduced to.
        class_token: "dropped", or "kept": a known mistake, see `token_map`.
        dtype: "float32" or "bfloat16", of the convolutions; clustering, similarities
            and losses are float32 always.
        superpixels_at_most: S, superpixels of one support.
        superpixel_cells: area of one, in cells of the grid.
        iterations: of the clustering, in training and in prediction.
        prior: "mean" or "sum" (released) of the similarities; the sum grows with K.
        shots: how a prediction from K > 1 shots is made. "averaged": each shot segments
            the query on its own and the probabilities are averaged, so that a network
            trained on one shot gains from five. "joined" (released): prototypes of
            all shots compete for each cell, for networks trained on as many.
        seed_count: "placed", or "released", which loses seeds of objects at the upper
            and left border, see `ppcjax.ops.seeds.released_count`.
        auxiliary: weight of the levels' losses.
        blur: share of training photos that are blurred by [1 4 6 4 1] / 16.

    Returns:
        A Method for N = 1. `predict` gives {"logits": [B, Q, h, w, 2]}, to be
        resized with aligned corners, zero beyond the photo; `fit` gives {"prototypes":
        [B, K S, D], "valid": [B, K S] bool}. Supports without a pixel of the class are
        left out; without any, prior and guide are 0.

    Raises:
        ValueError: for a setting outside its range.

    Source: released training program of ASGNet, as described in docs/deviations.md.
    """
    del num_classes
    _check(
        head=(head, tuple(HEADS)),
        prior=(prior, ("mean", "sum")),
        shots=(shots, ("averaged", "joined")),
        seed_count=(seed_count, ("placed", "released")),
        class_token=(class_token, ("dropped", "kept")),
    )
    if min(superpixels_at_most, superpixel_cells, *iterations) < 1:
        raise ValueError("superpixels and iterations are whole numbers of at least 1")
    if auxiliary < 0 or not 0 <= blur <= 1:
        raise ValueError(f"auxiliary={auxiliary} is below 0 or blur={blur} no share")
    kind = jnp.dtype(dtype)
    is_resnet = backbone.startswith("resnet")
    if head == "aspp" and not is_resnet:
        raise ValueError(f"head='aspp' needs a resnet, not {backbone!r}")
    if backbone_settings is None:
        backbone_settings = RESNET if is_resnet else {}
    module, entry = backbones.make(backbone, dtype=kind, **backbone_settings)
    net = ASGNet(
        module,
        HEADS[head](width=width, dtype=kind, **(head_settings or {})),
        endpoints=tuple(endpoints),
        low="stage1" if head == "aspp" else None,
        width=width,
        dropout=dropout,
        backbone_gradient=backbone_gradient,
        vit=None if vit is None else VisionTransformer(dtype=kind, **vit),
        vit_size=vit_size,
        vit_features=vit_features,
        class_token=class_token,
        dtype=kind,
    )
    clustering = Clustering(
        superpixels_at_most, superpixel_cells, tuple(iterations), seed_count
    )

    def init(key, batch):
        terms.check_ways(batch)
        image = jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32)
        variables = initialize(net, key, image, rules=init_rules(width))
        return variables.pop("params"), variables

    def apply(method, variables, key, *args):
        """A method of the net in training, and the next model_state."""
        return net.apply(
            variables,
            *args,
            train=True,
            method=method,
            mutable=[kind for kind in variables if kind != "params"],
            rngs={"dropout": key},
        )

    def encode_training(params, model_state, photos, key):
        if blur:
            key, blur_key = jax.random.split(key)
            image = random_blur(jnp.float32(photos.image), blur_key, share=blur)
            photos = photos._replace(image=image)
        image = episodes.normalize(photos, entry)
        return apply("encode", {"params": params, **model_state}, key, image)

    def encode_pass_by_pass(params, state, batch, key):
        """Supports, queries and the next model_state: queries first, then each shot."""
        photos = episodes.photos(batch, "query")
        query, state = encode_training(params, state, photos, key)

        def one_shot(state, shot):
            photos, number = shot
            shot_key = jax.random.fold_in(key, number)
            found, state = encode_training(params, state, photos, shot_key)
            return state, found

        numbers = jnp.arange(batch["shot_valid"].shape[2])
        state, found = jax.lax.scan(one_shot, state, (terms.shots(batch), numbers))
        return terms.as_supports(found), query, state

    def trained(params, state, batch, key):
        """Logits of queries and of levels, prototypes and the next model_state."""
        encode_key, decode_key = jax.random.split(key)
        if separate_passes:
            supports, query, state = encode_pass_by_pass(
                params, state, batch, encode_key
            )
        else:
            photos = episodes.all_photos(batch)
            found, state = encode_training(params, state, photos, encode_key)
            supports, query = terms.split(found, batch["shot_valid"].size)
        learnt = terms.prototypes(clustering, supports.features, batch, train=True)
        allocation = terms.allocate(query.features, learnt, prior=prior)
        (logits, levels), state = apply(
            "decode", {"params": params, **state}, decode_key, query, allocation
        )
        return logits, [level for level, _ in levels], learnt, state

    def loss(params, model_state, batch, key, step):
        del step
        terms.check_ways(batch)
        logits, levels, learnt, state = trained(params, model_state, batch, key)
        mask = episodes.flat(batch["query_mask"], 2)  # [B Q, H, W]
        size = mask.shape[1:]
        logits, *levels = (
            resize(x, size, align_corners=True) for x in [logits, *levels]
        )
        of_levels = sum(cross_entropy(x, mask) for x in levels) / len(levels)
        parts = {"query": cross_entropy(logits, mask), "auxiliary": of_levels}
        total = parts["query"] + auxiliary * of_levels
        scalars = {f"loss/{name}": part for name, part in parts.items()}
        right = (jnp.argmax(logits, axis=-1) == mask).astype(jnp.float32)
        scalars["stat/accuracy"] = masked_mean(right, mask != IGNORE)
        count = jnp.sum(learnt.valid, axis=1, dtype=jnp.float32)
        scalars["stat/prototypes"] = jnp.mean(count)
        return total, (state, scalars | {"loss/total": total})

    def encode(params, model_state, photos):
        variables = {"params": params, **model_state}
        image = episodes.normalize(photos, entry)
        return net.apply(variables, image, photos.extent, method="encode")

    def learn(features, batch, extent):
        grid_extent = shrink(extent, module.stride)
        return terms.prototypes(
            clustering,
            features,
            batch,
            train=False,
            extent=extent,
            grid_extent=grid_extent,
        )

    def decode(params, model_state, query, learnt, batch):
        extent = episodes.photos(batch, "query").extent
        variables = {"params": params, **model_state}

        def logits_of(learnt):
            allocation = terms.allocate(query.features, learnt, prior=prior)
            return net.apply(variables, query, allocation, extent, method="decode")[0]

        if shots == "joined":
            logits = logits_of(learnt)
        else:
            logits = terms.averaged(logits_of, learnt, superpixels_at_most)
        rows = batch["query_image"].shape[:2]
        return {"logits": logits.reshape(*rows, *logits.shape[1:])}

    def fit(params, model_state, supports):
        terms.check_ways(supports)
        photos = episodes.photos(supports, "support")
        features = encode(params, model_state, photos).features
        centres, valid = learn(features, supports, photos.extent)
        return {"prototypes": centres, "valid": valid}

    def segment(params, model_state, learnt, queries):
        learnt = Prototypes(learnt["prototypes"], learnt["valid"])
        query = encode(params, model_state, episodes.photos(queries, "query"))
        return decode(params, model_state, query, learnt, queries)

    def predict(params, model_state, batch):
        terms.check_ways(batch)
        photos = episodes.all_photos(batch)
        count = batch["shot_valid"].size
        supports, query = terms.split(encode(params, model_state, photos), count)
        learnt = learn(supports.features, batch, photos.extent[:count])
        return decode(params, model_state, query, learnt, batch)

    return Method(
        init,
        loss,
        predict,
        reads="episodes",
        gives="episodes",
        fit=fit,
        segment=segment,
    )


def _check(**chosen: tuple[str, Sequence[str]]) -> None:
    """ValueError for a setting that is none of its choices."""
    for name, (value, choices) in chosen.items():
        if value not in choices:
            raise ValueError(f"{name}={value!r}: choose one of {', '.join(choices)}")
