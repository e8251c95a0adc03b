"""ContrastiveSeg: cross-entropy, and a contrast of pixels across images.

Wang et al., "Exploring Cross-Image Pixel Contrast for Semantic Segmentation", ICCV
2021. Its contrast and memory are in `ppcjax.methods.contrastive_terms`.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from ppcjax.methods import contrastive_terms as terms
from ppcjax.methods import segmentation
from ppcjax.nn import contrast_net
from ppcjax.nn.init import initialize
from ppcjax.ops.memory import fill_share
from ppcjax.ops.mining import Mining
from ppcjax.types import Method


def contrastive_seg(
    num_classes: int,
    *,
    mode: str = "mem_fixed",
    backbone: str = "hrnet_w48",
    backbone_settings: dict[str, Any] | None = None,
    head: str = "hrnet",
    head_settings: dict[str, Any] | None = None,
    auxiliary: Mapping[str, Any] | None = None,
    auxiliary_weight: float = 0.4,
    projection: str = "convmlp",
    projection_dim: int = 256,
    channels: str = "rgb",
    dtype: str = "float32",
    hsv_shift: int = 0,
    brightness_shift: int = 10,
    class_weights: Sequence[float] = (),
    hard_pixels: tuple[float, int] | tuple[()] = (),
    weight: float = 0.1,
    warmup_steps: int = 0,
    temperature: float = 0.1,
    base_temperature: float = 0.07,
    max_anchors: int = 1024,
    max_views: int = 100,
    region_slots: int = 5000,
    pixel_slots: int = 5000,
    pixels_per_push: int = 10,
    slot_dtype: str = "float32",
    with_batch: bool = False,
    mining: str = "semi_hard",
    mining_share: float = 0.1,
    positives: int = 1024,
    negatives: int = 2048,
    label_stride: int = 8,
    contrast_block: int = 4096,
) -> Method:
    """Per-pixel classification with a contrast of embeddings.

        L = CE(logits) + w_aux CE(aux) + (w L_contrast from step `warmup_steps` on)

    L_contrast is in `ppcjax.ops.pixel_contrast`, where the anchors come from in
    `ppcjax.ops.anchors`. The loss sees the memory from before the batch; the batch is
    pushed at every step, in the warm-up, too.

    Args:
        num_classes: C, the background included.
        mode: "nomem", "mem_official", "mem_fixed" or "mem_paper", see
            `ppcjax.methods.contrastive_terms`.
        backbone: a name of `ppcjax.nn.backbones.BACKBONES`.
        backbone_settings: fields of its module.
        head: see `ppcjax.nn.contrast_net.make`, also for the six that follow.
        head_settings: fields of its module.
        auxiliary: an auxiliary classifier.
        auxiliary_weight: w_aux, where the network has such a classifier.
        projection: "convmlp" or "linear".
        projection_dim: D.
        channels: "rgb" or "bgr".
        dtype: "float32" or "bfloat16", of the convolutions; classifiers, projection,
            statistics, similarities and losses are float32 always.
        hsv_shift: as of `segment`; 0: none.
        brightness_shift: largest random shift of all channels, 8-bit grey levels.
        class_weights: C weights of the classes in the cross-entropy; empty: all 1.
        hard_pixels: `threshold` and `least` of `ppcjax.losses.hard_cross_entropy`, such
            as (0.9, 100_000); empty: all pixels count.
        weight: w. With 0 there is no projection, no memory and no contrast: the
            baseline.
        warmup_steps: steps without the contrast.
        temperature: t of the contrast.
        base_temperature: t_base; the contrast is multiplied by t / t_base.
        max_anchors: S, anchors of the global batch.
        max_views: V, anchors of an image and class (in mem_paper of a class of the
            batch). Those with at most V cells on the grid take no part.
        region_slots: M of the means, per class. In mem_paper the paper has one per
            training image: give their number; the ring then holds the last as many
            images that show the class.
        pixel_slots: M of the pixels, per class; in the paper 10 per training image.
        pixels_per_push: K, pixels remembered of an image and class.
        slot_dtype: "float32" or "bfloat16".
        with_batch: whether anchors are contrasted with each other beside the memory.
        mining: of mem_paper: "semi_hard", "hardest" or "random".
        mining_share: hardest share of the memory that "semi_hard" draws from.
        positives: how many positives an anchor has in mem_paper.
        negatives: how many negatives.
        label_stride: of mem_official: step at which labels are taken for the memory.
        contrast_block: slots compared at once.

    Returns:
        A Method on DenseBatch with "mask". `predict` gives {"logits": [B, h, w, C]},
        zero beyond the image, to be resized with aligned corners, and "extent" [B, 2]
        in cells where the grid is not ceil(H / stride); it reads what `for_prediction`
        leaves.

    Raises:
        ValueError: for a setting outside its range.

    Source: released training program, as described in docs/deviations.md.
    """
    segmentation.check(
        "contrastive_seg",
        num_classes,
        class_weights,
        hsv_shift=hsv_shift,
        brightness_shift=brightness_shift,
    )
    if min(weight, auxiliary_weight, warmup_steps) < 0:
        raise ValueError(
            f"weight={weight}, auxiliary_weight={auxiliary_weight} and warmup_steps="
            f"{warmup_steps} must be at least 0"
        )
    if hard_pixels and not (len(hard_pixels) == 2 and 0 < hard_pixels[0] <= 1):
        raise ValueError(
            f"hard_pixels={hard_pixels}: give a probability in (0, 1] and a number of "
            "pixels, or nothing"
        )
    settings = terms.Contrast(
        mode=mode,
        num_classes=num_classes,
        temperature=temperature,
        base_temperature=base_temperature,
        max_anchors=max_anchors,
        max_views=max_views,
        region_slots=region_slots,
        pixel_slots=pixel_slots,
        pixels_per_push=pixels_per_push,
        slot_dtype=slot_dtype,
        with_batch=with_batch,
        mining=Mining(mining, mining_share, positives, negatives),
        label_stride=label_stride,
        block=contrast_block,
    )
    settings.check()
    recipe = contrast_net.make(
        num_classes,
        backbone=backbone,
        backbone_settings=backbone_settings,
        head=head,
        head_settings=head_settings,
        auxiliary=auxiliary,
        projection=projection,
        projection_dim=projection_dim,
        channels=channels,
        dtype=dtype,
    )
    contrasted = weight > 0
    prepare = partial(
        segmentation.prepare,
        mean=recipe.mean,
        std=recipe.std,
        hsv_shift=hsv_shift,
        brightness_shift=brightness_shift,
    )
    classification = partial(
        segmentation.classification,
        class_weights=class_weights,
        hard=tuple(hard_pixels),
    )

    def init(key, batch):
        del batch  # parameter shapes do not depend on it
        image = jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32)
        rules = recipe.init_rules
        variables = initialize(recipe.net, key, image, rules=rules, embed=contrasted)
        params = variables.pop("params")
        if contrasted:
            memory_key = jax.random.fold_in(key, 1)
            memory = terms.init_memory(settings, memory_key, projection_dim)
            variables |= {"memory": memory} if memory else {}
        return params, variables

    def loss(params, model_state, batch, key, step):
        colour_key, dropout_key, contrast_key = jax.random.split(key, 3)
        statistics = {k: v for k, v in model_state.items() if k != "memory"}
        out, statistics = recipe.net.apply(
            {"params": params, **statistics},
            prepare(batch, colour_key),
            train=True,
            embed=contrasted,
            rngs={"dropout": dropout_key},
            mutable=list(statistics),
        )
        total, accuracy = classification(out["logits"], batch["mask"])
        scalars = {"loss/segmentation": total, "stat/accuracy": accuracy}
        if "aux" in out:
            scalars["loss/auxiliary"], _ = classification(out["aux"], batch["mask"])
            total = total + auxiliary_weight * scalars["loss/auxiliary"]
        if contrasted:
            memory = model_state.get("memory", {})
            term, memory, stats = contrast(
                out, memory, batch["mask"], contrast_key, step
            )
            total = total + weight * term
            scalars |= {"loss/contrast": term, **stats}
            statistics |= {"memory": memory} if memory else {}
        return total, (statistics, scalars | {"loss/total": total})

    def contrast(out, memory, mask, key, step):
        """The term, 0 in the warm-up; the next memory; what to log."""
        anchor_key, mining_key, memory_key = jax.random.split(key, 3)
        embedding = out["embedding"]
        labels = terms.on_grid(mask, embedding.shape[1:3])
        scores = jax.lax.stop_gradient(out["logits"]).reshape(*labels.shape, -1)
        found, scalars = terms.choose_anchors(settings, labels, scores, anchor_key)

        def term(embedding):
            return terms.contrast(settings, embedding, found, memory, mining_key)

        # Not 0 times the term: whatever that is, it must not pass.
        warm = step < warmup_steps
        term = jax.lax.cond(warm, lambda _: jnp.float32(0.0), term, embedding)
        memory = terms.remember(settings, memory, embedding, mask, labels, memory_key)
        scalars |= {f"stat/{k}_fill": fill_share(bank) for k, bank in memory.items()}
        return term, memory, scalars

    def predict(params, model_state, batch):
        extent = batch["valid"][:, 2:]
        statistics = {k: v for k, v in model_state.items() if k != "memory"}
        out = recipe.net.apply(
            {"params": params, **statistics}, prepare(batch, None), extent, embed=False
        )
        return {name: out[name] for name in ("logits", "extent") if name in out}

    return Method(init, loss, predict, keep=for_prediction)


def for_prediction(params: Any, model_state: Any) -> tuple[Any, Any]:
    """What `predict` reads: everything but the projection and the memory."""

    def rest(tree):
        return {name: leaf for name, leaf in tree.items() if name != "projection"}

    kept = {k: rest(tree) for k, tree in model_state.items() if k != "memory"}
    return rest(params), kept
