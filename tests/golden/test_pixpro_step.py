"""Two whole training steps of PixPro on ResNet-50 against recorded numbers."""

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
from ppcjax.weights.names import resnet_torch
from tests.golden.arrays import assert_close, jit, load, paths, recipe_weights

GOLDEN = load("pixpro_step")
NET = PixProNet(ResNet(50), "stage4", projector=Projector(), transform=Transform(1))

pytestmark = pytest.mark.slow


def _name(path):
    """'projector/linear1/conv/kernel' -> 'projector.linear1.weight'."""
    part, rest = path.split("/", 1)
    if part == "backbone":
        return "encoder." + resnet_torch(rest)
    rest = resnet_torch(rest)
    if part == "transform":
        return rest.replace("linear1", "value_transform")
    return f"{part}.{rest}"


@functools.partial(jit, static_argnums=(5, 6))
def _step(params, model_state, opt_state, views, box, k, optimizer):
    def loss(params):
        momentum = terms.cosine_momentum(k, start=0.99, steps=int(GOLDEN["K"]))
        online, target, after = terms.both_networks(
            NET, params, model_state, views, momentum
        )
        queries = [l2_normalize(propagate(m.projection, m.value)) for m in online]
        keys = [l2_normalize(m.projection) for m in target]
        total, _ = terms.both_directions(consistency, queries, keys, box)
        projections = [l2_normalize(m.projection) for m in online]
        return total, (after, projections, queries, keys)

    (total, aux), grads = jax.value_and_grad(loss, has_aux=True)(params)
    updates, opt_state = optimizer.update(grads, opt_state, params)
    return total, aux, grads, updates, opt_state


def _norms(tree):
    return {
        _name(path): np.linalg.norm(np.asarray(leaf, np.float64))
        for path, leaf in paths(tree).items()
    }


@pytest.fixture(scope="module")
def steps():
    """What came out of steps 1 and 2, and the state after them."""
    image = jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32)
    shapes = jax.eval_shape(
        functools.partial(NET.init, train=False), jax.random.key(0), image
    )
    variables = {k: recipe_weights(t, GOLDEN, _name) for k, t in shapes.items()}
    params, stats = variables["params"], variables["batch_stats"]
    model_state = {
        "batch_stats": stats,
        "target": terms.target_parts(params),
        "target_stats": terms.target_parts(stats),
    }
    lr, decay = float(GOLDEN["lr"]), float(GOLDEN["wd"])
    optimizer = optim.make(name="lars", lr=lr, weight_decay=decay, steps=2, power=0.0)
    opt_state, found = optimizer.init(params), []
    for number in (1, 2):
        views = tuple(
            GOLDEN.map(f"x{i}_x4_{number}").astype(np.float32) / 4 for i in (1, 2)
        )
        box = np.stack([GOLDEN[f"coord{i}_{number}"] for i in (1, 2)], axis=1)
        total, aux, grads, updates, opt_state = _step(
            params, model_state, opt_state, views, box, number - 1, optimizer
        )
        params, model_state = optax.apply_updates(params, updates), aux[0]
        norms = [_norms(tree) for tree in (grads, updates, model_state["target"])]
        found.append((total, aux[1:], norms))
    return found, params, model_state


def test_maps_of_the_first_step(steps):
    (_, (projections, queries, keys), _), _ = steps[0]
    for found, name in (
        (projections[0], "proj_1"),
        (queries[0], "pred_1"),
        (queries[1], "pred_2"),
        (keys[0], "proj_1_ng"),
        (keys[1], "proj_2_ng"),
    ):
        expected = GOLDEN.map(name)
        if name == "proj_1":  # recorded before it is normalised
            expected = np.asarray(l2_normalize(expected))
        assert_close(found, expected, 2e-4)


def test_first_loss_gradients_and_updates(steps):
    total, _, norms = steps[0][0]
    assert_close(total, GOLDEN["loss_1_f64"], 1e-4)
    for found, kind in zip(norms, ("gradnorm", "deltanorm"), strict=False):
        names = GOLDEN.text(f"{kind}_names")
        found = [found[name] for name in names]
        assert_close(found, GOLDEN[f"{kind}_1"], 1e-2)


def test_target_network(steps):
    """It is a copy at step 1, and moved towards the parameters after step 1 at 2."""
    names = [name.replace("_k.", ".") for name in GOLDEN.text("param_k_names")]
    for number, (_, _, norms) in enumerate(steps[0], start=1):
        assert set(names) == set(norms[2])
        found = [norms[2][name] for name in names]
        assert_close(found, GOLDEN[f"param_k_norm_{number}"], 1e-6)
    kernel = steps[2]["target"]["backbone"]["conv1"]["conv"]["kernel"]
    assert_close(kernel, GOLDEN.kernel("conv1_k_after2"), 1e-6)


def test_state_after_two_steps(steps):
    _, params, state = steps
    stats, of_target = (
        state[name]["backbone"]["bn1"] for name in ("batch_stats", "target_stats")
    )
    bias = params["transform"]["linear1"]["conv"]["bias"]
    assert_close(stats["mean"], GOLDEN["bn1_running_mean_after2"], 2e-5)
    assert_close(stats["var"], GOLDEN["bn1_running_var_after2"], 2e-5)
    assert_close(of_target["mean"], GOLDEN["bn1_k_running_mean_after2"], 1e-6)
    assert_close(bias, GOLDEN["value_transform_bias_after2"], 5e-3)


def test_second_loss(steps):
    """Within what rounding makes of it, see README.md."""
    assert_close(steps[0][1][0], GOLDEN["loss_2_f64"], 0.1)
