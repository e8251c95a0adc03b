"""Optimizers against the recorded release and against hand-written updates."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ppcjax.train import optim, schedules
from ppcjax.types import UserError

GOLDEN = Path(__file__).parents[1] / "golden" / "ppc_polysgd.npz"
# Groups of the release: weights, biases (x2, no decay), head (x10), head biases.
GROUPS = ("body/kernel", "body/bias", "head/kernel", "head/bias")


def as_tree(values):
    tree = {}
    for name, value in zip(GROUPS, values, strict=True):
        module, leaf = name.split("/")
        tree.setdefault(module, {})[leaf] = jnp.asarray(value)
    return tree


def test_sgd_reproduces_the_release():
    golden = np.load(GOLDEN)
    optimizer = optim.make(
        lr=float(golden["lr"]),
        momentum=float(golden["group_momentum"][0]),
        weight_decay=float(golden["wd"]),
        power=0.9,
        steps=int(golden["max_step"]),
        lr_mults=(("head/bias", 20.0), ("head/", 10.0), ("bias", 2.0)),
        no_decay=("bias",),
    )
    params = as_tree([golden[f"p{i}_0"] for i in range(4)])
    state = optimizer.init(params)
    update = jax.jit(optimizer.update)
    for t in range(1, len(golden["lrs"]) + 1):
        gradients = as_tree([golden[f"g{i}_{t}"] for i in range(4)])
        updates, state = update(gradients, state, params)
        params = optax.apply_updates(params, updates)
        # atol: rounding of values of order 1 whose difference is near zero.
        expected = as_tree([golden[f"p{i}_{t}"] for i in range(4)])
        jax.tree.map(
            lambda got, want: np.testing.assert_allclose(
                got, want, rtol=1e-5, atol=1e-7
            ),
            params,
            expected,
        )


def test_poly_follows_the_recorded_rates_and_stays_at_the_last():
    golden = np.load(GOLDEN)
    rate = schedules.poly(float(golden["lr"]), power=0.9, steps=int(golden["max_step"]))
    recorded = golden["lrs"][:, 0]
    got = [rate(t) for t in range(len(recorded))]
    np.testing.assert_allclose(got, recorded, rtol=1e-5)
    np.testing.assert_allclose(rate(50), 0.01 * (1 - 9 / 10) ** 0.9, rtol=1e-5)


def test_momentum_starts_as_the_gradient():
    optimizer = optim.make(lr=1.0, momentum=0.5, weight_decay=0.0, power=0.0, steps=9)
    params = {"w": jnp.zeros(2)}
    state = optimizer.init(params)
    one = {"w": jnp.array([1.0, -2.0])}
    first, state = optimizer.update(one, state, params)
    second, state = optimizer.update(one, state, params)
    np.testing.assert_allclose(first["w"], [-1.0, 2.0])
    np.testing.assert_allclose(second["w"], [-1.5, 3.0])


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_frozen_parameters_have_neither_update_nor_memory(name):
    settings = {"lr": 0.1, "weight_decay": 0.1, "power": 0.9, "frozen": ("stem/",)}
    if name == "sgd":
        settings["momentum"] = 0.9
    optimizer = optim.make(name=name, steps=10, **settings)
    params = {"stem": {"w": jnp.ones((3, 5))}, "head": {"w": jnp.ones(4)}}
    state = optimizer.init(params)
    updates, state = optimizer.update(
        jax.tree.map(jnp.ones_like, params), state, params
    )
    assert not updates["stem"]["w"].any()
    assert updates["head"]["w"].all()
    assert not [leaf for leaf in jax.tree.leaves(state) if leaf.shape == (3, 5)]


def test_unmatched_pattern_and_unknown_settings_are_user_errors():
    params = {"w": jnp.ones(2)}
    settings = {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.0, "power": 0.9}
    with pytest.raises(UserError, match=r"lr_mults: 'claassifier' matches no param"):
        optim.make(steps=1, lr_mults=(("claassifier", 10.0),), **settings).init(params)
    with pytest.raises(UserError, match="config.optim.name='lion': give one of sgd,"):
        optim.make(name="lion", steps=1, lr=0.1)
    with pytest.raises(UserError, match="optim.momentum is not a .* 'adamw'"):
        optim.make(name="adamw", steps=1, **settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lr": -0.1}, "config.optim.lr=-0.1: give a number above 0"),
        ({"lr": 0}, "config.optim.lr=0: give a number above 0"),
        ({"momentum": 1.0}, "momentum=1.0: give a number of at least 0 and below 1"),
        (
            {"drops": (0,)},
            r"drops=\(0,\): give a list, each a whole number of at least",
        ),
        ({"frozen": ("head(",)}, r"frozen=\('head\(',\): give a list, each a regular"),
        ({"frozen": "head"}, "config.optim.frozen='head': give a list"),
        ({"frozen": ("",)}, "config.optim.frozen="),
        ({"lr_mults": (("head", -1.0),)}, "config.optim.lr_mults="),
        ({"lr_mults": ("head", 1.0)}, "config.optim.lr_mults="),
        ({"layer_decay": 0.0}, "layer_decay=0.0: give a number above 0 and at most 1"),
        ({"layer_decay": 1.1}, "layer_decay=1.1: give a number above 0 and at most 1"),
    ],
)
def test_wrong_settings(settings, message):
    right = {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.0, "power": 0.9}
    with pytest.raises(UserError, match=message) as caught:
        optim.make(steps=1, **right | settings)
    assert "\n" not in str(caught.value)


def _transformer(depth=3):
    """Parameters as a vision transformer has them, one of each kind."""
    blocks = {f"block{i}": {"fc1": {"kernel": jnp.ones(2)}} for i in range(depth)}
    first = {"cls_token": jnp.ones(2), "pos_embed": jnp.ones(2)}
    return {
        "backbone": blocks | first | {"norm": {"scale": jnp.ones(2)}},
        "head": {"kernel": jnp.ones(2)},
    }


@pytest.mark.parametrize("name", ["sgd", "adamw", "lars"])
def test_blocks_learn_the_slower_the_earlier_they_come(name):
    """Against the same optimizer without; two steps, so that momentum matters."""
    settings = {"name": name, "lr": 0.1, "weight_decay": 0.1, "power": 0.9}
    settings |= {"steps": 10, "lr_mults": (("block1", 3.0),)}
    if name == "sgd":
        settings["momentum"] = 0.9
    params = _transformer()
    gradients = jax.tree.map(lambda p: p * jnp.array([1.0, -2.0]), params)
    found = []
    for decay in (1.0, 0.5):
        optimizer = optim.make(**settings, layer_decay=decay)
        state = optimizer.init(params)
        update = jax.jit(optimizer.update)
        for _ in range(2):
            updates, state = update(gradients, state, params)
        found.append(updates)
    share = jax.tree.map(lambda plain, other: other / plain, *found)
    backbone = share["backbone"]
    for i in range(3):
        kernel = backbone[f"block{i}"]["fc1"]["kernel"]
        np.testing.assert_allclose(kernel, 0.5 ** (3 - i), rtol=1e-6)
    for first in ("cls_token", "pos_embed"):
        np.testing.assert_allclose(backbone[first], 0.5**4, rtol=1e-6)
    for rest in (backbone["norm"]["scale"], share["head"]["kernel"]):
        np.testing.assert_array_equal(rest, 1)


def test_frozen_blocks_count_as_well():
    """So that a rate does not depend on which other blocks learn."""
    settings = {"lr": 1.0, "momentum": 0.0, "weight_decay": 0.0, "power": 0.0}
    frozen = (r"backbone/(cls_token|pos_embed|block[02])",)
    optimizer = optim.make(steps=9, **settings, frozen=frozen, layer_decay=0.5)
    params = _transformer()
    updates, _ = optimizer.update(params, optimizer.init(params), params)
    moved = updates["backbone"]["block1"]["fc1"]["kernel"]
    np.testing.assert_allclose(moved, -(0.5**2))
    for still in ("block0", "block2"):
        assert not updates["backbone"][still]["fc1"]["kernel"].any()


@pytest.mark.parametrize(
    ("params", "frozen", "message"),
    [
        # blocks that are no transformer's
        ({"backbone": {"block1": {"w": jnp.ones(2)}}}, (), "which this network does"),
        (_transformer(), ("^backbone/",), "config.optim.frozen keeps all of them"),
    ],
)
def test_a_decay_that_would_do_nothing(params, frozen, message):
    settings = {"lr": 1.0, "momentum": 0.0, "weight_decay": 0.0, "power": 0.0}
    optimizer = optim.make(steps=9, **settings, frozen=frozen, layer_decay=0.5)
    with pytest.raises(UserError, match=message) as caught:
        optimizer.init(params)
    assert "\n" not in str(caught.value)
