"""PixPro's networks in one training step, its terms, and signs of collapse.

Xie et al., CVPR 2021, in the form of the released program.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import chex
import jax
import jax.numpy as jnp
import optax

from ppcjax.fields import Range, kinds
from ppcjax.methods.common import Temperature, Weight
from ppcjax.nn.pixpro_net import TARGET_PARTS, Maps, PixProNet
from ppcjax.ops.masks import l2_normalize
from ppcjax.ops.pixel_pairs import Pairs, consistency, pixel_contrast
from ppcjax.ops.propagation import propagate


@dataclass(frozen=True, kw_only=True)
class Pixels:
    """The pixel branch.

    loss: "pixpro", "consistency" (without propagation: q is the projection), or
        "pixcontrast" (cells without a pair are negatives; mean of both directions).
    pixel_weight: w_pix; 0 leaves this branch out.
    threshold: largest distance of a pair, exclusive, in diagonals of a cell.
    power: exponent of the propagation.
    clamp: least similarity in the propagation.
    temperature: t of "pixcontrast".
    block: cells compared with all others at once.
    """

    loss: Literal["pixpro", "consistency", "pixcontrast"] = "pixpro"
    pixel_weight: Weight = 1.0
    threshold: Annotated[float, Range(above=0, most=1000), "diagonals of a cell"] = 0.7
    power: kinds.Power = 2.0
    clamp: Annotated[float, Range(-1, 1)] = 0.0
    temperature: Temperature = 0.3
    block: Annotated[kinds.Block, "cells"] = 1024


@dataclass(frozen=True, kw_only=True)
class Instances:
    """The instance branch.

    instance_weight: w_inst; 0 leaves this branch out.
    instance: L_inst, "byol" (as released) or "simclr" (as the paper says).
    instance_temperature: t of "simclr".
    """

    instance_weight: Weight = 0.0
    instance: Literal["byol", "simclr"] = "byol"
    instance_temperature: Temperature = 0.2


def cosine_momentum(step: chex.Numeric, *, start: float, steps: int) -> jax.Array:
    """Weight of the old target at update k, [] float32.

        m_k = 1 - (1 - start) (cos(pi k / steps) + 1) / 2

    From `start` it rises to 1, which it reaches at k = `steps` and keeps.
    """
    share = jnp.minimum(step, steps) / steps
    return 1.0 - (1.0 - start) * (jnp.cos(jnp.pi * share) + 1.0) / 2.0


@jax.named_scope("moving_average")
def moving_average(target: Any, online: Any, momentum: chex.Numeric) -> Any:
    """Trees t and o -> momentum * t + (1 - momentum) * o."""
    return jax.tree.map(
        lambda t, o: momentum * t + (1.0 - momentum) * o, target, online
    )


def target_parts(tree: dict[str, Any]) -> dict[str, Any]:
    """The part of the online network's variables that the target network has too."""
    return {name: tree[name] for name in TARGET_PARTS if name in tree}


def both_networks(
    net: PixProNet,
    params: Any,
    model_state: dict[str, Any],
    views: tuple[chex.Array, chex.Array],
    momentum: chex.Numeric,
) -> tuple[list[Maps], list[Maps], dict[str, Any]]:
    """Online and target network on both views, in the order of the released program.

    Each view passes on its own, with its own batch statistics, first through the online
    network; then the target moves towards the online parameters as they are before this
    step's update; then the views pass through it, in training mode too. Stored
    statistics of both networks thus move twice, and are each network's own.

    Args:
        net: the module of both.
        params: parameters of the online network.
        model_state: "batch_stats" of the online network, "target" and "target_stats".
        views: two batches [B, H, W, 3], normalised.
        momentum: weight of the old target.

    Returns:
        The maps of both views of the online network; those of the target, without
        gradient; the next model_state.
    """
    stats = {"batch_stats": model_state["batch_stats"]}
    online, keys = [], []
    for view in views:
        maps, stats = net.apply(
            {"params": params, **stats}, view, train=True, mutable=["batch_stats"]
        )
        online.append(maps)
    target = moving_average(
        model_state["target"], target_parts(jax.lax.stop_gradient(params)), momentum
    )
    target_stats = {"batch_stats": model_state["target_stats"]}
    for view in views:
        maps, target_stats = net.apply(
            {"params": target, **target_stats},
            view,
            train=True,
            mutable=["batch_stats"],
            method="target",
        )
        keys.append(jax.lax.stop_gradient(maps))
    model_state = {
        "batch_stats": stats["batch_stats"],
        "target": target,
        "target_stats": target_stats["batch_stats"],
    }
    return online, keys, model_state


def both_directions(
    compare: Callable[..., Pairs],
    queries: list[jax.Array],
    keys: list[jax.Array],
    box: chex.Array,
) -> tuple[jax.Array, jax.Array]:
    """Loss of view 1 against the target's view 2 plus that of 2 against 1.

    Args:
        compare: (queries, keys, query_box, key_box) -> Pairs.
        queries: [B, h, w, D] of unit norm, of views 1 and 2.
        keys: [B, h, w, D] of unit norm, of views 1 and 2.
        box: [B, 2, 4] of the views.

    Returns:
        [] their sum, and [B] pairs of each image (the same in both directions).
    """
    first, second = box[:, 0], box[:, 1]
    there = compare(queries[0], keys[1], first, second)
    back = compare(queries[1], keys[0], second, first)
    return there.loss + back.loss, there.count


def pixel_loss(
    online: Sequence[Maps], target: Sequence[Maps], box: chex.Array, settings: Pixels
) -> tuple[jax.Array, jax.Array]:
    """The pixel branch's term, of the one map or of each level of a pyramid.

    Each level is compared on its own grid, so that the threshold is in units of its
    own cells; an image without a pair on a level adds 0 to that level.

    Args:
        online: maps of views 1 and 2.
        target: maps of the target network, of the same views.
        box: [B, 2, 4] of the views.
        settings: how pixels are compared.

    Returns:
        [L] the terms of the levels, from fine to coarse (L = 1 without a pyramid), and
        [L, B] pairs of each image.
    """
    near = {"threshold": settings.threshold, "block": settings.block}
    compare = functools.partial(consistency, **near)
    if settings.loss == "pixcontrast":
        compare = functools.partial(
            pixel_contrast, temperature=settings.temperature, **near
        )

    def query(maps):
        if settings.loss != "pixpro":
            return l2_normalize(maps.projection)
        y = propagate(
            maps.projection,
            maps.value,
            power=settings.power,
            clamp=settings.clamp,
            block=settings.block,
        )
        return l2_normalize(y)

    found = []
    for own, other in zip(_by_level(online), _by_level(target), strict=True):
        keys = [l2_normalize(maps.projection) for maps in other]
        term, count = both_directions(compare, [query(x) for x in own], keys, box)
        # The contrast is a mean over cells of both views, the consistency a sum.
        half = settings.loss == "pixcontrast"
        found.append((term / 2.0 if half else term, count))
    terms, counts = zip(*found, strict=True)
    return jnp.stack(terms), jnp.stack(counts)


def _by_level(views: Sequence[Maps]) -> list[tuple[Maps, ...]]:
    """The maps of all views, level by level."""
    return list(zip(*(maps.levels for maps in views), strict=True))


def pooled(x: chex.Array) -> jax.Array:
    """Mean over the cells of [B, h, w, D], to unit norm: [B, D]."""
    return l2_normalize(jnp.mean(x.astype(jnp.float32), axis=(1, 2)))


def instance_loss(
    online: Sequence[Maps], target: Sequence[Maps], settings: Instances
) -> jax.Array:
    """L_inst of the maps of views 1 and 2, of the online and of the target network."""
    keys = [pooled(maps.instance) for maps in target]
    if settings.instance == "byol":
        return byol_loss([pooled(maps.prediction) for maps in online], keys)
    queries = [pooled(maps.instance) for maps in online]
    return contrast_loss(queries, keys, temperature=settings.instance_temperature)


def byol_loss(queries: list[jax.Array], keys: list[jax.Array]) -> jax.Array:
    """-2 mean_n z1 . z2' - 2 mean_n z2 . z1' of unit vectors [B, D]; in [-4, 4]."""
    cosines = [
        jnp.mean(jnp.sum(query * key, axis=-1))
        for query, key in zip(queries, keys[::-1], strict=True)
    ]
    return -2.0 * sum(cosines)


def contrast_loss(
    queries: list[jax.Array], keys: list[jax.Array], *, temperature: float
) -> jax.Array:
    """Each image's other view against both views of all other images.

        L_n = -log( e^{z_n . k_n / t} / (e^{z_n . k_n / t} + S_n) )
        S_n = sum_{m != n} sum_v e^{z_n . k_mv / t}

    where k_n is the target's other view of image n and k_mv its view v of image m.

    Args:
        queries: [B, D] of unit norm, of views 1 and 2.
        keys: [B, D] of unit norm, of views 1 and 2, from the target network.
        temperature: t > 0.

    Returns:
        [] nats per view.
    """
    batch = len(queries[0])
    own = jnp.eye(batch, dtype=bool)
    nats = []
    for view, query in enumerate(queries):
        other = jnp.matmul(query, keys[1 - view].T, precision=_HIGHEST) / temperature
        same = jnp.matmul(query, keys[view].T, precision=_HIGHEST) / temperature
        # Its own key of the same view is neither a positive nor a negative.
        logits = jnp.concatenate([other, jnp.where(own, -jnp.inf, same)], axis=1)
        nats.append(
            optax.softmax_cross_entropy_with_integer_labels(logits, jnp.arange(batch))
        )
    return jnp.mean(jnp.stack(nats))


_HIGHEST = jax.lax.Precision.HIGHEST


def collapse_monitors(keys: chex.Array) -> dict[str, jax.Array]:
    """Signs of a network that says the same of everything.

    Args:
        keys: [B, h, w, D] of unit norm.

    Returns:
        "stat/channel_std", mean over channels of the deviation over images and cells:
        about 1 / sqrt(D) in health, 0 if collapsed; "stat/cosine_between", mean cosine
        of cells of two different images (0 if there is only one), and
        "stat/cosine_within", of two cells of one image: 1 if collapsed.
    """
    keys = jax.lax.stop_gradient(keys)
    batch = keys.shape[0]
    centre = jnp.mean(keys, axis=(1, 2))  # [B, D]
    within = jnp.sum(centre**2, axis=-1)  # [B]
    every = jnp.sum(jnp.sum(centre, axis=0) ** 2) - jnp.sum(within)
    return {
        "stat/channel_std": jnp.mean(jnp.std(keys, axis=(0, 1, 2))),
        "stat/cosine_between": every / max(batch * (batch - 1), 1),
        "stat/cosine_within": jnp.mean(within),
    }
