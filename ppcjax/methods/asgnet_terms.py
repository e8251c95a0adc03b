"""The parts of ASGNet between encoding and decoding photos: no parameters, no Flax."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple

import chex
import jax
import jax.numpy as jnp

from ppcjax.fields import Range, kinds
from ppcjax.methods import episodes
from ppcjax.ops import seeds as seed_ops
from ppcjax.ops import superpixels
from ppcjax.ops.resize import resize, shrink_nearest
from ppcjax.types import UserError

_Count = kinds.Few


class Clustering(NamedTuple):
    """How an object is divided into superpixels.

    at_most: S, superpixels of one support.
    cells: area of one, in cells of the grid.
    iterations: steps of the clustering, in training and in prediction.
    seed_count: "placed" or "released", see `ppcjax.ops.seeds.released_count`.
    sharpness: factor of features in the distances.
    """

    at_most: int
    cells: int
    iterations: tuple[int, int]
    seed_count: str
    sharpness: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Guidance:
    """How supports become prototypes, and how prototypes guide queries.

    superpixels_at_most: S, superpixels of one support.
    superpixel_cells: area of one superpixel on the grid.
    iterations: steps of the clustering, in training and in prediction.
    prior: "mean" or "sum" (released) of the similarities; the sum grows with K; 0
        where it is "none".
    shots: how a prediction from K > 1 shots is made. "averaged": each shot segments
        the query on its own and the probabilities are averaged, so that a network
        trained on one shot gains from five. "joined" (released): prototypes of all
        shots compete for each cell, for networks trained on that many.
    seed_count: "placed", or "released", which loses seeds of objects at the upper and
        left border, see `ppcjax.ops.seeds.released_count`.
    sharpness: factor of features while they are clustered; 1 as released. Where the
        features of an object are no more than some 3 apart, all its superpixels then
        end at its mean; the larger it is, the fewer cells is each a mean of.
    """

    superpixels_at_most: _Count = 5
    superpixel_cells: Annotated[kinds.Count, "cells"] = 100
    iterations: tuple[_Count, _Count] = (10, 5)
    prior: Literal["mean", "sum", "none"] = "mean"
    shots: Literal["averaged", "joined"] = "averaged"
    seed_count: Literal["placed", "released"] = "placed"
    sharpness: Annotated[float, Range(above=0, most=1000)] = 1.0

    def clustering(self) -> Clustering:
        """The part of it that makes superpixels."""
        return Clustering(
            self.superpixels_at_most,
            self.superpixel_cells,
            self.iterations,
            self.seed_count,
            self.sharpness,
        )


class Prototypes(NamedTuple):
    """Of the supports of B episodes: centres [B, K S, D] and which exist [B, K S]."""

    centres: chex.Array
    valid: chex.Array


def check_ways(batch: Mapping[str, chex.Array]) -> None:
    """UserError for episodes of several classes at once."""
    ways = batch["shot_valid"].shape[1]
    if ways != 1:
        raise UserError(
            f"asgnet segments one class an episode, these have {ways}; set data.way=1"
        )


def prototypes(
    clustering: Clustering,
    features: chex.Array,
    batch: Mapping[str, chex.Array],
    *,
    train: bool,
    extent: chex.Array | None = None,
    grid_extent: chex.Array | None = None,
) -> Prototypes:
    """Superpixels of all supports of each episode.

    Args:
        clustering: the settings.
        features: [B K, h, w, D] of the supports.
        batch: an EpisodeBatch of one way; its support masks and "shot_valid" are read.
        train: which number of iterations.
        extent: [B K, 2] true rows and columns of the photos, or None.
        grid_extent: [B K, 2] those of the features, or None.

    Returns:
        The prototypes; no gradient passes.
    """
    mask = episodes.flat(batch["support_mask"], 3) == 1  # [B K, H, W]
    grid = features.shape[1:3]
    at = {"in_extent": extent, "out_extent": grid_extent}
    weights = resize(mask[..., None], grid, align_corners=True, **at)[..., 0]
    seeds = seed_ops.place_seeds(
        shrink_nearest(mask, grid, **at),
        cells=clustering.cells,
        largest=clustering.at_most,
    )
    if clustering.seed_count == "released":
        seeds = seeds._replace(count=seed_ops.released_count(seeds.cells))
    steps = clustering.iterations[0 if train else 1]
    centres, valid = superpixels.object_prototypes(
        features * clustering.sharpness, weights, seeds, iterations=steps
    )
    centres = centres / clustering.sharpness
    valid = valid & jnp.reshape(batch["shot_valid"], (-1, 1))
    rows = batch["shot_valid"].shape[0]
    return Prototypes(
        centres.reshape(rows, -1, centres.shape[-1]), valid.reshape(rows, -1)
    )


def allocate(
    query: chex.Array, found: Prototypes, *, prior: str
) -> superpixels.Allocation:
    """GPA for features [B Q, h, w, D] of the queries of B episodes."""
    repeats = query.shape[0] // found.valid.shape[0]  # Q
    centres, valid = (jnp.repeat(jnp.asarray(x), repeats, axis=0) for x in found)
    return superpixels.allocate(query, centres, valid, prior=prior)


def averaged(
    logits_of: Callable[[Prototypes], jax.Array], learnt: Prototypes, slots: int
) -> jax.Array:
    """Scores from several shots, each of which segments the queries on its own.

        S = log mean_k softmax(logits_of(prototypes of shot k))

    Args:
        logits_of: gives [B Q, h, w, J] from the prototypes of one shot.
        learnt: prototypes of K shots.
        slots: S, prototypes of one shot.

    Returns:
        [B Q, h, w, J]: log probabilities, a mean over the shots that show the class; 0
        where all logits are; the logits themselves where K = 1.
    """
    rows, total = learnt.valid.shape
    count = total // slots
    if count == 1:
        return logits_of(learnt)
    by_shot = Prototypes(
        *(
            jnp.moveaxis(jnp.reshape(x, (rows, count, slots, *x.shape[2:])), 1, 0)
            for x in learnt
        )
    )
    logits = jax.lax.map(logits_of, by_shot)  # [K, B Q, h, w, J]
    shows = jnp.any(by_shot.valid, axis=-1)  # [K, B]
    # Where no shot shows the class all of them say the same.
    shows = jnp.where(jnp.any(shows, axis=0, keepdims=True), shows, True)
    shows = jnp.repeat(shows, logits.shape[1] // rows, axis=1)[..., None, None, None]
    nats = jax.nn.log_softmax(logits, axis=-1)
    mean = jax.nn.logsumexp(nats, axis=0, b=shows.astype(jnp.float32))
    mean = mean - jnp.log(jnp.sum(shows, axis=0))
    padding = jnp.all(logits == 0, axis=(0, -1))[..., None]
    return jnp.where(padding, 0.0, mean)


def shots(batch: Mapping[str, chex.Array]) -> episodes.Photos:
    """The supports shot by shot: image [K, B, H, W, 3], valid [K, B, 4]."""
    return episodes.Photos(
        *(
            jnp.moveaxis(batch[f"support_{part}"][:, 0], 1, 0)
            for part in episodes.Photos._fields
        )
    )


def as_supports(found: Any) -> Any:
    """Arrays [K, B, ...] of a tree, one row a shot, as [B K, ...]."""
    return jax.tree.map(lambda x: episodes.flat(jnp.moveaxis(x, 0, 1), 2), found)
