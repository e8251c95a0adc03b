"""What the step of every method keeps to: no transfer, one program, float32."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ppcjax.train import accumulate, loop, step
from ppcjax.train import mesh as meshes
from tests import batches, small_methods
from tests.train import toy

ROOT = Path(__file__).parents[2]
KEY = jax.random.key(5)
COMPILED = "/jax/core/compile/backend_compile_duration"
# Compiling a step takes seconds: one here, all of them by the slow marker.
NAMES = [
    pytest.param(name, marks=[] if name == "segment" else [pytest.mark.slow])
    for name in small_methods.TRAINED
]
# What more than statistics moves in: a memory, a target network.
MOVING = ("toy", "contrastive_seg", "pixpro")
WITH_DTYPE = [name for name in small_methods.TRAINED if name != "toy"]


@contextlib.contextmanager
def programs():
    """A list that grows by one for each program that is compiled."""
    found = []

    def hear(event, seconds, **more):
        if event == COMPILED:
            found.append(event)

    jax.monitoring.register_event_duration_secs_listener(hear)
    try:
        yield found
    finally:
        jax.monitoring.unregister_event_duration_listener(hear)


def spec(method):
    """Arguments of `method.loss`, as shapes where they are arrays."""
    batch = batches.to_train(method)
    params, state = method.init(KEY, batch)
    return params, state, batch, KEY, jnp.int32(0)


@pytest.mark.parametrize("name", NAMES)
def test_steps_after_the_first_transfer_and_compile_nothing(name):
    method, mesh = small_methods.make(name), meshes.make_mesh()
    sharding = meshes.sharded(mesh)
    several = [
        jax.device_put(batches.to_train(method, seed=i), sharding) for i in range(3)
    ]
    optimizer = optax.sgd(0.01, momentum=0.9)
    state = step.create_state(method, optimizer, KEY, several[0], mesh)
    update = step.make_step(method, optimizer, mesh, KEY)
    kept = []
    old, (state, scalars) = state, update(state, several[0])
    with jax.transfer_guard("disallow"), programs() as compiled:
        for batch in several:
            kept.append(scalars)
            old, (state, scalars) = state, update(state, batch)
    assert not compiled
    held = jax.tree.leaves((old.params, old.opt_state))
    assert held and all(leaf.is_deleted() for leaf in held)
    for values in kept:  # fetched late
        assert all(np.isfinite(x) for x in jax.device_get(values).values())


@pytest.mark.parametrize("name", WITH_DTYPE)
def test_losses_and_parameters_of_a_network_in_bfloat16_are_float32(name):
    method = small_methods.make(name, dtype="bfloat16")
    params, state, *rest = spec(method)
    gradient = jax.value_and_grad(method.loss, has_aux=True)
    (loss, (after, scalars)), found = jax.eval_shape(gradient, params, state, *rest)
    assert {x.dtype for x in jax.tree.leaves((params, found))} == {np.dtype("float32")}
    assert {x.dtype for x in (loss, *scalars.values())} == {np.dtype("float32")}
    chex.assert_trees_all_equal_dtypes(after, state)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if name in MOVING else [pytest.mark.slow])
        for name in small_methods.TRAINED
    ],
)
def test_every_method_learns_by_parts(name):
    method = small_methods.make(name)
    mesh = jax.make_mesh(
        (1,),
        ("data",),
        axis_types=(jax.sharding.AxisType.Auto,),
        devices=jax.devices()[:1],
    )
    params, state, *rest = spec(method)
    gradient = accumulate.gradient_of(method, 2, mesh)
    (_, (after, scalars)), found = jax.eval_shape(gradient, params, state, *rest)
    chex.assert_trees_all_equal_shapes_and_dtypes((found, after), (params, state))
    assert all(x.shape == () for x in scalars.values())


@pytest.mark.slow
@pytest.mark.parametrize("name", WITH_DTYPE)
def test_losses_of_both_types_are_near_each_other(name):
    """Within 3 %: bfloat16 has 8 bits, and the networks a dozen layers."""
    found = []
    for dtype in ("float32", "bfloat16"):
        method = small_methods.make(name, dtype=dtype)
        loss, (_, scalars) = jax.jit(method.loss)(*spec(method))
        found.append({"total": loss} | scalars)
    losses = [{k: x for k, x in f.items() if not k.startswith("stat/")} for f in found]
    chex.assert_trees_all_close(*losses, rtol=0.03, atol=0.02)


def test_a_run_compiles_its_step_once_and_its_loop_transfers_nothing(
    tmp_path, monkeypatch
):
    """With log lines, scores and checkpoints on the way."""
    calls, after = [], []

    def make_step(*arguments, **named):
        made = step.make_step(*arguments, **named)

        def update(*given):
            found = made(*given)
            calls.append(len(compiled))
            # The first save and the first score may compile helpers of their own.
            if len(calls) == 21:
                jax.config.update("jax_transfer_guard", "disallow")
                after.append(len(compiled))
            return found

        return update

    monkeypatch.setattr(loop, "make_step", make_step)
    try:
        with programs() as compiled:
            toy.fit(tmp_path, steps=40, eval_every=10)
    finally:
        jax.config.update("jax_transfer_guard", "allow")
    assert len(calls) == 40
    assert calls[0] == calls[4]  # none of the first steps compiles again
    assert after == [len(compiled)]


def test_the_guard_of_these_tests_sees_a_transfer():
    double = jax.jit(lambda x: 2 * x)
    double(np.ones(3))
    with jax.transfer_guard("disallow"), pytest.raises(Exception, match="isallowed"):
        double(np.ones(3))


@pytest.mark.slow
@pytest.mark.parametrize("name", small_methods.TRAINED)
def test_eight_devices_equal_one(name):
    """Loss, statistics, memories and target networks, over some steps."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.train.eight", name],
        cwd=ROOT,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "JAX_PLATFORMS": "cpu",
            "JAX_NUM_CPU_DEVICES": "8",
            "JAX_COMPILATION_CACHE_DIR": str(ROOT / ".cache" / "jax"),
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
