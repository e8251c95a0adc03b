"""PPC on SEAM: activation maps from image tags.

Du et al., "Weakly Supervised Semantic Segmentation by Pixel-to-Prototype Contrast",
CVPR 2022 (its contrasts are in `ppcjax.methods.ppc_terms`), on Wang et al., SEAM, CVPR
2020 (its terms are in `ppcjax.methods.seam`), or on EPS, which adds saliency maps
(`ppcjax.methods.eps`). Plain CAM, SEAM, EPS and every ablation are settings of `ppc`: a
weight of 0 leaves a term out, and without terms that compare views the second view is
not formed at all.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ppcjax.methods import eps, ppc_terms, seam
from ppcjax.nn import backbones
from ppcjax.nn.cam_net import INIT_RULES, CamHeads, CamNet
from ppcjax.nn.init import initialize
from ppcjax.nn.layers import clip_to
from ppcjax.ops import colour
from ppcjax.ops.resize import resize
from ppcjax.types import Method


def ppc(
    num_classes: int,
    *,
    backbone: str = "wide_resnet38",
    backbone_settings: dict[str, Any] | None = None,
    background: int = 0,
    projection: int = 128,
    affinity: tuple[int, int, int] = (64, 128, 192),
    image_gain: float = 1.0,
    centred: bool = False,
    dropout: float = 0.5,
    dtype: str = "float32",
    jitter: tuple[float, float, float, float] = (0.3, 0.3, 0.3, 0.1),
    small_view: int = 128,
    min_pooling: float = 1.0,
    equivariance: float = 1.0,
    cross_equivariance: float = 1.0,
    cross_prototype: float = 0.1,
    cross_cam: float = 0.1,
    intra: float = 0.1,
    saliency: float = 0.0,
    saliency_overlap: float = 0.4,
    saliency_balance: float = 0.5,
    contrast_start: int = 0,
    temperature: float = 0.1,
    pseudo_threshold: float = 0.2,
    prototype_share: float = 0.125,
    mining_shares: tuple[float, float] = (0.1, 0.6),
    losses_at: str = "view",
    teacher_background: int | None = None,
    maps: str = "refined",
    correlation_block: int = 1024,
) -> Method:
    """Class activation maps from tags: plain CAM, SEAM or PPC.

        L = L_cls + w_min L_min + w_er L_er + w_ecr L_ecr
            + w_cp L_cp + w_cc L_cc + w_intra L_intra + w_sal L_sal

    L_cls and L_min are means over the two views where two are formed. L_sal is the sum
    of those of plain and (with a second view) of refined maps, means over views.

    Args:
        num_classes: C >= 2, the background included.
        backbone: a name of `ppcjax.nn.backbones.BACKBONES`.
        backbone_settings: fields of its module.
        background: channel of the background in the network, which decides ties; -1
            for the last, as in EPS. In batches and predictions it is 0 always.
        projection: channels D of the contrast features.
        affinity: channels in the pixel correlation, see `CamHeads`.
        image_gain: weight of the image in the pixel correlation, see `CamHeads`.
        centred: whether the pixel correlation compares features without their mean,
            see `CamHeads`.
        dropout: rate on the embedding.
        dtype: "float32" or "bfloat16", of the backbone's convolutions; heads, losses
            and similarities are float32 always.
        jitter: strength of brightness, contrast, saturation and hue.
        small_view: side of the second view, pixels.
        min_pooling: weight w_min.
        equivariance: weight w_er.
        cross_equivariance: weight w_ecr.
        cross_prototype: weight w_cp.
        cross_cam: weight w_cc.
        intra: weight w_intra.
        saliency: weight w_sal; above 0, batches need "saliency".
        saliency_overlap: see `eps.saliency_loss`.
        saliency_balance: see `eps.saliency_loss`.
        contrast_start: step from which the contrasts count. 0 as released; a network
            trained from scratch has nothing to contrast before its maps mean
            something.
        temperature: t of the contrasts.
        pseudo_threshold: background score in pseudo labels.
        prototype_share: K of a prototype, as a share of one image's grid cells.
        mining_shares: hardest share of prototypes dropped, and share up to which
            they are kept.
        losses_at: resolution of maps in the losses of SEAM: "view", or "network" as
            in EPS.
        teacher_background: channel that the teacher of ECR takes for the background;
            None: the right one. EPS + PPC as released has 0, with the background last.
        maps: what `predict` returns: "refined", "cam", or "softmax" of the latter.
        correlation_block: columns of the pixel correlation formed at once.

    Returns:
        A Method on DenseBatch. `predict` gives {"scores": [B, h, w, C] maps >= 0,
        "tag_logits": [B, C]}; the maps' background channel carries no information.

    Raises:
        ValueError: for a setting outside its range.

    Source: released training program of PPC, as described in docs/deviations.md.
    """
    if num_classes < 2:
        raise ValueError("ppc needs a background and at least one more class")
    if background not in range(-1, num_classes):
        raise ValueError(f"background={background}: there are {num_classes} channels")
    background %= num_classes
    if maps not in ("refined", "cam", "softmax"):
        raise ValueError(f"maps={maps!r}: choose 'refined', 'cam' or 'softmax'")
    if losses_at not in ("view", "network"):
        raise ValueError(f"losses_at={losses_at!r}: choose 'view' or 'network'")
    if len(jitter) != 4:
        raise ValueError(f"jitter={jitter}: give four strengths")
    if not temperature > 0:
        raise ValueError(f"temperature={temperature}: give a number above 0")
    module, entry = backbones.make(
        backbone, dtype=jnp.dtype(dtype), **(backbone_settings or {})
    )
    heads = CamHeads(
        num_classes,
        background,
        projection,
        affinity,
        dropout,
        correlation_block,
        image_gain,
        centred,
    )
    net = CamNet(module, heads)
    mining = ppc_terms.Mining.of(num_classes, *mining_shares)
    seam_weights = {
        "min_pooling": min_pooling,
        "equivariance": equivariance,
        "cross_equivariance": cross_equivariance,
    }
    contrast_weights = {
        "cross_prototype": cross_prototype,
        "cross_cam": cross_cam,
        "intra": intra,
    }
    # Channel -> class: the background is class 0 wherever its channel is.
    order = np.insert(np.arange(1, num_classes), background, 0)
    uses_contrast = any(contrast_weights.values())
    uses_two_views = uses_contrast or any(seam_weights.values())

    def init(key, batch):
        del batch  # parameter shapes do not depend on it
        image = jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32)
        variables = initialize(net, key, image, rules=INIT_RULES)
        return variables.pop("params"), variables

    def apply(params, model_state, image, key):
        return net.apply(
            {"params": params, **model_state},
            image,
            train=True,
            rngs={"dropout": key},
            mutable=list(model_state),
        )

    def prepare(batch, key):
        image = batch["image"].astype(jnp.float32) / 255.0
        if key is not None and any(jitter):
            image = colour.jitter(image, batch["valid"], key, strengths=jitter)
        return colour.normalize(image, batch["valid"], mean=entry.mean, std=entry.std)

    def loss(params, model_state, batch, key, step):
        colour_key, first_key, second_key, pixel_key = jax.random.split(key, 4)
        tags = batch["tags"][:, order]
        image = prepare(batch, colour_key)
        sizes = [image.shape[1:3]]
        output, model_state = apply(params, model_state, image, first_key)
        outputs = [output]
        if uses_two_views:
            sizes.append((small_view, small_view))
            small = resize(image, sizes[1], align_corners=True)
            output, model_state = apply(params, model_state, small, second_key)
            outputs.append(output)
        if losses_at == "network":
            sizes = [output.cam.shape[1:3] for output in outputs]
        terms = {
            "classification": seam.classification(outputs, tags, sizes, background)
        }
        stats = {}
        if any(seam_weights.values()):
            terms |= seam.terms(outputs, tags, sizes, background, teacher_background)
        if saliency:
            terms["saliency"] = eps.saliency_term(
                outputs,
                batch["saliency"],
                tags,
                small_view=small_view,
                background=background,
                overlap=saliency_overlap,
                balance=saliency_balance,
            )
        if uses_contrast:
            contrast_terms, stats["stat/foreground"] = ppc_terms.contrasts(
                outputs,
                tags,
                pixel_key,
                mining=mining,
                prototype_share=prototype_share,
                background=background,
                threshold=pseudo_threshold,
                temperature=temperature,
            )
            terms |= contrast_terms
        started = step >= contrast_start
        weights = {"classification": 1.0, "saliency": saliency} | seam_weights
        weights |= {name: w * started for name, w in contrast_weights.items()}
        total = sum(weights[name] * term for name, term in terms.items())
        scalars = {f"loss/{name}": term for name, term in terms.items()}
        return total, (model_state, scalars | {"loss/total": total} | stats)

    def predict(params, model_state, batch):
        image = prepare(batch, key=None)
        extent = batch["valid"][:, 2:]
        output = net.apply({"params": params, **model_state}, image, extent)
        low = -(-extent // module.stride)
        area = jnp.maximum(jnp.prod(low, axis=1), 1)[:, None]
        scores = {
            "refined": lambda: output.refined,
            "cam": lambda: jax.nn.relu(output.cam),
            "softmax": lambda: clip_to(jax.nn.softmax(output.cam), low),
        }[maps]()
        logits = jnp.sum(output.cam, axis=(1, 2)) / area
        classes = np.argsort(order)  # class -> channel
        return {"scores": scores[..., classes], "tag_logits": logits[..., classes]}

    return Method(init, loss, predict, gives="maps")
