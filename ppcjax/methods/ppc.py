"""PPC on SEAM: activation maps from image tags.

Du et al., "Weakly Supervised Semantic Segmentation by Pixel-to-Prototype Contrast",
CVPR 2022 (its contrasts are in `ppcjax.methods.ppc_terms`), on Wang et al., SEAM, CVPR
2020 (its terms are in `ppcjax.methods.seam`), or on EPS, which adds saliency maps
(`ppcjax.methods.eps`). Plain CAM, SEAM, EPS and every ablation are settings of `ppc`: a
weight of 0 leaves a term out, and without terms that compare views the second view is
not formed at all.
"""

import functools
from typing import Annotated, Literal, NamedTuple

import jax
import numpy as np

from ppcjax.fields import Range
from ppcjax.methods import common, eps, ppc_network, ppc_terms, seam
from ppcjax.methods.common import Jitter
from ppcjax.methods.correlation import Correlation
from ppcjax.methods.ppc_network import Maps, Network
from ppcjax.methods.tag_logits import Pooling
from ppcjax.nn.backbones import Backbone
from ppcjax.nn.cam_net import INIT_RULES, CamNet
from ppcjax.nn.frozen import is_aligned, is_frozen
from ppcjax.nn.layers import clip_to, features_extent
from ppcjax.types import Method, UserError

# Features of transformers are long: random maps of them tell cells apart before
# anything is learnt, and a pooling that weighs cells keeps to those.
_FLAT = (r"classifier/conv/kernel", lambda rng, shape: np.zeros(shape))


class _Setup(NamedTuple):
    """What the functions of the method know: first that of Built."""

    net: CamNet
    entry: Backbone
    order: np.ndarray
    mining: ppc_terms.Mining
    pooling: Pooling
    weights: seam.Weights
    contrast: ppc_terms.Contrast
    saliency: eps.Saliency
    jitter: tuple[float, ...]
    small_view: int
    losses_at: str
    maps: str

    @property
    def background(self) -> int:
        """Channel of the background."""
        return self.net.heads.background


def ppc(
    num_classes: int,
    *,
    network: Network,
    correlation: Correlation,
    tag_pooling: Pooling,
    seam_weights: seam.Weights,
    contrast: ppc_terms.Contrast,
    saliency: eps.Saliency,
    jitter: Jitter = (0.3, 0.3, 0.3, 0.1),
    small_view: Annotated[int, Range(8, 4096), "pixels"] = 128,
    losses_at: Literal["view", "network"] = "view",
    maps: Maps = "refined",
) -> Method:
    """Class activation maps from tags: plain CAM, SEAM or PPC.

        L = L_cls + w_min L_min + w_er L_er + w_ecr L_ecr
            + w_cp L_cp + w_cc L_cc + w_intra L_intra + w_sal L_sal

    L_cls and L_min are means over the two views where two are formed. L_sal is the sum
    of those of plain and (with a second view) of refined maps, means over views.

    Args:
        num_classes: C >= 2, the background included.
        network: the network.
        correlation: what its pixel correlation compares.
        tag_pooling: how maps become the logits of L_cls and of `predict`.
        seam_weights: weights w_min, w_er and w_ecr.
        contrast: weights w_cp, w_cc and w_intra, and how pixels are contrasted.
        saliency: weight w_sal, and how maps are compared with saliency.
        jitter: strength of brightness, contrast, saturation and hue.
        small_view: side of the second view.
        losses_at: resolution of maps in the losses of SEAM: "view", or "network", which
            EPS has.
        maps: what `predict` returns: "refined", "cam", "softmax" of the latter, or
            "affinity", "cam" above its mean after one pixel correlation in
            the embedding, for which nothing but "cam" need be trained.

    Returns:
        A Method on DenseBatch. `predict` gives {"scores": [B, h, w, C] maps >= 0,
        "tag_logits": [B, C]}; the maps' background channel carries no information.

    Raises:
        ValueError: there are fewer than two classes, or no such channel.
        UserError: settings do not go together.

    Source: released training program of PPC, as described in docs/deviations.md.
    """
    common.need_classes("ppc", num_classes)
    for name, channel in (
        ("background", network.background),
        ("teacher_background", seam_weights.teacher_background or 0),
    ):
        if channel >= num_classes:
            raise ValueError(f"{name}={channel}: there are {num_classes} channels")
    correlation.check(seam_weights, maps)
    built = ppc_network.build(
        num_classes, network=network, correlation=correlation, maps=maps
    )
    module, entry = built.net.backbone, built.entry
    if is_frozen(module):
        correlation.check_frozen(contrast.by_term())
    setup = _Setup(
        *built,
        ppc_terms.Mining.of(num_classes, *contrast.mining_shares),
        tag_pooling,
        seam_weights,
        contrast,
        saliency,
        jitter,
        small_view,
        losses_at,
        maps,
    )
    return Method(
        common.initializer(
            built.net, INIT_RULES if entry.mean else (_FLAT, *INIT_RULES)
        ),
        functools.partial(_loss, setup),
        functools.partial(_predict, setup),
        gives="maps",
        # XLA of jax 0.11.2 ends the process while it fuses some of the products.
        gpu_options={"xla_gpu_enable_triton_gemm": False},
        aligned=is_aligned(module),
        second_view=small_view if _compares_views(setup) else 0,
    )


def _loss(setup, params, model_state, batch, key, step):
    colour_key, first_key, second_key, pixel_key = jax.random.split(key, 4)
    image = common.normalized(batch, setup.entry, colour_key, setup.jitter)
    views = [image]
    if _compares_views(setup):
        views.append(ppc_network.second_view(image, batch, setup.small_view))
    outputs, sizes, model_state = _outputs(
        setup, params, model_state, views, (first_key, second_key)
    )
    tags, background = batch["tags"][:, setup.order], setup.background
    pool = functools.partial(
        setup.pooling.of_view,
        valid=batch["valid"],
        canvas=common.canvas_of(image, setup.net.backbone),
    )
    terms = {
        "classification": seam.classification(outputs, tags, sizes, background, pool)
    }
    weights = setup.weights.by_term() | {"saliency": setup.saliency.saliency}
    stats = {}
    if any(setup.weights.by_term().values()):
        teacher = setup.weights.teacher_background
        terms |= seam.terms(outputs, tags, sizes, background, teacher)
    if setup.saliency.saliency:
        if "saliency" not in batch:
            raise UserError(
                f"config.method.saliency={setup.saliency.saliency} needs a folder of "
                "grey maps ID.png: name it in config.data.saliency, which is empty"
            )
        terms["saliency"] = eps.saliency_term(
            outputs,
            batch["saliency"],
            tags,
            small_view=setup.small_view,
            background=background,
            overlap=setup.saliency.saliency_overlap,
            balance=setup.saliency.saliency_balance,
        )
    contrast = setup.contrast
    if any(contrast.by_term().values()):
        found, stats["stat/foreground"] = ppc_terms.contrasts(
            outputs,
            tags,
            pixel_key,
            mining=setup.mining,
            prototype_share=contrast.prototype_share,
            tagged=contrast.prototype_photos == "tagged",
            background=background,
            threshold=contrast.pseudo_threshold,
            temperature=contrast.temperature,
        )
        terms |= found
        started = step >= contrast.contrast_start
        weights |= {name: w * started for name, w in contrast.by_term().items()}
    total, scalars = common.weighted_sum(terms, weights)
    return total, (model_state, scalars | stats)


def _compares_views(setup) -> bool:
    return any({**setup.weights.by_term(), **setup.contrast.by_term()}.values())


def _outputs(setup, params, model_state, views, keys):
    """Outputs for the views, sizes at which they are compared, next model_state."""
    outputs = []
    for view, key in zip(views, keys, strict=False):
        output, model_state = common.train_pass(
            setup.net, params, model_state, key, view
        )
        outputs.append(output)
    at = views if setup.losses_at == "view" else [output.cam for output in outputs]
    return outputs, [x.shape[1:3] for x in at], model_state


def _predict(setup, params, model_state, batch):
    extent = common.extent_of(batch)
    image = common.normalized(batch, setup.entry)
    output = setup.net.apply({"params": params, **model_state}, image, extent)
    low = features_extent(setup.net.backbone, extent)
    if setup.maps == "refined":
        scores = output.refined
    elif setup.maps == "cam":
        scores = jax.nn.relu(output.cam)
    elif setup.maps == "affinity":
        scores = output.spread
    else:
        scores = clip_to(jax.nn.softmax(output.cam), low)
    logits = setup.pooling.of_photo(output.cam, low)
    channels = np.argsort(setup.order)  # of each class
    return {"scores": scores[..., channels], "tag_logits": logits[..., channels]}
