"""The compiled step: one trace, the same numbers on any number of devices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType

from ppcjax.train import feed, step
from ppcjax.train import mesh as meshes
from tests.train import toy

KEY = jax.random.key(3)


def run(mesh, *, steps=3, traces=None):
    method, optimizer = toy.method(traces=traces), toy.optimizer(steps)
    batches = feed.to_devices(toy.batches_from(0), mesh)
    first = next(batches)
    state = step.create_state(method, optimizer, KEY, first, mesh)
    update = step.make_step(method, optimizer, mesh, KEY)
    losses = []
    for _ in range(steps):
        state, scalars = update(state, first)
        losses.append(float(scalars["loss/total"]))
        first = next(batches)
    batches.close()
    return state, losses


def test_step_is_traced_once():
    traces = []
    state, _ = run(meshes.make_mesh(), steps=4, traces=traces)
    assert len(traces) == 1
    assert int(state.step) == 4


def test_two_devices_equal_one():
    assert jax.device_count() >= 2
    single = jax.make_mesh(
        (1,), ("data",), axis_types=(AxisType.Auto,), devices=jax.devices()[:1]
    )
    one, losses_one = run(single)
    many, losses_many = run(meshes.make_mesh())
    np.testing.assert_allclose(losses_one, losses_many, rtol=1e-5)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), one, many
    )


def test_step_donates_the_old_state_and_says_the_size_of_the_update():
    mesh = meshes.make_mesh()
    method, optimizer = toy.method(), toy.optimizer(5)
    batch = next(feed.to_devices(toy.batches_from(0), mesh))
    state = step.create_state(method, optimizer, KEY, batch, mesh)
    before = jax.tree.map(np.array, state.params)
    new, scalars = step.make_step(method, optimizer, mesh, KEY)(state, batch)
    assert state.params["head"]["kernel"].is_deleted()
    moved = jax.tree.leaves(jax.tree.map(lambda a, b: a - b, new.params, before))
    norm = np.sqrt(sum(np.sum(np.square(x)) for x in moved))
    np.testing.assert_allclose(scalars["stat/update_norm"], norm, rtol=1e-4)


def test_adapt_changes_the_initial_state_and_nothing_shares_memory():
    mesh = meshes.make_mesh()
    batch = next(feed.to_devices(toy.batches_from(0), mesh))
    state = step.create_state(
        toy.method(),
        toy.optimizer(5),
        KEY,
        batch,
        mesh,
        adapt=lambda *trees: jax.tree.map(jnp.zeros_like, trees),
    )
    assert not any(x.any() for x in jax.tree.leaves(state.params))
    pointers = [x.addressable_shards[0].data for x in jax.tree.leaves(state)]
    pointers = [x.unsafe_buffer_pointer() for x in pointers]
    assert len(set(pointers)) == len(pointers)


def test_feed_raises_what_the_data_side_raised_after_the_good_batches():
    def broken():
        yield next(toy.batches_from(0))
        raise OSError("photo 12.jpg is truncated")

    batches = feed.to_devices(broken(), meshes.make_mesh())
    assert next(batches)["image"].shape == (toy.BATCH, toy.FEATURES)
    with pytest.raises(OSError, match="12.jpg"):
        next(batches)
