import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ppcjax.ops import pixel_pairs
from ppcjax.ops.propagation import propagate

FULL = (0.0, 0.0, 1.0, 1.0)


def _unit(rng, *shape):
    x = rng.standard_normal(shape).astype(np.float32)
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


@functools.partial(jax.jit, static_argnames=("grid",))
def _distances(box, other, grid=(7, 7)):
    return pixel_pairs.distances(box, other, grid=grid)


@pytest.mark.parametrize(
    ("box", "other", "pairs", "cells"),
    [
        (FULL, FULL, 49, 49),
        (FULL, (0.4, 0.4, 0.6, 0.6), 149, 9),
        ((0.1, 0.2, 0.6, 0.8), (0.3, 0.3, 0.9, 0.9), 74, 30),
        ((0.1, 0.2, 0.6, 0.8), (0.9, 0.3, 0.3, 0.9), 74, 30),
        ((0.0, 0.0, 0.2, 0.2), (0.5, 0.5, 0.9, 0.9), 0, 0),
    ],
)
def test_pairs_of_known_boxes(box, other, pairs, cells):
    is_pair = _distances(np.float32([box]), np.float32([other]))[0] < 0.7
    assert (is_pair.sum(), is_pair.any(1).sum()) == (pairs, cells)


def test_mirroring_permutes_columns_and_exchange_transposes():
    first, second = np.float32([[0.1, 0.2, 0.6, 0.8]]), np.float32([[0.3, 0.3, 0.9, 1]])
    there = np.asarray(_distances(first, second))
    chex.assert_trees_all_close(_distances(second, first), there.swapaxes(1, 2))
    mirrored = _distances(first, second[:, [2, 1, 0, 3]])
    columns = there.reshape(1, 49, 7, 7)[..., ::-1].reshape(1, 49, 49)
    np.testing.assert_allclose(mirrored, columns, rtol=1e-5, atol=1e-5)


def test_grids_of_any_shape_have_square_units():
    found = _distances(np.float32([FULL]), np.float32([FULL]), grid=(2, 3))[0]
    across, down = 1 / 3, 1 / 2
    diagonal = np.hypot(across, down)
    expected = [0, across, 2 * across, down, np.hypot(across, down)]
    np.testing.assert_allclose(found[0, :5] * diagonal, expected, atol=1e-6)


@functools.partial(jax.jit, static_argnames=("block",))
def _contrast(queries, keys, box, other, block):
    def loss(queries):
        return pixel_pairs.pixel_contrast(queries, keys, box, other, block=block)

    return jax.value_and_grad(lambda q: loss(q).loss)(queries)


@pytest.mark.parametrize("block", [49, 20])
def test_pixel_contrast(block):
    rng = np.random.default_rng(0)
    queries, keys = _unit(rng, 2, 7, 7, 5), _unit(rng, 2, 7, 7, 5)
    boxes = np.float32([[0.1, 0.2, 0.6, 0.8], [0, 0, 0.2, 0.2]])
    others = np.float32([[0.3, 0.3, 0.9, 0.9], [0.5, 0.5, 0.9, 0.9]])
    loss, grads = _contrast(queries, keys, boxes, others, block)
    is_pair = np.asarray(_distances(boxes, others)) < 0.7
    q, k = queries.reshape(2, 49, 5), keys.reshape(2, 49, 5)
    weights = np.exp(np.einsum("bid,bjd->bij", q, k) / 0.3)
    own = (weights * is_pair).sum(-1)
    nats = -np.log(own[own > 0] / weights.sum(-1)[own > 0])
    np.testing.assert_allclose(loss, nats.mean(), rtol=1e-5)
    assert np.isfinite(grads).all() and not grads[1].any() and grads[0].any()


def test_without_a_pair_losses_and_gradients_are_zero():
    rng = np.random.default_rng(0)
    queries, keys = _unit(rng, 1, 7, 7, 5), _unit(rng, 1, 7, 7, 5)
    boxes = np.float32([[0, 0, 0.2, 0.2]]), np.float32([[0.5, 0.5, 0.9, 0.9]])
    for loss in (pixel_pairs.consistency, pixel_pairs.pixel_contrast):
        value, grads = jax.jit(
            jax.value_and_grad(lambda q, loss=loss: loss(q, keys, *boxes).loss)
        )(queries)
        assert value == 0 and not np.any(grads)


def test_propagation_of_zero_vectors_is_finite():
    @jax.jit
    def grads(x):
        return jax.grad(lambda x: jnp.sum(propagate(x, x, power=1.0) ** 2))(x)

    assert np.isfinite(grads(np.zeros((1, 2, 2, 3), np.float32))).all()


def test_memory_of_a_fine_grid_is_linear_in_its_cells():
    """448 pixels at stride 8: 3136 cells, whose full similarities take 39 MB each."""
    shape = jax.ShapeDtypeStruct((1, 56, 56, 64), jnp.float32)
    box = np.float32([FULL])

    def loss(x, block):
        y = propagate(x, x, block=block)
        return pixel_pairs.consistency(y, x, box, box, block=block).loss

    def bytes_of(block):
        compiled = jax.jit(jax.grad(lambda x: loss(x, block))).lower(shape).compile()
        return compiled.memory_analysis().temp_size_in_bytes

    full = 4 * 3136**2
    assert bytes_of(4096) > 2 * full and bytes_of(196) < full
