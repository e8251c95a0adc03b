"""A batch by parts: the same update, the same parts on all devices, less memory."""

import re

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ppcjax.runs import checkpoint
from ppcjax.train import mesh as meshes
from ppcjax.train import settings, step
from ppcjax.types import UserError
from tests import small_methods
from tests.train import toy

KEY = jax.random.key(3)


def linear(traces=None, classes=toy.CLASSES):
    """A method without batch statistics, whose loss is a mean over rows."""

    def init(key, batch):
        kernel = np.full((toy.FEATURES, classes), 0.1, np.float32)
        return {"kernel": kernel}, {"parts": np.int32(0), "seen": np.float32(0)}

    def loss(params, model_state, batch, key, number):
        if traces is not None:
            traces.append(number)
        logits = jnp.tanh(batch["image"] @ params["kernel"])
        value = jnp.mean(jnp.square(logits - 1))
        state = {"parts": model_state["parts"] + 1, "seen": batch["image"][0, 0]}
        drawn = jax.random.uniform(key)
        return value, (state, {"loss/nats": value, "stat/drawn": drawn})

    return small_methods.Method(init, loss, lambda *arguments: None)


def devices(count):
    axis = (jax.sharding.AxisType.Auto,)
    return jax.make_mesh(
        (count,), ("data",), axis_types=axis, devices=jax.devices()[:count]
    )


def run(method, batch, *, parts, count=1, optimizer=None):
    mesh = devices(count)
    optimizer = optimizer or optax.sgd(0.1)
    batch = jax.device_put(batch, meshes.sharded(mesh))
    state = step.create_state(method, optimizer, KEY, batch, mesh)
    update = step.make_step(method, optimizer, mesh, KEY, parts=parts)
    compiled = update.lower(state, batch).compile()
    return *jax.device_get(update(state, batch)), compiled


def rows():
    return next(toy.batches_from(0))


def test_the_update_is_that_of_the_whole_batch():
    one, whole, _ = run(linear(), rows(), parts=1)
    many, parted, _ = run(linear(), rows(), parts=4)
    chex.assert_trees_all_close(one.params, many.params, rtol=1e-6)
    for name in ("loss/total", "loss/nats", "stat/update_norm"):
        np.testing.assert_allclose(whole[name], parted[name], rtol=1e-6)
    assert (one.step, many.step) == (1, 1)


def test_each_part_has_its_rows_its_numbers_and_the_state_of_the_one_before():
    batch = rows()
    state, scalars, _ = run(linear(), batch, parts=4)
    assert state.model_state["parts"] == 4
    assert state.model_state["seen"] == batch["image"][3, 0]  # rows 3 and 7
    key = jax.random.fold_in(KEY, 0)  # of the first update
    drawn = [jax.random.uniform(jax.random.fold_in(key, i)) for i in range(4)]
    np.testing.assert_allclose(scalars["stat/drawn"], np.mean(drawn), rtol=1e-6)


def test_a_part_is_traced_once():
    traces = []
    run(linear(traces), rows(), parts=4)
    assert len(traces) <= 2  # lowered, then called


def test_two_devices_have_the_same_parts_and_exchange_sums_only():
    method = toy.method()  # with batch statistics: other parts, other numbers
    one, _, _ = run(method, rows(), parts=2)
    two, _, compiled = run(method, rows(), parts=2, count=2)
    chex.assert_trees_all_close(one, two, rtol=1e-4, atol=1e-6)
    text = compiled.as_text()
    assert "all-reduce" in text
    assert not re.search("all-to-all|all-gather|collective-permute", text)


def test_parts_need_less_memory():
    batch = {"image": np.repeat(rows()["image"], 32, axis=0)}
    needed = [
        run(linear(classes=512), batch, parts=parts)[2]
        .memory_analysis()
        .temp_size_in_bytes
        for parts in (1, 4)
    ]
    assert needed[1] < 0.5 * needed[0]


def test_a_run_goes_on_by_parts_as_one_that_was_not_stopped(tmp_path):
    toy.fit(tmp_path / "one", steps=8, accumulate=2)
    toy.fit(tmp_path / "two", steps=8, accumulate=2, terminate_at=5)
    toy.fit(tmp_path / "two", steps=8, accumulate=2)
    found = [checkpoint.restore(tmp_path / name) for name in ("one", "two")]
    assert found[0].step == found[1].step == 8
    chex.assert_trees_all_equal(*(x.params for x in found))


@pytest.mark.parametrize("parts", [3, 8])
def test_parts_that_the_devices_cannot_share_are_a_user_error(parts):
    assert jax.device_count() == 2
    settings.check_devices(8, 4)
    with pytest.raises(UserError, match=rf"config.accumulate={parts} with .*batch"):
        settings.check_devices(8, parts)
