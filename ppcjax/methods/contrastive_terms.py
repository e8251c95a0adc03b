"""The contrast of ContrastiveSeg and its memory, in four modes.

Wang et al., "Exploring Cross-Image Pixel Contrast for Semantic Segmentation", ICCV
2021.

    nomem          anchors against each other: the released program behind the
                   published numbers
    mem_official   anchors against the released memory, fault for fault
    mem_fixed      the same design with its faults mended
    mem_paper      the paper's: anchors half hard and half random, each against
                   semi-hard pixels and regions of the memory; never released
"""

from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np

from ppcjax.fields import OneOf, Range, kinds
from ppcjax.methods.common import Temperature
from ppcjax.ops import anchors as anchor_ops
from ppcjax.ops import memory as memory_ops
from ppcjax.ops import pixel_contrast, released_memory
from ppcjax.ops.memory import Bank
from ppcjax.ops.mining import KINDS, Mining
from ppcjax.ops.resize import shrink_nearest
from ppcjax.types import IGNORE

Memory = dict[str, Bank]
Count = kinds.Count


@dataclass(frozen=True, kw_only=True)
class AnchorSettings:
    """What is contrasted, and how.

    mode: one of the four above.
    temperature: t of the contrast.
    base_temperature: t_base; the contrast is multiplied by t / t_base.
    max_anchors: S, anchors of the global batch.
    max_views: V, anchors of an image and class (in mem_paper of a class of the
        batch). Those with at most V cells on the grid take no part.
    with_batch: whether anchors are contrasted with each other beside the memory.
    mining: slots that take part in mem_paper: "semi_hard", "hardest" or "random".
    mining_share: hardest share of the memory that "semi_hard" draws from.
    positives: how many positives an anchor has in mem_paper.
    negatives: how many negatives it has there.
    contrast_block: slots compared at once.
    """

    mode: Literal["nomem", "mem_official", "mem_fixed", "mem_paper"] = "mem_fixed"
    temperature: Temperature = 0.1
    base_temperature: Temperature = 0.07
    max_anchors: Count = 1024
    max_views: Count = 100
    with_batch: bool = False
    mining: Annotated[str, OneOf(KINDS)] = "semi_hard"
    mining_share: Annotated[float, Range(above=0, most=1)] = 0.1
    positives: Count = 1024
    negatives: Count = 2048
    contrast_block: Annotated[kinds.Block, "slots"] = 4096


@dataclass(frozen=True, kw_only=True)
class MemorySettings:
    """The memory.

    region_slots: M of the means, per class. In mem_paper the paper has one per
        training image: give their number; the ring then holds the last images that
        show the class, that many of them.
    pixel_slots: M of the pixels, per class; in the paper 10 per training image.
    pixels_per_push: K, pixels remembered of an image and class.
    slot_dtype: type of what is remembered.
    label_stride: step at which mem_official takes labels for the memory.
    """

    region_slots: Count = 5000
    pixel_slots: Count = 5000
    pixels_per_push: Count = 10
    slot_dtype: Literal["float32", "bfloat16"] = "float32"
    label_stride: Annotated[int, Range(1, 1024), "pixels"] = 8


class Contrast(NamedTuple):
    """The contrast of a data set of C classes."""

    anchors: AnchorSettings
    slots: MemorySettings
    num_classes: int

    def check(self) -> None:
        """Raises ValueError for settings that do not fit each other."""
        region, pixel = self.slots.region_slots, self.slots.pixel_slots
        if self.anchors.mode == "mem_official" and region != pixel:
            raise ValueError("mem_official has as many region_slots as pixel_slots")
        columns, most = self.num_classes * (region + pixel), self.anchors.max_anchors
        if self.anchors.mode == "mem_official" and most > columns:
            raise ValueError(
                f"max_anchors={most}: mem_official needs at least as many slots in "
                f"all, and there are {columns}"
            )


def init_memory(settings: Contrast, key: chex.PRNGKey, dim: int) -> Memory:
    """The memory before the first step, as NumPy arrays; {} in the mode "nomem"."""
    if settings.anchors.mode == "nomem":
        return {}
    dtype = jnp.dtype(settings.slots.slot_dtype)
    slots = {"region": settings.slots.region_slots, "pixel": settings.slots.pixel_slots}
    if settings.anchors.mode != "mem_official":
        return {
            name: memory_ops.empty_bank(settings.num_classes, size, dim, dtype)
            for name, size in slots.items()
        }
    seed = np.asarray(jax.random.key_data(key)).ravel().tolist()
    rng = np.random.Generator(np.random.Philox(np.random.SeedSequence(seed)))
    return {
        name: released_memory.random_bank(rng, settings.num_classes, size, dim, dtype)
        for name, size in slots.items()
    }


def choose_anchors(
    settings: Contrast, labels: chex.Array, scores: chex.Array, key: chex.PRNGKey
) -> tuple[anchor_ops.Anchors, dict[str, jax.Array]]:
    """Where the contrast starts from.

    Args:
        settings: settings of the contrast.
        labels: [B, P] int32 class of each cell of the grid, or IGNORE.
        scores: [B, P, C] logits there, constant for gradients.
        key: PRNG key of the draws.

    Returns:
        The anchors, and what to log of them.
    """
    wrong = jnp.argmax(scores, axis=-1) != labels
    rule = "hard_easy"
    if (
        settings.anchors.mode == "mem_paper"
    ):  # a quota per class of the batch, not of an image
        rule = "hard_random"
        labels, wrong = labels.reshape(1, -1), wrong.reshape(1, -1)
    draws = anchor_ops.draw(key, *labels.shape, settings.num_classes)
    found = anchor_ops.select(
        labels,
        wrong,
        draws,
        max_anchors=settings.anchors.max_anchors,
        max_views=settings.anchors.max_views,
        rule=rule,
    )
    used = found.label != IGNORE
    hard = jnp.sum(wrong.reshape(-1)[found.cell] & used)
    return found, {
        "stat/pairs": found.pairs.astype(jnp.float32),
        "stat/dropped_pairs": found.dropped.astype(jnp.float32),
        "stat/views": found.views.astype(jnp.float32),
        "stat/hard_anchors": hard / jnp.maximum(jnp.sum(used), 1),
    }


def batch_contrast(
    settings: Contrast,
    embedding: chex.Array,
    found: anchor_ops.Anchors,
    memory: Memory,
    key: chex.PRNGKey,
) -> jax.Array:
    """The contrast of one batch.

    Args:
        settings: settings of the contrast.
        embedding: [B, h, w, D] float32 unit vectors.
        found: the anchors.
        memory: the memory from before this batch.
        key: PRNG key of the mining's draws.

    Returns:
        [] nats; 0 with zero gradient where nothing can be compared.
    """
    rows = embedding.reshape(-1, embedding.shape[-1])[found.cell]  # [S, D]
    banks = tuple(memory.values())
    without = mining = None
    if settings.anchors.mode == "mem_official":
        slots = settings.slots.region_slots + settings.slots.pixel_slots
        without = released_memory.masked_positive(
            found.label, settings.num_classes, slots
        )
        banks = tuple(released_memory.as_read(bank) for bank in banks)
    if settings.anchors.mode == "mem_paper":
        chosen = settings.anchors
        mining = Mining(
            chosen.mining, chosen.mining_share, chosen.positives, chosen.negatives
        )
    return pixel_contrast.contrast(
        rows,
        found.label,
        banks=banks,
        with_anchors=not banks or settings.anchors.with_batch,
        temperature=settings.anchors.temperature,
        base_temperature=settings.anchors.base_temperature,
        mining=mining,
        key=key,
        without=without,
        block=settings.anchors.contrast_block,
    )


def remember(
    settings: Contrast,
    memory: Memory,
    embedding: chex.Array,
    mask: chex.Array,
    labels: chex.Array,
    key: chex.PRNGKey,
) -> Memory:
    """The memory after a batch.

    Args:
        settings: settings of the contrast.
        memory: the memory from before.
        embedding: [B, h, w, D] float32 unit vectors; constant for gradients.
        mask: [B, H, W] int32 in 0..C-1 or IGNORE.
        labels: [B, h w] int32, the same on the grid.
        key: PRNG key of the draws.

    Returns:
        The next memory.
    """
    if not memory:
        return memory
    keys = jax.lax.stop_gradient(embedding)
    keys = keys.reshape(*labels.shape, keys.shape[-1])  # [B, P, D]
    many = {"num_classes": settings.num_classes, "most": settings.slots.pixels_per_push}
    if settings.anchors.mode == "mem_official":
        step = settings.slots.label_stride
        coarse = mask[:, ::step, ::step].reshape(len(mask), -1)
        cells = released_memory.draw_cells(coarse, key, **many)
        region, pixel = released_memory.push(
            memory["region"], memory["pixel"], keys, coarse, cells
        )
        return {"region": region, "pixel": pixel}
    regions = memory_ops.region_vectors(keys, labels, settings.num_classes)
    draws = jax.random.uniform(key, labels.shape)
    pixels = memory_ops.pixel_vectors(keys, labels, draws, **many)
    return {
        "region": memory_ops.push(memory["region"], *regions),
        "pixel": memory_ops.push(memory["pixel"], *pixels),
    }


def on_grid(mask: chex.Array, size: tuple[int, int]) -> jax.Array:
    """The class under the first pixel of each cell: [B, H, W] -> [B, h w] int32."""
    return shrink_nearest(mask, size).reshape(len(mask), -1)
