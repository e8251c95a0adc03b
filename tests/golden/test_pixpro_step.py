"""Whole training steps of PixPro on ResNet-50 against recorded numbers."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ppcjax.methods import pixpro_terms as terms
from ppcjax.nn.pixpro_net import PixProNet, Projector, Transform
from ppcjax.nn.resnet import ResNet
from ppcjax.ops.masks import l2_normalize
from ppcjax.ops.pixel_pairs import consistency
from ppcjax.ops.propagation import propagate
from ppcjax.train import optim
from tests.golden.arrays import (
    assert_within_noise,
    jit,
    load,
    norms,
    nudged,
    official_shapes,
    published,
    recipe_weights,
)

GOLDEN = load("pixpro_step")
ARGS = GOLDEN.text("args")
STEPS = GOLDEN.having(r"loss_(\d+)_f64")
NET = PixProNet(
    ResNet(50),
    "stage4",
    projector=Projector(
        *(GOLDEN.shapes()[f"projector.linear{i}.bias"][0] for i in (1, 2))
    ),
    transform=Transform(ARGS["pixpro_transform_layer"]),
)
NAME_OF = published("pixpro", "pixpro")
OPTIMIZER = optim.make(
    name="lars",
    lr=float(GOLDEN["lr"]),
    weight_decay=float(GOLDEN["wd"]),
    steps=len(STEPS),
    power=0.0,
)

pytestmark = pytest.mark.slow


@jit
def _step(params, model_state, opt_state, views, box, k):
    compare = functools.partial(consistency, threshold=ARGS["pixpro_pos_ratio"])
    power, clamp = ARGS["pixpro_p"], ARGS["pixpro_clamp_value"]

    def loss(params):
        momentum = terms.cosine_momentum(
            k, start=ARGS["pixpro_momentum"], steps=int(GOLDEN["K"])
        )
        online, target, after = terms.both_networks(
            NET, params, model_state, views, momentum
        )
        queries = [
            l2_normalize(propagate(m.projection, m.value, power=power, clamp=clamp))
            for m in online
        ]
        keys = [l2_normalize(m.projection) for m in target]
        total, _ = terms.both_directions(compare, queries, keys, box)
        return total, (after, online[0].projection, queries, keys)

    (total, aux), grads = jax.value_and_grad(loss, has_aux=True)(params)
    updates, opt_state = OPTIMIZER.update(grads, opt_state, params)
    return total, aux, grads, updates, opt_state


def _computed(variables, views):
    """What the file holds, by the names that it has there."""
    params, stats = variables["params"], variables["batch_stats"]
    model_state = {
        "batch_stats": stats,
        "target": terms.target_parts(params),
        "target_stats": terms.target_parts(stats),
    }
    opt_state, found = OPTIMIZER.init(params), {}
    for k, number in enumerate(STEPS):
        box = np.stack([GOLDEN[f"coord{i}_{number}"] for i in (1, 2)], axis=1)
        total, (model_state, projection, queries, keys), grads, updates, opt_state = (
            _step(params, model_state, opt_state, views[k], box, k)
        )
        params = optax.apply_updates(params, updates)
        if k == 0:
            maps = {"proj_1": projection}
            maps |= {f"pred_{i}": x for i, x in enumerate(queries, 1)}
            maps |= {f"proj_{i}_ng": x for i, x in enumerate(keys, 1)}
            found |= {name: jnp.moveaxis(x, -1, 1) for name, x in maps.items()}
        found[f"loss_{number}_f64"] = total
        for kind, tree in (("gradnorm", grads), ("deltanorm", updates)):
            sizes = norms(tree, NAME_OF)
            found[f"{kind}_{number}"] = [sizes[n] for n in GOLDEN.text(f"{kind}_names")]
        sizes = norms(model_state["target"], NAME_OF)
        names = [n.replace("_k.", ".") for n in GOLDEN.text("param_k_names")]
        assert set(names) == set(sizes)
        found[f"param_k_norm_{number}"] = [sizes[n] for n in names]
        found |= _state(params, model_state, f"_after{number}")
    return {name: np.asarray(x) for name, x in found.items() if name in GOLDEN}


def _state(params, model_state, suffix):
    """Single arrays of both networks, by the names that the file has for them."""
    found = {}
    for kind, weights, stats in (
        ("", params, model_state["batch_stats"]),
        ("_k", model_state["target"], model_state["target_stats"]),
    ):
        kernel = weights["backbone"]["conv1"]["conv"]["kernel"]
        found[f"conv1{kind}{suffix}"] = kernel.transpose(3, 2, 0, 1)
        for name, value in stats["backbone"]["bn1"].items():
            found[f"bn1{kind}_running_{name}{suffix}"] = value
    if ARGS["pixpro_transform_layer"] == 1:
        bias = params["transform"]["linear1"]["conv"]["bias"]
        found[f"value_transform_bias{suffix}"] = bias
    return found


@pytest.fixture(scope="module")
def runs():
    """All steps, and the same with inputs that differ by rounding."""
    views = [
        tuple(GOLDEN.map(f"x{i}_x4_{n}").astype(np.float32) / 4 for i in (1, 2))
        for n in STEPS
    ]
    init = functools.partial(NET.init, train=False)
    shapes = jax.eval_shape(init, jax.random.key(0), views[0][0])
    variables = {k: recipe_weights(t, GOLDEN, NAME_OF) for k, t in shapes.items()}
    assert official_shapes(variables, NAME_OF) == GOLDEN.shapes()
    return _computed(variables, views), nudged(_computed, variables, views)


def _of_target(name):
    return name.startswith(("param_k", "conv1_k", "bn1_k"))


def test_maps_losses_gradients_updates_and_state(runs):
    found, moved = runs
    online = {name: x for name, x in found.items() if not _of_target(name)}
    assert_within_noise(online, GOLDEN, moved)


def test_target_network(runs):
    """It is a copy at step 1, and moved towards the parameters after step 1 at 2."""
    found, moved = runs
    target = {name: x for name, x in found.items() if _of_target(name)}
    assert_within_noise(target, GOLDEN, moved, floor=1e-6)
