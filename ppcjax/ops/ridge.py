"""Ridge regression of vectors on soft classes, in closed form.

    v, b = argmin  E_c (<v, x> + b - 1)^2 + E_r (<v, x> + b + 1)^2 + penalty |v|^2

E_c and E_r are means over the class and over the rest, so that both count alike,
however large they are. All that it needs of them is their moments, sums of
(x, 1) (x, 1)^T, which add up over photos.
"""

import chex
import jax
import jax.numpy as jnp

_HIGHEST = jax.lax.Precision.HIGHEST
_TINY = 1e-6  # share of a class below which there is none; and the penalty of b


def moments(points: chex.Array, weights: chex.Array) -> jax.Array:
    """Second moments of weighted vectors, from which `solve` learns.

    Args:
        points: [..., P, D].
        weights: [..., P, J] >= 0, how much of each vector is of each of J groups; 0
            leaves it out.

    Returns:
        [..., J, D + 1, D + 1] float32: sums of w (x, 1) (x, 1)^T, the last element the
        sum of w.
    """
    chex.assert_equal_shape_prefix([points, weights], weights.ndim - 1)
    ones = jnp.ones((*points.shape[:-1], 1), jnp.float32)
    points = jnp.concatenate([points.astype(jnp.float32), ones], axis=-1)

    def of_group(weight):  # [..., P]
        return jnp.einsum(
            "...pd,...pe->...de", weight[..., None] * points, points, precision=_HIGHEST
        )

    groups = jnp.moveaxis(weights.astype(jnp.float32), -1, 0)
    return jnp.moveaxis(jax.lax.map(of_group, groups), 0, weights.ndim - 2)


def mean(sums: chex.Array) -> jax.Array:
    """Moments [..., D + 1, D + 1] of total weight 1; 0 where nothing weighs."""
    mass = sums[..., -1:, -1:]
    return jnp.where(mass > _TINY, sums / jnp.where(mass > _TINY, mass, 1.0), 0.0)


def count(weights: chex.Array) -> jax.Array:
    """How many vectors a mean is of, (sum w)^2 / sum w^2.

    Args:
        weights: [..., P] >= 0.

    Returns:
        [...] float32, P where all weigh alike; 0 where none weighs.
    """
    weights = weights.astype(jnp.float32)
    total, squares = jnp.sum(weights, axis=-1), jnp.sum(weights**2, axis=-1)
    return total**2 / jnp.where(squares > 0, squares, 1.0)


def joined(first: chex.Array, second: chex.Array, share: float) -> jax.Array:
    """Two means as one, (1 - share) first + share second.

    Args:
        first: [..., D + 1, D + 1] of `mean`.
        second: [..., D + 1, D + 1] of `mean`.
        share: weight of the second, from 0 to 1.

    Returns:
        [..., D + 1, D + 1]; the first where the second is of nothing.
    """
    here = second[..., -1:, -1:] > 0
    return jnp.where(here, (1.0 - share) * first + share * second, first)


def solve(
    of_class: chex.Array, of_rest: chex.Array, penalty: chex.Numeric
) -> jax.Array:
    """The regression that tells a class from the rest.

    Args:
        of_class: [..., D + 1, D + 1] mean moments of the class.
        of_rest: [..., D + 1, D + 1] those of all else.
        penalty: factor of |v|^2, > 0, [...] or one number; vectors of unit length want
            0.001 to 0.1.

    Returns:
        [..., D + 1] float32, v and b. Without a vector of the class v = 0 and b is
        -1, without one of the rest 1, without either 0.
    """
    size = of_class.shape[-1]
    penalty = jnp.broadcast_to(jnp.float32(penalty), of_class.shape[:-2])
    ridge = jnp.repeat(penalty[..., None], size, axis=-1).at[..., -1].set(_TINY)
    matrix = (
        of_class
        + of_rest
        + jax.vmap(jnp.diag)(ridge.reshape(-1, size)).reshape(of_class.shape)
    )
    target = of_class[..., -1] - of_rest[..., -1]
    factor = jax.scipy.linalg.cho_factor(matrix, lower=True)
    return jax.scipy.linalg.cho_solve(factor, target[..., None])[..., 0]


def scores(points: chex.Array, solution: chex.Array) -> jax.Array:
    """How much vectors look like a class: 1 the class, -1 the rest.

    Args:
        points: [..., P, D].
        solution: [..., J, D + 1] of `solve`.

    Returns:
        [..., P, J] float32.
    """
    products = jnp.einsum(
        "...pd,...jd->...pj",
        points.astype(jnp.float32),
        solution[..., :-1],
        precision=_HIGHEST,
    )
    return products + jnp.expand_dims(solution[..., -1], -2)
