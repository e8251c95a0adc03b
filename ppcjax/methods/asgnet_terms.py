"""The parts of ASGNet between encoding and decoding photos: no parameters, no Flax."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp

from ppcjax.methods import episodes
from ppcjax.ops import seeds as seed_ops
from ppcjax.ops import superpixels
from ppcjax.ops.resize import resize
from ppcjax.types import UserError


class Clustering(NamedTuple):
    """How an object is divided into superpixels.

    at_most: S, superpixels of one support.
    cells: area of one, in cells of the grid.
    iterations: of the clustering, in training and in prediction.
    seed_count: "placed" or "released", see `ppcjax.ops.seeds.released_count`.
    """

    at_most: int
    cells: int
    iterations: tuple[int, int]
    seed_count: str


class Prototypes(NamedTuple):
    """Of the supports of B episodes: centres [B, K S, D] and which exist [B, K S]."""

    centres: chex.Array
    valid: chex.Array


def check_ways(batch: Mapping[str, chex.Array]) -> None:
    """UserError for episodes of several classes at once."""
    ways = batch["shot_valid"].shape[1]
    if ways != 1:
        raise UserError(
            f"asgnet segments one class an episode, these have {ways}; set data.ways=1"
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
        seed_ops.shrink_nearest(mask, grid, **at),
        cells=clustering.cells,
        largest=clustering.at_most,
    )
    if clustering.seed_count == "released":
        seeds = seeds._replace(count=seed_ops.released_count(seeds.cells))
    steps = clustering.iterations[0 if train else 1]
    centres, valid = superpixels.object_prototypes(
        features, weights, seeds, iterations=steps
    )
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


def split(found: Any, count: int) -> tuple[Any, Any]:
    """Trees of the first `count` rows and of the others."""
    return (
        jax.tree.map(lambda x: x[:count], found),
        jax.tree.map(lambda x: x[count:], found),
    )
