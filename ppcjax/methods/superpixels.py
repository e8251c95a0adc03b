"""ASGNet's superpixels without a network behind them: nothing is trained.

Li et al., "Adaptive Prototype Learning and Allocation for Few-Shot Segmentation", CVPR
2021, sections 3.3 and 3.4. Its decoder must be trained; here the similarity to the
allocated superpixel is the score, and the background has superpixels, too.
"""

import functools
from typing import Annotated, NamedTuple

import jax.numpy as jnp

from ppcjax.fields import kinds
from ppcjax.methods import common
from ppcjax.methods.comparing import Network, comparing
from ppcjax.methods.episodes import flat
from ppcjax.ops import seeds as seed_ops
from ppcjax.ops import superpixels as ops
from ppcjax.ops.masked_pooling import cosine_map, resize_adjoint
from ppcjax.types import Method


class _Setup(NamedTuple):
    """What the functions of the method know."""

    scale: float
    at_most: int
    cells: int
    iterations: int
    length: float
    align_corners: bool


def superpixels(
    num_classes: int,
    *,
    network: Network,
    scale: common.Positive = 20.0,
    superpixels_at_most: kinds.Few = 5,
    superpixel_cells: Annotated[kinds.Count, "cells"] = 50,
    iterations: kinds.Few = 5,
    length: common.Positive = 10.0,
    align_corners: bool = False,
) -> Method:
    """N classes and the background as the superpixels of K masked photos.

        S_j(q) = scale max_s cos(c_js, f(q))

    c_js are the superpixels of class j in all its examples, those of the background
    (j = 0) in the examples of all classes. They start at seeds far from the border and
    from each other and move to the mean of like, near cells, see `ops.superpixels`.

    Args:
        num_classes: C of the data set; nothing depends on it.
        network: the network.
        scale: factor of the cosines.
        superpixels_at_most: superpixels of one photo, of the class and of its
            background each; too small for two of them, either is one mean.
        superpixel_cells: area of one superpixel on the grid.
        iterations: steps of the clustering.
        length: norm of features while they are clustered; the larger it is, the less
            do places count, and the sharper are borders of superpixels.
        align_corners: convention of the resize between image and grid.

    Returns:
        A Method without a loss. `predict` gives {"logits": [B, Q, h, w, 1 + N]}; `fit`
        gives {"prototypes": [B, 1 + N, N K S, D], "valid": [B, 1 + N, N K S] bool}.
        A class without an example is at a cosine of -1.
    """
    del num_classes
    setup = _Setup(
        scale,
        superpixels_at_most,
        superpixel_cells,
        iterations,
        length,
        align_corners,
    )
    return comparing(
        network, functools.partial(_learn, setup), functools.partial(_decode, setup)
    )


def _shares(setup, masks, grid, extent, grid_extent):
    """[M, h, w, 2] share of background and class in what is known of each cell."""
    known = resize_adjoint(
        jnp.stack([masks == 0, masks == 1], axis=-1),
        grid,
        align_corners=setup.align_corners,
        extent=extent,
        grid_extent=grid_extent,
    )
    total = jnp.sum(known, axis=-1, keepdims=True)
    return known / jnp.where(total > 0, total, 1.0)


def _learn(setup, features, supports, extent, grid_extent):
    """What `fit` gives, from the features of B N K supports."""
    shots = supports["shot_valid"]
    rows, ways, count = shots.shape
    masks = flat(supports["support_mask"], 3)
    shares = _shares(setup, masks, features.shape[1:3], extent, grid_extent)
    shape = (rows, ways, count * setup.at_most)
    found = []
    for share in (shares[..., 0], shares[..., 1]):
        seeds = seed_ops.place_seeds(
            share >= 0.5, cells=setup.cells, largest=setup.at_most
        )
        centres, valid = ops.object_prototypes(
            setup.length * features, share, seeds, iterations=setup.iterations
        )
        valid = valid & shots.reshape(-1, 1)
        found.append((centres.reshape(*shape, -1), valid.reshape(shape)))
    (ground, ground_valid), (own, own_valid) = found
    # Each class has room for as many as the background, which is of all examples.
    room = ((0, 0), (0, 0), (0, (ways - 1) * shape[2]))
    centres = ground.reshape(rows, 1, -1, ground.shape[-1])
    centres = jnp.concatenate([centres, jnp.pad(own, (*room, (0, 0)))], axis=1)
    valid = ground_valid.reshape(rows, 1, -1)
    valid = jnp.concatenate([valid, jnp.pad(own_valid, room)], axis=1)
    return {"prototypes": centres, "valid": valid}


def _decode(setup, features, learnt):
    """Logits [B, Q, h, w, 1 + N] of the features of B Q queries."""
    centres, valid = learnt["prototypes"], learnt["valid"]
    rows, groups, slots = valid.shape
    features = features.reshape(rows, -1, *features.shape[1:])
    cosines = cosine_map(features, _slots(centres))
    cosines = cosines.reshape(*cosines.shape[:-1], groups, slots)
    here = valid[:, None, None, None]
    best = jnp.max(cosines, axis=-1, where=here, initial=-1.0)
    inside = jnp.any(features != 0, axis=-1, keepdims=True)
    return {"logits": setup.scale * jnp.where(inside, best, 0.0)}


def _slots(centres):
    """[B, J, S, D] as [B, J S, D]."""
    return centres.reshape(len(centres), -1, centres.shape[-1])
