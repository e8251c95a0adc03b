"""Several prototypes of one object: clustering and allocation.

Li et al., "Adaptive Prototype Learning and Allocation for Few-Shot Segmentation"
(ASGNet), CVPR 2021: superpixel-guided clustering (SGC) of section 3.3 and guided
prototype allocation (GPA) of section 3.4. Shapes are static: S slots for superpixels
with a mask of those that exist.
"""

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

from ppcjax.ops.masks import norm
from ppcjax.ops.seeds import Seeds

_HIGHEST = jax.lax.Precision.HIGHEST


def cluster_step(
    centres: chex.Array, points: chex.Array, region: chex.Array
) -> tuple[jax.Array, jax.Array]:
    """One iteration of SGC.

        d_ps = sqrt(|f_p - f_s|^2 + |y_p - y_s|^2 / 10^2)            (eq. 1)
        a_ps = exp(-d_ps) / sum over p of exp(-d_ps)
        centre_s = sum over p of a_ps (f_p, y_p)                     (eq. 3)

    Args:
        centres: [S, D + 2] features and coordinates in cells.
        points: [P, D + 2] features and coordinates of the cells.
        region: [P] bool, the points that take part.

    Returns:
        The next centres [S, D + 2], 0 where no point takes part, and the weights a
        [P, S], which sum to 1 over the points.

    Deviations: a softmax, finite at any distance; the release divides 0 by 0 beyond
        a distance of about 104.
    """
    weights = jnp.concatenate(
        [jnp.ones(points.shape[1] - 2), jnp.full(2, 0.01)]
    )  # [D + 2]
    # Differences, not |a|^2 - 2ab + |b|^2, which cancels.
    difference = points[:, None, :] - centres[None, :, :]
    distance = jnp.sqrt(jnp.sum(weights[None, None] * difference**2, axis=-1))
    region = region[:, None]
    nearest = jnp.min(distance, axis=0, keepdims=True, where=region, initial=jnp.inf)
    nearest = jnp.where(jnp.isfinite(nearest), nearest, 0.0)
    share = jnp.where(region, jnp.exp(nearest - distance), 0.0)  # [P, S]
    share = share / jnp.maximum(jnp.sum(share, axis=0, keepdims=True), 1e-12)
    return jnp.einsum("ps,pd->sd", share, points, precision=_HIGHEST), share


def cluster(
    features: chex.Array, region: chex.Array, seeds: chex.Array, *, iterations: int
) -> jax.Array:
    """SGC: centres of superpixels that start at seeds.

    Every seed moves on its own, so that empty slots do not touch the others.

    Args:
        features: [h, w, D].
        region: [h, w] bool cells of the object.
        seeds: [S, 2] int (row, column); they need not lie in the region.
        iterations: number of steps, 10 in training and 5 in evaluation as released.

    Returns:
        [S, D] float32; 0 where the region is empty.
    """
    height, width, _ = features.shape
    rows, columns = jnp.meshgrid(jnp.arange(height), jnp.arange(width), indexing="ij")
    grid = jnp.stack([rows, columns], axis=-1).astype(jnp.float32)
    points = jnp.concatenate([features.astype(jnp.float32), grid], axis=-1)
    start = points[seeds[:, 0], seeds[:, 1]]  # [S, D + 2]
    flat = points.reshape(height * width, -1)
    inside = region.reshape(-1)
    centres = jax.lax.fori_loop(
        0, iterations, lambda _, c: cluster_step(c, flat, inside)[0], start
    )
    return centres[:, :-2]


def masked_average(
    features: chex.Array, weights: chex.Array, *, epsilon: float = 5e-4
) -> jax.Array:
    """One prototype: sum of weights * features / (sum of weights + epsilon).

    Args:
        features: [..., h, w, D].
        weights: [..., h, w] >= 0.
        epsilon: keeps an empty mask at 0.

    Returns:
        [..., D] float32.
    """
    total = jnp.einsum("...hw,...hwd->...d", weights, features, precision=_HIGHEST)
    return total / (jnp.sum(weights, axis=(-2, -1))[..., None] + epsilon)


def object_prototypes(
    features: chex.Array, weights: chex.Array, seeds: Seeds, *, iterations: int
) -> tuple[jax.Array, jax.Array]:
    """Prototypes of the object in each image: its superpixels, or its mean.

    Args:
        features: [N, h, w, D]; no gradient passes.
        weights: [N, h, w] in [0, 1], how much of each cell is object; cells of at least
            half take part in the clustering.
        seeds: cells [N, S, 2] and count [N]; below 2, slot 0 holds the mean.
        iterations: steps of the clustering.

    Returns:
        [N, S, D] float32 prototypes, and [N, S] bool slots that hold one: none where
        the object is empty.

    Deviations: the release clusters cells of weight 1; its masks have 8 k + 1 rows and
        columns, whose weights are 0 or 1. An empty mask there yields a prototype 0.
    """
    features = jax.lax.stop_gradient(features).astype(jnp.float32)
    region = weights >= 0.5
    centres = jax.vmap(lambda f, r, s: cluster(f, r, s, iterations=iterations))(
        features, region, seeds.cells
    )
    slots = jnp.arange(centres.shape[1])[None]
    single = (seeds.count < 2)[:, None]
    mean = jnp.where(
        slots[..., None] == 0, masked_average(features, weights)[:, None], 0
    )
    prototypes = jnp.where(single[..., None], mean, centres)
    valid = slots < jnp.maximum(seeds.count, 1)[:, None]
    has_object = jnp.any(weights > 0, axis=(1, 2))[:, None]
    valid = valid & has_object
    return jnp.where(valid[..., None], prototypes, 0.0), valid


class Allocation(NamedTuple):
    """What GPA gives each query cell.

    guide: [B, h, w, D] the most similar prototype, constant for gradients.
    prior: [B, h, w] similarity to the object.
    index: [B, h, w] int32 slot of the most similar prototype.
    """

    guide: jax.Array
    prior: jax.Array
    index: jax.Array


def allocate(
    query: chex.Array, prototypes: chex.Array, valid: chex.Array, *, prior: str
) -> Allocation:
    """GPA: each query cell takes its most similar prototype as a guide.

        a_s(q) = cos(c_s, f_q);  guide = c_argmax;  prior = sum or mean over s of a_s

    Args:
        query: [B, h, w, D].
        prototypes: [B, S, D], of all shots.
        valid: [B, S] bool.
        prior: "sum" as released, whose scale grows with the number of prototypes, so
            that a network trained on one shot fails on five; "mean" has the same scale
            for any number; "none": 0.

    Returns:
        The allocation; guide and prior are 0 where no prototype is valid.
    """
    chex.assert_equal_shape_prefix([prototypes, valid], 2)
    query = query.astype(jnp.float32)
    dot = jnp.einsum("bhwd,bsd->bhws", query, prototypes, precision=_HIGHEST)
    lengths = norm(query) * norm(prototypes)[:, None, None, :, 0]
    long = lengths > 1e-7
    # A zero vector is similar to nothing, and gets no gradient: dividing by 1e-7 would
    # give it a huge one.
    similarity = jnp.where(long, dot / jnp.where(long, lengths, 1.0), 0.0)
    here = valid[:, None, None, :]
    total = jnp.sum(jnp.where(here, similarity, 0.0), axis=-1)
    if prior == "none":
        total = jnp.zeros_like(total)
    elif prior == "mean":
        number = jnp.maximum(jnp.sum(valid, axis=-1), 1)
        total = total / number[:, None, None]
    index = jnp.argmax(jnp.where(here, similarity, -jnp.inf), axis=-1)
    chosen = jax.nn.one_hot(index, prototypes.shape[1])
    guide = jnp.einsum("bhws,bsd->bhwd", chosen, prototypes, precision=_HIGHEST)
    return Allocation(jax.lax.stop_gradient(guide), total, index.astype(jnp.int32))
