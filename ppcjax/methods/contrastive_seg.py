"""ContrastiveSeg: cross-entropy, and a contrast of pixels across images.

Wang et al., "Exploring Cross-Image Pixel Contrast for Semantic Segmentation", ICCV
2021. Its contrast and memory are in `ppcjax.methods.contrastive_terms`.
"""

import dataclasses
import functools
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple

import jax
import jax.numpy as jnp

from ppcjax.fields import OneOf, Range, kinds
from ppcjax.methods import common, segmentation
from ppcjax.methods import contrastive_terms as terms
from ppcjax.methods.common import Fields, Steps, Weight
from ppcjax.methods.segmentation import ClassWeights, Shift
from ppcjax.nn import contrast_net, modules
from ppcjax.nn.frozen import is_aligned
from ppcjax.nn.heads import HEADS
from ppcjax.nn.projection import KINDS
from ppcjax.ops.memory import fill_share
from ppcjax.types import Method


@dataclass(frozen=True, kw_only=True)
class Network(common.Network):
    """The network of ContrastiveSeg, see `ppcjax.nn.contrast_net.make`.

    backbone: name of the backbone.
    backbone_settings: fields of its module.
    dtype: type of the convolutions; classifiers, projection, statistics, similarities
        and losses are float32 always.
    head: "hrnet", "ocr", or a head of DeepLab.
    head_settings: fields of its module.
    auxiliary: "endpoint" of the backbone and "width" (0 for that of the endpoint) of an
        auxiliary head; None for none, but with "ocr" one as wide as "embedding".
    projection: "convmlp" or "linear".
    projection_dim: D, channels of an embedding.
    channels: order in which the network sees the colours. "bgr" feeds blue normalised
        by the statistics of red first, which the released program does.
    """

    backbone: common.BackboneName = "hrnet_w48"
    head: Annotated[str, OneOf(HEADS)] = "hrnet"
    head_settings: Fields = None
    auxiliary: Fields = None
    projection: Annotated[str, OneOf(KINDS)] = "convmlp"
    projection_dim: modules.Channels = 256
    channels: Literal["rgb", "bgr"] = "rgb"


@dataclass(frozen=True, kw_only=True)
class Colours:
    """Random colours of training photos.

    hsv_shift: largest random shift of hue, saturation and value; 0 for none.
    brightness_shift: largest random shift of all channels.
    """

    hsv_shift: Shift = 0
    brightness_shift: Shift = 10


@dataclass(frozen=True, kw_only=True)
class Loss:
    """The terms of the loss.

    class_weights: C weights of the classes in the cross-entropy; empty where all are 1.
    hard_pixels: `threshold` and `least` of `ppcjax.losses.hard_cross_entropy`, such as
        (0.9, 100_000); empty where all pixels count.
    auxiliary_weight: w_aux, where the network has an auxiliary classifier.
    weight: w. With 0 there is no projection, no memory and no contrast: the baseline.
    warmup_steps: steps without the contrast.
    """

    class_weights: ClassWeights = ()
    hard_pixels: (
        tuple[Annotated[float, Range(above=0, most=1)], kinds.Total] | tuple[()]
    ) = ()
    auxiliary_weight: Weight = 0.4
    weight: Weight = 0.1
    warmup_steps: Steps = 0


class _Setup(NamedTuple):
    """What the functions of the method know."""

    recipe: contrast_net.Recipe
    contrast: terms.Contrast
    colours: Colours
    loss: Loss
    projection_dim: int

    @property
    def contrasted(self) -> bool:
        """Whether there is a contrast at all."""
        return self.loss.weight > 0


def contrastive_seg(
    num_classes: int,
    *,
    network: Network,
    colours: Colours,
    loss: Loss,
    anchors: terms.AnchorSettings,
    memory: terms.MemorySettings,
) -> Method:
    """Per-pixel classification with a contrast of embeddings.

        L = CE(logits) + w_aux CE(aux) + (w L_contrast from step `warmup_steps` on)

    L_contrast is in `ppcjax.ops.pixel_contrast`, where the anchors come from in
    `ppcjax.ops.anchors`. The loss sees the memory from before the batch; the batch is
    pushed at every step, in the warm-up, too.

    Args:
        num_classes: C, the background included.
        network: the network.
        colours: random colours of training photos.
        loss: weights of the terms, classes and pixels.
        anchors: what is contrasted, and how.
        memory: what is remembered.

    Returns:
        A Method on DenseBatch with "mask". `predict` gives {"logits": [B, h, w, C]},
        zero beyond the image, to be resized with aligned corners, and "extent" [B, 2]
        in cells where the grid is not ceil(H / stride).

    Raises:
        ValueError: settings do not fit each other.

    Source: released training program, as described in docs/deviations.md.
    """
    segmentation.check("contrastive_seg", num_classes, loss.class_weights)
    contrast = terms.Contrast(anchors, memory, num_classes)
    contrast.check()
    recipe = contrast_net.make(num_classes, **_own(network))
    setup = _Setup(recipe, contrast, colours, loss, network.projection_dim)
    return Method(
        functools.partial(_init, setup),
        functools.partial(_loss, setup),
        functools.partial(_predict, setup),
        keep=_keep,
        aligned=is_aligned(recipe.net.backbone),
    )


def _own(settings: Any) -> dict[str, Any]:
    """The fields of a dataclass by name."""
    return {f.name: getattr(settings, f.name) for f in dataclasses.fields(settings)}


def _init(setup, key, batch):
    recipe, contrasted = setup.recipe, setup.contrasted
    start = common.initializer(recipe.net, recipe.init_rules, embed=contrasted)
    params, state = start(key, batch)
    if contrasted:
        memory_key = jax.random.fold_in(key, 1)
        memory = terms.init_memory(setup.contrast, memory_key, setup.projection_dim)
        state |= {"memory": memory} if memory else {}
    return params, state


def _prepare(setup, batch, key):
    """Normalised images [B, H, W, 3]; with random colours where there is a key."""
    return segmentation.prepare(
        batch,
        key,
        mean=setup.recipe.mean,
        std=setup.recipe.std,
        **_own(setup.colours),
    )


def _loss(setup, params, model_state, batch, key, step):
    colour_key, dropout_key, contrast_key = jax.random.split(key, 3)
    statistics = {k: v for k, v in model_state.items() if k != "memory"}
    out, statistics = common.train_pass(
        setup.recipe.net,
        params,
        statistics,
        dropout_key,
        _prepare(setup, batch, colour_key),
        embed=setup.contrasted,
    )
    classification = functools.partial(
        segmentation.classification,
        mask=batch["mask"],
        class_weights=setup.loss.class_weights,
        hard=setup.loss.hard_pixels,
        aligned=is_aligned(setup.recipe.net.backbone),
    )
    nats, accuracy = classification(out["logits"])
    parts = {"segmentation": nats}
    if "aux" in out:
        parts["auxiliary"], _ = classification(out["aux"])
    stats = {"stat/accuracy": accuracy}
    if setup.contrasted:
        memory = model_state.get("memory", {})
        parts["contrast"], memory, more = _contrast_and_remember(
            setup, out, memory, batch["mask"], contrast_key, step
        )
        stats |= more
        statistics |= {"memory": memory} if memory else {}
    weights = {"auxiliary": setup.loss.auxiliary_weight, "contrast": setup.loss.weight}
    total, scalars = common.weighted_sum(parts, weights)
    return total, (statistics, scalars | stats)


def _contrast_and_remember(setup, out, memory, mask, key, step):
    """L_contrast, 0 in the warm-up; the next memory; what to log."""
    anchor_key, mining_key, memory_key = jax.random.split(key, 3)
    settings, embedding = setup.contrast, out["embedding"]
    labels = terms.on_grid(mask, embedding.shape[1:3])
    scores = jax.lax.stop_gradient(out["logits"]).reshape(*labels.shape, -1)
    found, scalars = terms.choose_anchors(settings, labels, scores, anchor_key)

    def compare(embedding):
        return terms.batch_contrast(settings, embedding, found, memory, mining_key)

    # Not 0 times the term: whatever that is, it must not pass.
    warm = step < setup.loss.warmup_steps
    nats = jax.lax.cond(warm, lambda _: jnp.float32(0.0), compare, embedding)
    memory = terms.remember(settings, memory, embedding, mask, labels, memory_key)
    scalars |= {f"stat/{k}_fill": fill_share(bank) for k, bank in memory.items()}
    return nats, memory, scalars


def _predict(setup, params, model_state, batch):
    extent = common.extent_of(batch)
    statistics = {k: v for k, v in model_state.items() if k != "memory"}
    image = _prepare(setup, batch, None)
    out = setup.recipe.net.apply(
        {"params": params, **statistics}, image, extent, embed=False
    )
    return {name: out[name] for name in ("logits", "extent") if name in out}


def _keep(params: Any, model_state: Any) -> tuple[Any, Any]:
    """What `predict` reads: everything but the projection and the memory."""

    def rest(tree):
        return {name: leaf for name, leaf in tree.items() if name != "projection"}

    kept = {k: rest(tree) for k, tree in model_state.items() if k != "memory"}
    return rest(params), kept
