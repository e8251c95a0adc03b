"""What holds for every method of METHODS, and for one that is not there yet.

A new method needs a row of SMALL only where its defaults are too large for a test.
"""

from typing import Annotated, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ppcjax import methods
from ppcjax.fields import Range, build, check, fields_of
from ppcjax.losses import cross_entropy
from ppcjax.train import mesh
from ppcjax.types import Method, UserError
from tests import batches
from tests.wrong_values import allows, wrong_values

KEY = jax.random.key(0)
STEPS = 30
SMALL = {
    "affinity": {"radius": 2},
    "asgnet": {
        "endpoints": ("stage4", "stage3"),  # of small_resnet
        "backbone_gradient": True,
        "head_settings": {"scales": (1.0, 0.5)},
        "superpixel_cells": 4,
        "iterations": (2, 2),
    },
    "contrastive_seg": {
        "head": "v1",
        "head_settings": {"width": 8, "rate": 1},
        "max_anchors": 32,
        "max_views": 4,
        "region_slots": 6,
        "pixel_slots": 8,
        "pixels_per_push": 3,
        "contrast_block": 32,
    },
    "pixpro": {"momentum_steps": 60},
    "ppc": {"small_view": 16},
    "segment": {"head": "v2", "head_settings": {"width": 8, "rates": (1, 2)}},
}


def toy(num_classes: int, *, rate: Annotated[float, Range(0, 1)] = 0.5) -> Method:
    """The method that somebody adds: colours of cells, classified.

    Args:
        num_classes: C.
        rate: share of the old mean colour that the next one keeps.
    """

    def logits(params, batch):
        cells = jnp.asarray(batch["image"], jnp.float32)[:, 2::4, 2::4] / 255
        return cells @ params["kernel"] + params["bias"][None, None, None], cells

    def init(key, batch):
        params = {"kernel": np.zeros((3, num_classes), np.float32)}
        params["bias"] = np.zeros(num_classes, np.float32)
        return params, {"mean": np.zeros(3, np.float32)}

    def loss(params, model_state, batch, key, step):
        scores, cells = logits(params, batch)
        mean = jnp.mean(cells, axis=(0, 1, 2))
        state = {"mean": rate * model_state["mean"] + (1 - rate) * mean}
        nats = cross_entropy(scores, batch["mask"][:, 2::4, 2::4])
        return nats, (state, {"loss/nats": nats})

    def predict(params, model_state, batch):
        return {"logits": logits(params, batch)[0]}

    return Method(init, loss, predict)


FACTORIES = methods.METHODS | {"toy": toy}
NAMES = list(FACTORIES)


def small(name: str) -> dict:
    """Settings of a method that is quick to compile, from what it declares."""
    declared = fields_of(FACTORIES[name], without=("num_classes",))
    settings = {}
    if "backbone" in declared:
        settings["backbone"] = "small_resnet"
        settings["backbone_settings"] = {"width": 4}
    for field, (_, hint, *_) in declared.items():
        marks = getattr(hint, "__metadata__", ())
        of_items = getattr(hint, "__args__", ())
        if "channels" in marks:
            settings[field] = 8
        elif of_items and all(
            "channels" in getattr(item, "__metadata__", ()) for item in of_items
        ):
            settings[field] = (8,) * len(of_items)
    return settings | SMALL.get(name, {})


def make(name: str, **more) -> Method:
    """As `methods.make` does, of the toy too."""
    return build(
        FACTORIES[name],
        small(name) | more,
        where="config.method",
        what=name,
        num_classes=batches.CLASSES,
    )


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
    """Name -> the method after some steps; each is compiled and trained once."""
    made = {}

    def get(name):
        if name not in made:
            made[name] = _train(make(name))
        return made[name]

    return get


def _train(method):
    batch = batches.to_train(method)
    params, state = jax.tree.map(jnp.asarray, method.init(KEY, batch))
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


@pytest.mark.parametrize("name", NAMES)
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


FIELDS = [
    (name, field)
    for name, factory in FACTORIES.items()
    for field in fields_of(factory, without=("num_classes",))
]


@pytest.mark.parametrize(("name", "field"), FIELDS)
def test_a_value_that_is_not_declared_is_refused(name, field):
    _, hint, default, text, group = fields_of(FACTORIES[name])[field]
    wrong = wrong_values(hint)
    assert wrong and (text or not group)
    assert allows(hint, default)
    for i, value in enumerate(wrong):
        with pytest.raises(UserError, match=rf"config\.method\.{field}=.*: give"):
            if i == 0:  # the whole way, which takes its time
                make(name, **{field: value})
            check(hint, value, f"config.method.{field}")


def test_a_field_of_a_module_that_is_not_there_is_named():
    for name in NAMES:
        declared = fields_of(FACTORIES[name], without=("num_classes",))
        for field in declared:
            if allows(declared[field].hint, {"sizze": 1}):
                with pytest.raises(UserError, match=rf"method\.{field}\.sizze"):
                    make(name, **{field: {"sizze": 1}})


def test_a_sixth_method_is_one_line(monkeypatch):
    monkeypatch.setitem(methods.METHODS, "toy", toy)
    assert methods.make({"name": "toy", "rate": 0.25}, 3).reads == "dense"
    with pytest.raises(UserError, match=r"config\.method\.rate=2.*from 0|.*at least 0"):
        methods.make({"name": "toy", "rate": 2}, 3)
