"""What holds for every method of METHODS, and for one that is not there yet."""

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ppcjax import methods
from ppcjax.train import mesh, settings
from ppcjax.types import Method, UserError
from tests import batches
from tests.small_methods import NAMES, TRAINED, make, toy

KEY = jax.random.key(0)
STEPS = 30


class Trained(NamedTuple):
    """A method, what it said in training, and what it said of odd batches."""

    method: Method
    step: object
    start: tuple
    first: dict
    again: dict
    empty: dict
    losses: list
    reached: dict
    last: tuple
    traces: int


@pytest.fixture(scope="module")
def trained():
    """Name -> the method after some steps, if any; compiled and trained once each."""
    made = {}

    def get(name):
        if name not in made:
            made[name] = _train(make(name))
        return made[name]

    return get


def _train(method):
    batch = batches.to_train(method)
    params, state = jax.tree.map(jnp.asarray, method.init(KEY, batch))
    if method.loss is None:
        nothing = dict.fromkeys(Trained._fields)
        return Trained(**nothing | {"method": method, "last": (params, state)})
    optimizer = optax.adam(3e-3)
    value_and_grad = jax.value_and_grad(
        method.loss, argnums=(0, 1), has_aux=True, allow_int=True
    )

    traces = []

    @jax.jit
    def step(params, state, opt_state, batch, key, number):
        traces.append(number)
        (loss, (state, scalars)), (grads, of_state) = value_and_grad(
            params, state, batch, key, number
        )
        updates, opt_state = optimizer.update(grads, opt_state)
        floats = [g for g in jax.tree.leaves(of_state) if g.dtype != jax.dtypes.float0]
        return {
            "params": optax.apply_updates(params, updates),
            "opt_state": opt_state,
            "loss": loss,
            "state": state,
            "scalars": scalars,
            "grads": grads,
            "state_grads": floats,
        }

    opt_state = optimizer.init(params)
    start = (params, state, opt_state)
    first, again = (step(*start, batch, KEY, jnp.int32(0)) for _ in range(2))
    empty = batches.to_train(method, empty=True)
    empty = step(*start, empty, KEY, jnp.int32(1))
    losses, now = [], start
    reached = jax.tree.map(lambda _: False, params)
    for i in range(STEPS):
        out = step(*now, batch, jax.random.fold_in(KEY, i), jnp.int32(i))
        now = (out["params"], out["state"], out["opt_state"])
        losses.append(float(out["loss"]))
        reached = jax.tree.map(lambda r, g: r or bool(np.any(g)), reached, out["grads"])
    return Trained(
        method=method,
        step=step,
        start=start,
        first=first,
        again=again,
        empty=empty,
        losses=losses,
        reached=reached,
        last=jax.device_get(now[:2]),
        traces=len(traces),
    )


@pytest.mark.parametrize("name", TRAINED)
class TestTraining:
    def test_state_keeps_structure_shapes_and_types(self, name, trained):
        found = trained(name)
        for out in (found.first, found.empty):
            chex.assert_trees_all_equal_shapes_and_dtypes(out["state"], found.start[1])

    def test_loss_and_scalars_are_float32_and_finite(self, name, trained):
        found = trained(name)
        for out in (found.first, found.empty):
            assert out["loss"].shape == () and out["loss"].dtype == np.float32
            for scalar in out["scalars"].values():
                assert scalar.shape == () and scalar.dtype == np.float32
            chex.assert_tree_all_finite((out["loss"], out["scalars"], out["state"]))
            assert "loss/total" not in out["scalars"]  # the step sets it

    def test_gradients_are_finite(self, name, trained):
        found = trained(name)
        for out in (found.first, found.empty):
            chex.assert_tree_all_finite(out["grads"])

    def test_gradients_reach_all_parameters_and_no_state(self, name, trained):
        found = trained(name)
        leaves = jax.tree_util.tree_leaves_with_path(found.reached)
        missed = [jax.tree_util.keystr(path) for path, reached in leaves if not reached]
        assert not missed
        for out in (found.first, found.empty):
            assert not any(np.any(g) for g in out["state_grads"])

    def test_all_steps_and_batches_share_one_trace(self, name, trained):
        assert trained(name).traces == 1

    def test_same_key_same_loss(self, name, trained):
        found = trained(name)
        chex.assert_trees_all_equal(found.first, found.again)

    def test_thirty_steps_on_one_batch_lower_the_loss(self, name, trained):
        losses = trained(name).losses
        assert np.mean(losses[-5:]) < losses[0] - 0.05 * abs(losses[0])

    @pytest.mark.slow
    def test_two_devices_equal_one(self, name, trained):
        """Gradients by direction: rounding may turn single activations on or off."""
        assert len(jax.devices()) == 2
        found = trained(name)
        devices = mesh.make_mesh()
        batch = batches.to_train(found.method)
        rows = jax.device_put(batch, mesh.sharded(devices))
        start = jax.device_put(found.start, mesh.replicated(devices))
        one = found.first
        two = jax.device_get(found.step(*start, rows, KEY, jnp.int32(0)))
        np.testing.assert_allclose(two["loss"], one["loss"], rtol=1e-4, atol=1e-5)
        chex.assert_trees_all_close(two["state"], one["state"], rtol=1e-3, atol=1e-3)
        lengths = optax.tree.norm(one["grads"]) * optax.tree.norm(two["grads"])
        assert optax.tree.vdot(one["grads"], two["grads"]) > 0.999 * lengths


def _grid(side, height, width):
    assert 0 < height <= side and 0 < width <= side


def _maps(out, rows, side):
    scores = out["scores"]
    assert scores.shape == (rows, *scores.shape[1:3], batches.CLASSES)
    _grid(side, *scores.shape[1:3])
    assert out["tag_logits"].shape == (rows, batches.CLASSES)
    assert np.all(scores >= 0)


def _logits(out, rows, side):
    logits = out["logits"]
    assert logits.shape == (rows, *logits.shape[1:3], batches.CLASSES)
    _grid(side, *logits.shape[1:3])
    if "extent" in out:
        np.testing.assert_array_equal(out["extent"], [logits.shape[1:3]] * rows)


def _affinity(out, rows, side):
    found = out["affinity"]
    assert found.ndim == 4 and found.shape[0] == rows
    _grid(side, *found.shape[2:])
    assert np.all((found >= 0) & (found <= 1))


def _episodes(out, rows, side):
    logits = out["logits"]
    assert logits.shape == (rows, 1, *logits.shape[2:4], 2)
    _grid(side, *logits.shape[2:4])


def _features(out, rows, side):
    assert out
    for found in out.values():
        assert found.ndim == 4 and found.shape[0] == rows
        _grid(side, *found.shape[1:3])


GIVES = {
    "maps": _maps,
    "logits": _logits,
    "affinity": _affinity,
    "episodes": _episodes,
    "features": _features,
}


@pytest.mark.parametrize("name", NAMES)
def test_prediction_of_what_is_kept(name, trained):
    """It has the shapes that `gives` promises, and equals that of the whole."""
    method, last = trained(name).method, trained(name).last
    kept = method.keep(*last)
    whole = dict(jax.tree_util.tree_leaves_with_path(last))
    for path, leaf in jax.tree_util.tree_leaves_with_path(tuple(kept)):
        np.testing.assert_array_equal(leaf, whole[path])
    predict = jax.jit(method.predict)
    for empty in (False, True):
        batch = batches.to_predict(method, seed=1, empty=empty)
        out = jax.device_get(predict(*kept, batch))
        chex.assert_tree_all_finite(out)
        GIVES[method.gives](out, batches.ROWS, batches.SIDE)
        if method.keep is not Method._field_defaults["keep"]:
            chex.assert_trees_all_close(out, predict(*last, batch), atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_learning_from_examples_equals_prediction(name, trained):
    method, last = trained(name).method, trained(name).last
    assert (method.fit is None) == (method.segment is None)
    if method.fit is None:
        return
    batch = batches.to_predict(method, seed=1)
    examples = {k: v for k, v in batch.items() if k.startswith(("support", "shot"))}
    queries = {k: v for k, v in batch.items() if k.startswith("query")}
    learnt = jax.jit(method.fit)(*last, examples)
    out = jax.jit(method.segment)(*last, learnt, queries)
    expected = jax.jit(method.predict)(*last, batch)
    chex.assert_trees_all_close(out, expected, atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_options_for_gpus_are_known_to_the_compiler(name):
    options = dict(make(name).gpu_options)
    assert all(option.startswith("xla_gpu_") for option in options)
    jax.jit(jnp.sin, compiler_options=options)(1.0)


@pytest.mark.parametrize("name", [n for n in NAMES if n not in TRAINED])
def test_a_method_without_training_says_how_it_is_evaluated(name):
    with pytest.raises(UserError, match="nothing to train; evaluate it: ") as caught:
        settings.check({"method": {"name": name}}, make(name).reads)
    assert "\n" not in str(caught.value)


def test_a_sixth_method_is_one_line(monkeypatch):
    monkeypatch.setitem(methods.METHODS, "toy", toy)
    assert methods.make({"name": "toy", "rate": 0.25}, 3).reads == "dense"
    with pytest.raises(UserError, match=r"config\.method\.rate=2.*from 0|.*at least 0"):
        methods.make({"name": "toy", "rate": 2}, 3)
