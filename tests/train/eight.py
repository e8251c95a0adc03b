"""A program that trains a small method on one device and on eight, and compares."""

import sys

import chex
import jax
import numpy as np
import optax

from ppcjax.train import mesh as meshes
from ppcjax.train import step
from tests import batches, small_methods

DEVICES, STEPS = 8, 3
KEY = jax.random.key(4)


def batch_of(method, seed):
    """A row for each device."""
    parts = [
        batches.to_train(method, seed=DEVICES * seed + i)
        for i in range(DEVICES // batches.ROWS)
    ]
    return jax.tree.map(lambda *rows: np.concatenate(rows), *parts)


def train(method, count):
    """States and scalars after each step."""
    axis = (jax.sharding.AxisType.Auto,)
    devices = jax.devices()[:count]
    mesh = jax.make_mesh((count,), ("data",), axis_types=axis, devices=devices)
    # Slow, so that rounding is not amplified into other signs and other anchors.
    optimizer = optax.sgd(1e-3)
    sharding = meshes.sharded(mesh)
    first = jax.device_put(batch_of(method, 0), sharding)
    state = step.create_state(method, optimizer, KEY, first, mesh)
    update = step.make_step(method, optimizer, mesh, KEY)
    found = [(jax.device_get(state), {})]
    for i in range(STEPS):
        state, scalars = update(state, jax.device_put(batch_of(method, i), sharding))
        found.append(jax.device_get((state, scalars)))
    return found


def main(name: str) -> None:
    assert jax.device_count() == DEVICES
    method = small_methods.make(name)
    one, eight = (train(method, count) for count in (1, DEVICES))
    for (state, scalars), (other, others) in zip(one[1:], eight[1:], strict=True):
        chex.assert_trees_all_close(others, scalars, rtol=2e-3, atol=1e-4)
        chex.assert_trees_all_close(
            other.model_state, state.model_state, rtol=2e-3, atol=2e-3
        )
    start, last, other = one[0][0].params, one[-1][0].params, eight[-1][0].params
    # Updates by direction: rounding may turn single activations on or off.
    moved, of_eight = (
        jax.tree.map(lambda a, b: a - b, p, start) for p in (last, other)
    )
    lengths = optax.tree.norm(moved) * optax.tree.norm(of_eight)
    assert optax.tree.norm(moved) > 0
    assert optax.tree.vdot(moved, of_eight) > 0.999 * lengths


if __name__ == "__main__":
    main(sys.argv[1])
