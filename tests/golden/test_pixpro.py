"""PixPro's parts against recorded numbers."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ppcjax.methods import pixpro_terms
from ppcjax.nn.pixpro_net import Projector, Transform
from ppcjax.ops import pixel_pairs
from ppcjax.ops.propagation import propagate
from ppcjax.train import optim, schedules
from tests.golden.arrays import assert_close, load

REGRESSION, PROPAGATION = load("pixpro_regloss"), load("pixpro_ppm")
MLP, LARS, SCHEDULE = load("pixpro_mlp2d"), load("pixpro_lars"), load("pixpro_sched")
RATIOS = REGRESSION.having(r"loss_r(\d+)")  # "07": 0.7
WHOLE, PART = 1024, 20  # cells compared at once


@functools.partial(jax.jit, static_argnames=("threshold", "block"))
def _consistency(q, k, box_q, box_k, threshold, block):
    def loss(q, k):
        pairs = pixel_pairs.consistency(
            q, k, box_q, box_k, threshold=threshold, block=block
        )
        return pairs.loss, pairs.count

    return jax.value_and_grad(loss, argnums=(0, 1), has_aux=True)(q, k)


def _number(digits):
    return float(f"{digits[0]}.{digits[1:]}")


@pytest.mark.parametrize(
    ("ratio", "block"), [(RATIOS[0], PART), *((r, WHOLE) for r in RATIOS)]
)
def test_consistency_loss_and_its_pairs(ratio, block):
    golden = REGRESSION
    boxes = golden["coord_q"], golden["coord_k"]
    (loss, count), gradients = _consistency(
        golden.map("q"), golden.map("k"), *boxes, _number(ratio), block
    )
    assert_close(loss, golden[f"loss_r{ratio}"], 1e-5)
    np.testing.assert_array_equal(count, golden[f"npos_r{ratio}"])
    for name, gradient in zip("qk", gradients, strict=True):
        assert_close(gradient, golden.map(f"g{name}_r{ratio}"), 1e-5)


def test_distances_and_masks():
    golden = REGRESSION
    grid = golden["q"].shape[2:]
    found = jax.jit(functools.partial(pixel_pairs.distances, grid=grid))(
        golden["coord_q"], golden["coord_k"]
    )
    assert_close(found, golden["dist_center"], 1e-6)
    for ratio in RATIOS:
        mask = golden[f"pos_mask_r{ratio}"].astype(bool)
        np.testing.assert_array_equal(found < _number(ratio), mask)


def _transform(layers):
    """The value transform with the recorded parameters, and its variables."""
    names = {
        "linear1": "value_transform" if layers == 1 else "value_transform.linear1",
        "bn1": "value_transform.bn1",
        "linear2": "value_transform.linear2",
    }

    def conv(layer):
        name = f"t{layers}_{names[layer]}"
        kernel = PROPAGATION.kernel(f"{name}.weight")
        return {"conv": {"kernel": kernel, "bias": PROPAGATION[f"{name}.bias"]}}

    if layers == 0:
        return {}
    if layers == 1:
        return {"linear1": conv("linear1")}
    scale, bias = (PROPAGATION[f"t2_{names['bn1']}.{n}"] for n in ("weight", "bias"))
    bn1 = {"scale": scale, "bias": bias}
    return {"mlp": {"linear1": conv("linear1"), "bn1": bn1, "linear2": conv("linear2")}}


@functools.partial(jax.jit, static_argnums=(2, 3, 4))
def _propagated(params, x, layers, settings, block):
    power, clamp = settings
    width = x.shape[-1]
    stats = {"bn1": {"mean": jnp.zeros(width), "var": jnp.ones(width)}}
    variables = {"batch_stats": {"mlp": stats}} if layers == 2 else {}

    def forward(params, x):
        values, _ = Transform(layers).apply(
            {"params": params, **variables}, x, train=True, mutable=["batch_stats"]
        )
        return propagate(x, values, power=power, clamp=clamp, block=block)

    out, vjp = jax.vjp(forward, params, x)
    return out, *vjp(jnp.asarray(PROPAGATION.map("gout")))


@pytest.mark.parametrize("name", PROPAGATION.having(r"(t\d_p.+_c.+)_out"))
def test_propagation(name):
    layers, power, clamp = re.fullmatch(r"t(\d)_p(.+)_c(.+)", name).groups()
    layers, settings = int(layers), (float(power), float(clamp))
    params = _transform(layers)
    out, of_params, of_x = _propagated(
        params,
        PROPAGATION.map("feat"),
        layers,
        settings,
        PART if settings == (2, 0) else WHOLE,
    )
    assert_close(out, PROPAGATION.map(f"{name}_out"), 1e-5)
    assert_close(of_x, PROPAGATION.map(f"{name}_g"), 1e-4 if layers == 2 else 2e-5)
    if not PROPAGATION.having(rf"{re.escape(name)}_gw_(.+)"):
        return
    found = of_params["mlp"] if layers == 2 else of_params
    # Constants added before a batch normalisation have no effect: rounding only.
    for layer in ("linear1", "linear2")[:layers]:
        inner = f".{layer}" if layers == 2 else ""
        kernel = PROPAGATION.kernel(f"{name}_gw_value_transform{inner}.weight")
        bias = PROPAGATION[f"{name}_gw_value_transform{inner}.bias"]
        assert_close(found[layer]["conv"]["kernel"], kernel, 1e-4)
        scale = np.abs(kernel).max()
        np.testing.assert_allclose(
            found[layer]["conv"]["bias"], bias, atol=1e-4 * scale
        )


def test_projector():
    net = Projector(len(MLP["w_linear1.bias"]), len(MLP["w_linear2.bias"]))
    params = {
        layer: {
            "conv": {
                "kernel": MLP.kernel(f"w_{layer}.weight"),
                "bias": MLP[f"w_{layer}.bias"],
            }
        }
        for layer in ("linear1", "linear2")
    }
    params["bn1"] = {"scale": MLP["w_bn1.weight"], "bias": MLP["w_bn1.bias"]}
    stats = {"bn1": {"mean": MLP["running_mean_0"], "var": MLP["running_var_0"]}}
    x = MLP.map("x")
    variables = {"params": params, "batch_stats": stats}
    assert_close(jax.jit(net.apply)(variables, x), MLP.map("out_eval"), 1e-5)

    def forward(params, x):
        variables = {"params": params, "batch_stats": stats}
        return net.apply(variables, x, train=True, mutable=["batch_stats"])

    @jax.jit
    def with_gradients(params, x, cotangent):
        out, vjp, after = jax.vjp(forward, params, x, has_aux=True)
        return out, after, vjp(cotangent)

    out, after, (grads, g_x) = with_gradients(params, x, MLP.map("gout"))
    assert_close(out, MLP.map("out_train"), 1e-5)
    assert_close(g_x, MLP.map("g_x"), 1e-5)
    for kind in ("mean", "var"):
        found = after["batch_stats"]["bn1"][kind]
        assert_close(found, MLP[f"running_{kind}_1"], 1e-5)
    for layer in ("linear1", "linear2"):
        kernel = MLP.kernel(f"g_{layer}.weight")
        assert_close(grads[layer]["conv"]["kernel"], kernel, 1e-5)
        # That of the first bias, before a normalisation, is rounding only.
        scale = np.abs(kernel).max()
        np.testing.assert_allclose(
            grads[layer]["conv"]["bias"], MLP[f"g_{layer}.bias"], atol=1e-5 * scale
        )
    assert_close(grads["bn1"]["scale"], MLP["g_bn1.weight"], 1e-5)
    assert_close(grads["bn1"]["bias"], MLP["g_bn1.bias"], 1e-5)


def test_lars():
    names, steps = LARS.having(r"p_(.+)_0"), LARS.having(r"mom_.+_(\d+)")
    moving = LARS.having(r"mom_(.+)_\d+")
    params = {name: LARS[f"p_{name}_0"] for name in names}
    optimizer = optim.make(
        name="lars",
        lr=float(LARS["lr"]),
        weight_decay=float(LARS["wd"]),
        momentum=float(LARS["momentum"]),
        trust=float(LARS["trust_coef"]),
        power=0.0,
        steps=len(steps),
        frozen=[re.escape(name) for name in names if name not in moving],
    )
    state, update = optimizer.init(params), jax.jit(optimizer.update)
    for step in steps:
        gradients = {
            name: LARS[f"g_{name}_{step}"]
            if f"g_{name}_{step}" in LARS
            else np.zeros_like(params[name])
            for name in names
        }
        updates, state = update(gradients, state, params)
        params = {name: params[name] + updates[name] for name in names}
        for name in names:
            assert_close(params[name], LARS[f"p_{name}_{step}"], 1e-6)
        moments = [leaf for leaf in jax.tree.leaves(state) if leaf.ndim]
        for name, moment in zip(sorted(moving), moments, strict=True):
            assert_close(moment, LARS[f"mom_{name}_{step}"], 1e-6)


def test_lars_with_a_falling_rate():
    """The rate comes after the momentum; numbers of the specification."""
    kernels = ([[0.1, -0.2], [0.3, 0.4]], [[-0.05, 0.1], [0.2, 0]])
    biases = ([0.01, -0.02], [0.03, 0.01])
    params = {"w": jnp.array([[1.0, 2.0], [3.0, 4.0]]), "b": jnp.array([0.5, -0.5])}
    # Rates 4 and 2: a cosine whose half-way point is update 1.
    optimizer = optim.make(
        name="lars",
        lr=4.0,
        weight_decay=1e-5,
        steps=2,
        schedule={"name": "warmup_cosine", "warmup": 0, "end": 0.0},
    )
    state, update = optimizer.init(params), jax.jit(optimizer.update)
    for kernel, bias in zip(kernels, biases, strict=True):
        gradients = {"w": jnp.array(kernel), "b": jnp.array(bias)}
        updates, state = update(gradients, state, params)
        params = jax.tree.map(jnp.add, params, updates)
    expected = [0.9965824844, 2.0068308048, 2.9730656575, 3.9767974830]
    np.testing.assert_allclose(params["w"].ravel(), expected, rtol=3e-7)
    np.testing.assert_allclose(params["b"], [0.382, -0.404], rtol=1e-6)


def test_momentum_and_target_over_a_run():
    golden = SCHEDULE
    count, start = int(golden["K"]), float(golden["m0"])
    names = golden.having(r"q_(\w+)_f64")
    target = {name: golden[f"k_{name}_0_f64"].astype(np.float32) for name in names}
    online = {name: golden[f"q_{name}_f64"].astype(np.float32) for name in names}
    for k in range(len(golden["momentum_f64"])):
        momentum = pixpro_terms.cosine_momentum(k, start=start, steps=count)
        np.testing.assert_allclose(momentum, golden["momentum_f64"][k], rtol=1e-7)
        target = pixpro_terms.moving_average(target, online, momentum)
        for name in names:
            wanted = golden[f"k_{name}_f64"][k].reshape(target[name].shape)
            np.testing.assert_allclose(target[name], wanted, 1e-5)


@pytest.mark.parametrize("kind", ["cosine", "step"])
def test_learning_rates(kind):
    args = SCHEDULE.text("lr_args")
    per_epoch = args["n_iter_per_epoch"]
    settings = {
        "warmup": args["warmup_epoch"] * per_epoch,
        "start": 1 / args["warmup_multiplier"],
    }
    if kind == "cosine":
        settings |= {"name": "warmup_cosine", "end": args["eta_min"]}
    else:
        drops = [epoch * per_epoch for epoch in args["lr_decay_epochs"]]
        settings |= {"name": "warmup_steps", "drops": drops}
    rate = schedules.make(
        args["base_lr"], steps=args["epochs"] * per_epoch, schedule=settings
    )
    recorded = SCHEDULE[f"lr_{kind}_f64"]
    found = jax.vmap(rate)(jnp.arange(len(recorded)))
    np.testing.assert_allclose(found, recorded, rtol=2e-6)
