"""PPC on SEAM: activation maps from image tags.

Du et al., "Weakly Supervised Semantic Segmentation by Pixel-to-Prototype Contrast",
CVPR 2022, on SEAM (`ppcjax.methods.seam`). With P the projection, R the refined maps:

    pseudo labels, eq. 1        `contrast_view`
    prototypes, eq. 3           `ppcjax.ops.prototypes.estimate`
    L_cp, L_cc, section 3.4     `cross_view`
    L_intra, section 3.5        `intra_view`

Plain CAM, SEAM and every ablation are settings of `ppc`: a weight of 0 leaves a term
out, and without terms that compare views the second view is not formed at all.
"""

import math
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp

from ppcjax.losses import multilabel_soft_margin
from ppcjax.methods import seam
from ppcjax.nn import backbones
from ppcjax.nn.cam_net import INIT_RULES, CamHeads, CamNet, CamOutput
from ppcjax.nn.init import initialize
from ppcjax.ops import cam as cam_ops
from ppcjax.ops import colour, contrast, prototypes, sampling
from ppcjax.ops.masks import l2_normalize
from ppcjax.ops.resize import resize, resized_mean
from ppcjax.types import Method


class ContrastView(NamedTuple):
    """A view as the contrasts see it; pixels of the batch in order (n, y, x).

    pixels: [P, D] embeddings of unit norm, with gradient.
    features: [P, D] the same before normalisation.
    scores: [P, C] confidences S, constant.
    labels: [P] int32 pseudo labels, constant.
    """

    pixels: jax.Array
    features: jax.Array
    scores: jax.Array
    labels: jax.Array


class Mining(NamedTuple):
    """Semi-hard prototypes: ranks drop+1..keep of all C by similarity to a pixel."""

    drop: int
    keep: int

    @classmethod
    def of(cls, num_classes: int, drop_share: float, keep_share: float) -> "Mining":
        """Ranks as shares of the class count: 0.1 and 0.6 of 21 give 3 and 13."""
        drop = math.ceil(drop_share * num_classes)
        keep = max(math.ceil(keep_share * num_classes), drop + 1)
        return cls(min(drop, num_classes - 1), min(keep, num_classes))


def contrast_view(
    output: CamOutput,
    tags: chex.Array,
    grid: tuple[int, int],
    *,
    background: int = 0,
    threshold: float = 0.2,
) -> ContrastView:
    """Pixels, confidences and pseudo labels of a view.

        y_i = argmax_c S_ic tag_c,  S = `ppcjax.ops.cam.confidence` of R

    Args:
        output: of the network for the view.
        tags: [B, C] in {0, 1}, the background column 1.
        grid: (h, w) on which views are compared.
        background: index of the background channel.
        threshold: score of the background.

    Returns:
        The view, P = B h w.
    """
    features = resize(output.projection, grid, align_corners=True)
    refined = resize(output.refined, grid, align_corners=True)
    scores = cam_ops.confidence(refined, background=background, threshold=threshold)
    labels = jnp.argmax(scores * tags[:, None, None, :], axis=-1)
    features = features.reshape(-1, features.shape[-1])
    return ContrastView(
        pixels=l2_normalize(features),
        features=features,
        scores=scores.reshape(-1, scores.shape[-1]),
        labels=labels.reshape(-1),
    )


def cross_view(
    one: ContrastView,
    two: ContrastView,
    centres: tuple[chex.Array, chex.Array],
    *,
    temperature: float = 0.1,
) -> dict[str, jax.Array]:
    """The two cross-view contrasts, not yet weighted.

        L_cp = ( nce(v1, y1, p2) + nce(v2, y2, p1) ) / 2    own label, other prototypes
        L_cc = ( nce(v1, y2, p1) + nce(v2, y1, p2) ) / 2    other label, own prototypes

    Args:
        one: the first view.
        two: the second view, pixel for pixel the same places.
        centres: [C, D] prototypes p1 of the first view and p2 of the second.
        temperature: t > 0.

    Returns:
        "cross_prototype" and "cross_cam", [] nats.
    """

    def nce(view, labels, prototype):
        return contrast.pixel_to_prototype(
            view.pixels, labels, prototype, temperature=temperature
        )

    first, second = centres
    own = nce(one, one.labels, second) + nce(two, two.labels, first)
    other = nce(one, two.labels, first) + nce(two, one.labels, second)
    return {"cross_prototype": own / 2, "cross_cam": other / 2}


def intra_view(
    view: ContrastView,
    centres: chex.Array,
    random_pixels: chex.Array,
    *,
    mining: Mining,
    temperature: float = 0.1,
) -> jax.Array:
    """Contrast within a view against semi-hard prototypes, over mined pixels.

    Per class, half of its pixels at random and half that are hard (a pixel in both
    counts twice); the mean over a class, then over classes.

    Args:
        view: the view.
        centres: [C, D] its own prototypes.
        random_pixels: [P] bool, the random half of each class.
        mining: ranks of the prototypes that serve as negatives.
        temperature: t > 0.

    Returns:
        [] nats, not yet weighted.
    """
    nats, similarity = contrast.semi_hard_nats(
        view.pixels,
        view.labels,
        centres,
        drop=mining.drop,
        keep=mining.keep,
        temperature=temperature,
    )
    num_classes = centres.shape[0]
    hard_pixels = sampling.hard_half(view.labels, similarity, num_classes)
    weights = random_pixels.astype(jnp.float32) + hard_pixels
    return sampling.mean_over_classes(nats, view.labels, weights, num_classes)


def ppc(
    num_classes: int,
    *,
    backbone: str = "wide_resnet38",
    backbone_settings: dict[str, Any] | None = None,
    background: int = 0,
    projection: int = 128,
    affinity: tuple[int, int, int] = (64, 128, 192),
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
    temperature: float = 0.1,
    pseudo_threshold: float = 0.2,
    prototype_share: float = 0.125,
    mining_shares: tuple[float, float] = (0.1, 0.6),
    maps: str = "refined",
    correlation_block: int = 1024,
) -> Method:
    """Class activation maps from tags: plain CAM, SEAM or PPC.

        L = L_cls + w_min L_min + w_er L_er + w_ecr L_ecr
            + w_cp L_cp + w_cc L_cc + w_intra L_intra

    L_cls and L_min are means over the two views where two are formed.

    Args:
        num_classes: C >= 2, the background included.
        backbone: a name of `ppcjax.nn.backbones.BACKBONES`.
        backbone_settings: fields of its module.
        background: index of the background channel.
        projection: channels D of the contrast features.
        affinity: channels in the pixel correlation, see `CamHeads`.
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
        temperature: t of the contrasts.
        pseudo_threshold: background score in pseudo labels.
        prototype_share: K of a prototype, as a share of one image's grid cells.
        mining_shares: hardest share of prototypes dropped, and share up to which
            they are kept.
        maps: what `predict` returns, "refined" or "cam".
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
    if maps not in ("refined", "cam"):
        raise ValueError(f"maps={maps!r}: choose 'refined' or 'cam'")
    module, entry = backbones.make(
        backbone, dtype=jnp.dtype(dtype), **(backbone_settings or {})
    )
    heads = CamHeads(
        num_classes, background, projection, affinity, dropout, correlation_block
    )
    net = CamNet(module, heads)
    mining = Mining.of(num_classes, *mining_shares)
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
        if any(jitter):
            brightness, contrast_strength, saturation, hue = jitter
            image = colour.jitter(
                image,
                batch["valid"],
                key,
                brightness=brightness,
                contrast=contrast_strength,
                saturation=saturation,
                hue=hue,
            )
        return colour.normalize(image, batch["valid"], mean=entry.mean, std=entry.std)

    def contrast_terms(one, two, tags, key):
        grid = two.refined.shape[1:3]
        count = max(1, int(grid[0] * grid[1] * prototype_share))
        views, centres, inner = [], [], []
        for output, view_key in zip((one, two), jax.random.split(key), strict=True):
            view = contrast_view(
                output, tags, grid, background=background, threshold=pseudo_threshold
            )
            top = prototypes.most_confident(view.scores, count)
            centre = prototypes.estimate(view.features, view.scores, top)
            chosen = sampling.random_half(view.labels, view_key, num_classes)
            inner.append(
                intra_view(view, centre, chosen, mining=mining, temperature=temperature)
            )
            views.append(view)
            centres.append(centre)
        terms = cross_view(*views, tuple(centres), temperature=temperature)
        foreground = jnp.mean(views[0].labels != background)
        return terms | {"intra": sum(inner) / 2}, {"stat/foreground": foreground}

    def loss(params, model_state, batch, key, step):
        del step  # no term is scheduled
        colour_key, first_key, second_key, pixel_key = jax.random.split(key, 4)
        tags = batch["tags"]
        image = prepare(batch, colour_key)
        sizes = [image.shape[1:3]]
        output, model_state = apply(params, model_state, image, first_key)
        outputs = [output]
        if uses_two_views:
            sizes.append((small_view, small_view))
            small = resize(image, sizes[1], align_corners=True)
            output, model_state = apply(params, model_state, small, second_key)
            outputs.append(output)
        terms = {
            "classification": classification(outputs, tags, sizes, background),
        }
        stats = {}
        if any(seam_weights.values()):
            terms |= seam_terms(outputs, tags, sizes, background)
        if uses_contrast:
            contrasts, stats = contrast_terms(*outputs, tags, pixel_key)
            terms |= contrasts
        weights = {"classification": 1.0} | seam_weights | contrast_weights
        total = sum(weights[name] * term for name, term in terms.items())
        scalars = {f"loss/{name}": term for name, term in terms.items()}
        return total, (model_state, scalars | {"loss/total": total} | stats)

    def predict(params, model_state, batch):
        image = batch["image"].astype(jnp.float32) / 255.0
        image = colour.normalize(image, batch["valid"], mean=entry.mean, std=entry.std)
        extent = batch["valid"][:, 2:]
        output = net.apply({"params": params, **model_state}, image, extent)
        low = -(-extent // module.stride)
        area = jnp.maximum(jnp.prod(low, axis=1), 1)[:, None]
        scores = output.refined if maps == "refined" else jax.nn.relu(output.cam)
        logits = jnp.sum(output.cam, axis=(1, 2)) / area
        return {"scores": scores, "tag_logits": logits}

    return Method(init, loss, predict)


def classification(
    outputs: list[CamOutput],
    tags: chex.Array,
    sizes: list[tuple[int, int]],
    background: int,
) -> jax.Array:
    """L_cls: tags predicted from the mean of each view's upsampled maps.

    Args:
        outputs: of each view.
        tags: [B, C] in {0, 1}.
        sizes: (H, W) of each view.
        background: index of the channel left out.

    Returns:
        [] nats, mean over views.
    """
    foreground = jnp.asarray([c for c in range(tags.shape[1]) if c != background])

    def of_view(output, size):
        logits = resized_mean(output.cam, size)
        return multilabel_soft_margin(logits[:, foreground], tags[:, foreground])

    terms = [of_view(o, s) for o, s in zip(outputs, sizes, strict=True)]
    return sum(terms) / len(terms)


def seam_terms(
    outputs: list[CamOutput],
    tags: chex.Array,
    sizes: list[tuple[int, int]],
    background: int,
) -> dict[str, jax.Array]:
    """The terms of SEAM beyond classification, not yet weighted.

    Args:
        outputs: of the view and of its smaller copy.
        tags: [B, C] in {0, 1}, the background column 1.
        sizes: (H, W) of both; maps are compared at the second.
        background: index of the background channel.

    Returns:
        "min_pooling" (mean over views), "equivariance" and "cross_equivariance".
    """
    pools, cams, refined = [], [], []
    for output, size in zip(outputs, sizes, strict=True):
        upsampled = resize(output.refined, size, align_corners=True)
        pools.append(seam.min_pooling(upsampled, tags, background=background))
        cams.append(seam.tagged_max_norm(output.cam, tags, size, sizes[1]))
        refined.append(seam.tagged_max_norm(output.refined, tags, size, sizes[1]))
    crossed = seam.equivariant_cross_regularization(
        tuple(cams), tuple(refined), background=background
    )
    return {
        "min_pooling": sum(pools) / 2,
        "equivariance": seam.equivariant_regularization(*cams, background=background),
        "cross_equivariance": sum(crossed),
    }
