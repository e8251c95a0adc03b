"""Ridge regression of features on the masks of a few examples; nothing is trained."""

import functools
from typing import Annotated, NamedTuple

import jax.numpy as jnp

from ppcjax.fields import Range
from ppcjax.methods.comparing import Network, comparing
from ppcjax.methods.episodes import flat
from ppcjax.nn.modules import Share
from ppcjax.ops import ridge as ops
from ppcjax.ops.masked_pooling import resize_adjoint
from ppcjax.types import Method

_SURE = 0.3  # distance from the border; that of the mean of a class is about 1
_SHARPNESS = 4.0  # of the logits: 1 away from the rest is a probability of 0.98


class _Setup(NamedTuple):
    """What the functions of the method know."""

    penalty: float
    own_ground: float
    align_corners: bool


def ridge(
    num_classes: int,
    *,
    network: Network,
    penalty: Annotated[float, Range(1e-4, 1e4)] = 2.0,
    own_ground: Share = 0.5,
    align_corners: bool = False,
) -> Method:
    """N classes from K masked photos each, as regressions of features on masks.

        v_c, b_c = argmin  E_c (<v, f> + b - 1)^2 + E_r (<v, f> + b + 1)^2
                           + (penalty / n_c) |v|^2
        s_c(q) = <v_c, f(q)> + b_c,    S_0 = 0,  S_c = 4 s_c

    f are features of unit length, E_c the mean over pixels of the class, E_r that over
    all other known pixels of the examples, other classes' among them: both count alike,
    and unknown pixels count nowhere. A cell counts by how many pixels it has of each.

    A query shows things that no example had. So it is looked at twice: its cells where
    all s_c < -0.3 are background beyond doubt, and are of the rest the second time,
    with the weight `own_ground` in E_r.

    Args:
        num_classes: C of the data set; nothing depends on it.
        network: the network.
        penalty: factor of |v|^2 where a single cell tells of the class; n_c of them are
            trusted n_c times as much.
        own_ground: weight of the query's own background among the rest; 0: queries
            are looked at once.
        align_corners: convention of the resize between image and grid.

    Returns:
        A Method without a loss. `predict` gives {"logits": [B, Q, h, w, 1 + N]}; `fit`
        gives {"moments": [B, 1 + N, D + 1, D + 1], "cells": [B, N]}: sums of
        (f, 1) (f, 1)^T over the background and over each class, and n_c. A class
        without an example is found nowhere.
    """
    del num_classes
    setup = _Setup(penalty, own_ground, align_corners)
    return comparing(
        network, functools.partial(_learn, setup), functools.partial(_decode, setup)
    )


def _learn(setup, features, supports, extent, grid_extent):
    """What `fit` gives, from the features of B N K supports."""
    mask, shots = supports["support_mask"], supports["shot_valid"]
    rows, ways = shots.shape[:2]
    known = shots[..., None, None]
    parts = jnp.stack([(mask == 0) & known, (mask == 1) & known], axis=-1)
    weights = resize_adjoint(
        flat(parts, 3),
        features.shape[1:3],
        align_corners=setup.align_corners,
        extent=extent,
        grid_extent=grid_extent,
    )
    each = (rows * ways, -1)
    weights = weights.reshape(*each, 2)
    sums = ops.moments(features.reshape(*each, features.shape[-1]), weights)
    sums = sums.reshape(rows, ways, *sums.shape[1:])
    ground = jnp.sum(sums[:, :, 0], axis=1, keepdims=True)
    return {
        "moments": jnp.concatenate([ground, sums[:, :, 1]], axis=1),
        "cells": ops.count(weights[..., 1]).reshape(rows, ways),
    }


def _decode(setup, features, learnt):
    """Logits [B, Q, h, w, 1 + N] of the features of B Q queries."""
    moments = learnt["moments"]
    # All but one are summed: a difference of sums would round.
    others = 1.0 - jnp.eye(moments.shape[1])[1:]
    of_rest = jnp.einsum("nm,bmde->bnde", others, moments, precision="highest")
    penalty = setup.penalty / jnp.maximum(learnt["cells"], 1.0)
    count = features.shape[0] // moments.shape[0]  # Q
    of_class, of_rest, penalty = (
        jnp.repeat(x, count, axis=0)
        for x in (ops.mean(moments[:, 1:]), ops.mean(of_rest), penalty)
    )
    points = features.reshape(len(features), -1, features.shape[-1])
    found = ops.scores(points, ops.solve(of_class, of_rest, penalty))
    if setup.own_ground:
        # Beyond the photo features are 0, and weigh nothing.
        here = jnp.any(points != 0, axis=-1)
        ground = here & jnp.all(found < -_SURE, axis=-1)
        own = ops.mean(ops.moments(points, ground[..., None]))
        of_rest = ops.joined(of_rest, own, setup.own_ground)
        found = ops.scores(points, ops.solve(of_class, of_rest, penalty))
    logits = _SHARPNESS * jnp.pad(found, ((0, 0), (0, 0), (1, 0)))
    return {"logits": logits.reshape(-1, count, *features.shape[1:3], logits.shape[-1])}
