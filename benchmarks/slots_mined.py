"""Which cells become anchors, and which slots of the memory these are compared with."""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.slots_seen import Opened, Seen
from ppcjax.methods import contrastive_terms as terms
from ppcjax.ops import anchors as anchor_ops
from ppcjax.ops import mining as mining_ops
from ppcjax.ops import pixel_contrast
from ppcjax.types import IGNORE

Chosen = tuple[anchor_ops.Anchors, dict[str, jax.Array]]


def choose(of: Opened, seen: Sequence[Seen]) -> list[Chosen]:
    """The anchors of each batch, and what training logs of them.

    Args:
        of: the run.
        seen: the batches.
    """
    one = jax.jit(functools.partial(terms.choose_anchors, of.contrast))
    return [
        one(batch.labels, batch.scores, jax.random.key(i))
        for i, batch in enumerate(seen)
    ]


def anchor_numbers(
    of: Opened, seen: Sequence[Seen], chosen: Sequence[Chosen]
) -> dict[str, Any]:
    """Which cells become anchors, means over batches; "hard" are mispredicted cells.

    Args:
        of: the run.
        seen: the batches.
        chosen: anchors of each, as `choose` gives them.
    """
    logged, anchors, cells = [], [], []
    for one, (found, scalars) in zip(seen, chosen, strict=True):
        logged.append({k.removeprefix("stat/"): float(v) for k, v in scalars.items()})
        wrong = np.asarray(one.wrong).ravel()
        where, label = np.asarray(found.cell), np.asarray(found.label)
        anchors.append(_counts(label, wrong[where], len(of.classes)))
        cells.append(_counts(np.asarray(one.labels).ravel(), wrong, len(of.classes)))
    means = {k: float(np.mean([one[k] for one in logged])) for k in logged[0]}
    anchors, cells = np.mean(anchors, 0), np.mean(cells, 0)
    hard, every = anchors.sum(0)
    return {
        "mode": of.contrast.anchors.mode,
        "of_a_batch": every,
        "hard": hard / max(every, 1),
        "easy": 1 - hard / max(every, 1),
        "hard_among_all_cells": cells[:, 0].sum() / max(cells[:, 1].sum(), 1),
        **{k: means[k] for k in ("pairs", "dropped_pairs", "views")},
        "classes": {
            name: {"anchors": n, "hard": k, "cells": m, "hard_cells": j}
            for name, (k, n), (j, m) in zip(of.classes, anchors, cells, strict=True)
        },
    }


def _counts(labels: np.ndarray, wrong: np.ndarray, num_classes: int) -> np.ndarray:
    """[C, 2]: of each class those that are wrong, and all."""
    member = labels[:, None] == np.arange(num_classes)[None]
    return np.stack([(member & wrong[:, None]).sum(0), member.sum(0)], 1).astype(float)


def mining_numbers(
    of: Opened, seen: Sequence[Seen], chosen: Sequence[Chosen]
) -> dict[str, Any]:
    """Which slots anchors are contrasted with; means over the anchors that have some.

    Of negatives and positives: "available" and "picked" slots, the mean cosine of
    both, and "least_hard", the rank of the easiest that is picked as a share of those
    available, the hardest first. "in_loss": positives that the loss counts itself.

    Args:
        of: the run.
        seen: the batches.
        chosen: anchors of each, as `choose` gives them.

    Returns:
        The numbers; {} where there is no memory.
    """
    if not of.memory:
        return {}
    rows: dict[str, dict[str, list]] = {}
    mined = jax.jit(functools.partial(_mined, of))
    for i, (one, (found, _)) in enumerate(zip(seen, chosen, strict=True)):
        told = mined(one.embedding, found, jax.random.key(i))
        for kind, values in told.items():
            some = np.asarray(values["picked"]) > 0
            for name, value in values.items():
                rows.setdefault(kind, {}).setdefault(name, []).append(
                    np.asarray(value)[some]
                )
    settings = of.contrast.anchors
    asked = {
        name: getattr(settings, name)
        for name in ("mining", "mining_share", "positives", "negatives")
    }
    numbers = {"asked": asked if settings.mode == "mem_paper" else "all slots"}
    for kind, values in rows.items():
        joined = {name: np.concatenate(parts) for name, parts in values.items()}
        numbers[kind] = {
            k: float(v.mean()) if len(v) else None for k, v in joined.items()
        }
    return numbers


def _mined(of: Opened, embedding, found, key) -> dict[str, dict[str, jax.Array]]:
    """What `mining_numbers` tells, of each anchor [S]."""
    anchors = embedding.reshape(-1, embedding.shape[-1])[found.cell]
    banks = list(of.memory.values())
    slots = jnp.concatenate([b["slots"].astype(jnp.float32) for b in banks], axis=1)
    live = [jnp.arange(b["slots"].shape[1])[None] < b["filled"][:, None] for b in banks]
    live = jnp.concatenate(live, axis=1).ravel()
    owner = jnp.repeat(jnp.arange(len(slots)), slots.shape[1])
    vectors = slots.reshape(-1, slots.shape[-1])
    cosine = jnp.matmul(anchors, vectors.T, precision=jax.lax.Precision.HIGHEST)
    used = (found.label != IGNORE)[:, None] & live[None]
    same = owner[None] == found.label[:, None]
    chosen = of.contrast.anchors
    mined = chosen.mode == "mem_paper"
    mining = mining_ops.Mining(
        chosen.mining, chosen.mining_share, chosen.positives, chosen.negatives
    )
    told = {}
    for kind, most, sign, allowed in (
        ("negatives", chosen.negatives, 1, used & ~same),
        ("positives", chosen.positives, -1, used & same),
    ):
        picked = allowed
        if mined:
            picked = mining_ops.drawn(mining, most, sign * cosine, allowed, key)
        told[kind] = _told(sign * cosine, allowed, picked, sign)
    _, count = pixel_contrast.row_nats(
        anchors,
        found.label,
        banks=banks,
        with_anchors=False,
        temperature=chosen.temperature,
        mining=mining if mined else None,
        key=key,
    )
    told["positives"]["in_loss"] = count
    return told


def _told(difficulty, allowed, picked, sign) -> dict[str, jax.Array]:
    def mean(where):
        total = jnp.sum(jnp.where(where, difficulty, 0.0), axis=1)
        return sign * total / jnp.maximum(jnp.sum(where, axis=1), 1)

    available = jnp.sum(allowed, axis=1)
    easiest = jnp.min(jnp.where(picked, difficulty, 9.0), axis=1, keepdims=True)
    rank = mining_ops.at_least(jnp.where(allowed, difficulty, -9.0), easiest)[:, 0]
    return {
        "available": available,
        "picked": jnp.sum(picked, axis=1),
        "cosine": mean(allowed),
        "cosine_of_picked": mean(picked),
        "least_hard": rank / jnp.maximum(available, 1),
    }
