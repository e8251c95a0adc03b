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

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np

from ppcjax.ops import anchors as anchor_ops
from ppcjax.ops import memory as memory_ops
from ppcjax.ops import pixel_contrast, released_memory
from ppcjax.ops.memory import Bank
from ppcjax.ops.mining import KINDS, Mining
from ppcjax.ops.seeds import shrink_nearest
from ppcjax.types import IGNORE

MODES = ("nomem", "mem_official", "mem_fixed", "mem_paper")
Memory = dict[str, Bank]


class Contrast(NamedTuple):
    """Settings of the contrast; they are explained in `contrastive_seg`."""

    mode: str
    num_classes: int
    temperature: float
    base_temperature: float
    max_anchors: int
    max_views: int
    region_slots: int
    pixel_slots: int
    pixels_per_push: int
    slot_dtype: str
    with_batch: bool
    mining: Mining
    label_stride: int
    block: int

    def check(self) -> None:
        """Raises ValueError for a setting outside its range."""
        if self.mode not in MODES:
            raise ValueError(f"mode={self.mode!r}: choose one of {', '.join(MODES)}")
        if not (self.temperature > 0 and self.base_temperature > 0):
            raise ValueError(
                f"temperature={self.temperature} and base_temperature="
                f"{self.base_temperature} must be above 0"
            )
        counts = ("max_anchors", "max_views", "region_slots", "pixel_slots")
        for name in (*counts, "pixels_per_push", "label_stride", "block"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}: give at least 1")
        if self.slot_dtype not in ("float32", "bfloat16"):
            raise ValueError(
                f"slot_dtype={self.slot_dtype!r}: choose 'float32' or 'bfloat16'"
            )
        if self.mining.kind not in KINDS or not 0 < self.mining.share <= 1:
            raise ValueError(
                f"mining={self.mining.kind!r}, mining_share={self.mining.share}: "
                f"choose one of {', '.join(KINDS)}, and a share in (0, 1]"
            )
        if self.mode == "mem_official" and self.region_slots != self.pixel_slots:
            raise ValueError("mem_official has as many region_slots as pixel_slots")
        columns = self.num_classes * (self.region_slots + self.pixel_slots)
        if self.mode == "mem_official" and self.max_anchors > columns:
            raise ValueError(
                f"max_anchors={self.max_anchors}: mem_official needs at least as many "
                f"slots in all, and there are {columns}"
            )


def init_memory(settings: Contrast, key: chex.PRNGKey, dim: int) -> Memory:
    """The memory before the first step, as NumPy arrays; {} in the mode "nomem"."""
    if settings.mode == "nomem":
        return {}
    dtype = jnp.dtype(settings.slot_dtype)
    slots = {"region": settings.region_slots, "pixel": settings.pixel_slots}
    if settings.mode != "mem_official":
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
        settings: of the contrast.
        labels: [B, P] int32 class of each cell of the grid, or IGNORE.
        scores: [B, P, C] logits there, constant for gradients.
        key: of the draws.

    Returns:
        The anchors, and what to log of them.
    """
    wrong = jnp.argmax(scores, axis=-1) != labels
    rule = "hard_easy"
    if settings.mode == "mem_paper":  # a quota per class of the batch, not of an image
        rule = "hard_random"
        labels, wrong = labels.reshape(1, -1), wrong.reshape(1, -1)
    draws = anchor_ops.draw(key, *labels.shape, settings.num_classes)
    found = anchor_ops.select(
        labels,
        wrong,
        draws,
        max_anchors=settings.max_anchors,
        max_views=settings.max_views,
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


def contrast(
    settings: Contrast,
    embedding: chex.Array,
    found: anchor_ops.Anchors,
    memory: Memory,
    key: chex.PRNGKey,
) -> jax.Array:
    """The contrast of one batch.

    Args:
        settings: of the contrast.
        embedding: [B, h, w, D] float32 unit vectors.
        found: the anchors.
        memory: as it was before this batch.
        key: of the mining's draws.

    Returns:
        [] nats; 0 with zero gradient where nothing can be compared.
    """
    rows = embedding.reshape(-1, embedding.shape[-1])[found.cell]  # [S, D]
    banks = tuple(memory.values())
    without = mining = None
    if settings.mode == "mem_official":
        slots = settings.region_slots + settings.pixel_slots
        without = released_memory.masked_positive(
            found.label, settings.num_classes, slots
        )
        banks = tuple(released_memory.as_read(bank) for bank in banks)
    if settings.mode == "mem_paper":
        mining = settings.mining
    return pixel_contrast.contrast(
        rows,
        found.label,
        banks=banks,
        with_anchors=not banks or settings.with_batch,
        temperature=settings.temperature,
        base_temperature=settings.base_temperature,
        mining=mining,
        key=key,
        without=without,
        block=settings.block,
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
        settings: of the contrast.
        memory: as it was before.
        embedding: [B, h, w, D] float32 unit vectors; constant for gradients.
        mask: [B, H, W] int32 in 0..C-1 or IGNORE.
        labels: [B, h w] int32, the same on the grid.
        key: of the draws.

    Returns:
        The next memory.
    """
    if not memory:
        return memory
    keys = jax.lax.stop_gradient(embedding)
    keys = keys.reshape(*labels.shape, keys.shape[-1])  # [B, P, D]
    many = {"num_classes": settings.num_classes, "most": settings.pixels_per_push}
    if settings.mode == "mem_official":
        step = settings.label_stride
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
