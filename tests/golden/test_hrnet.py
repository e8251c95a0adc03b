"""HRNet-W48 with both heads, of stored and of batch statistics, as recorded."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ppcjax.nn import contrast_net
from tests.golden.arrays import (
    assert_within_noise,
    jit,
    load,
    norms,
    nudged,
    official_shapes,
    published,
    recipe_weights,
    statistics,
)
from tests.weights.released_files import filled

GOLDEN = load("cseg_hrnet48")
NET = contrast_net.make(
    GOLDEN["seg_eval"].shape[1],
    head_settings={"dropout": 0.0},
    projection_dim=GOLDEN.shapes()["proj_head.proj.2.bias"][0],
).net

NAME_OF = published("contrastive_seg", "hrnet")

pytestmark = pytest.mark.slow


def _wave(function, x):
    """The recorded loss weighs maps in NCHW order."""
    x = jnp.moveaxis(x, -1, 1)
    return function(np.arange(x.size, dtype=np.float32)).reshape(x.shape), x


def _with_branches(net, x, **mode):
    """What the network gives, and what its backbone gives on the way."""
    seen = {}

    def keep(next_function, arguments, keywords, context):
        out = next_function(*arguments, **keywords)
        if context.module is net.backbone and context.method_name == "__call__":
            seen.update(out)
        return out

    with nn.intercept_methods(keep):
        out = net(x, **mode)
    branches = {k: v for k, v in seen.items() if k.startswith("branch")}
    return out, {k: jnp.moveaxis(v, -1, 1) for k, v in branches.items()}


@functools.partial(jit, static_argnums=2)
def _gradients(variables, x, train):
    def loss(params, x):
        out, branches = NET.apply(
            variables | {"params": params},
            x,
            train=train,
            mutable=["batch_stats"],
            method=_with_branches,
        )[0]
        weights, seg = _wave(np.sin, out["logits"])
        size = jax.lax.stop_gradient(jnp.sqrt(jnp.sum(seg**2)))
        weights_embed, embed = _wave(np.cos, out["embedding"])
        total = jnp.sum(weights * seg) / size + jnp.sum(weights_embed * embed)
        return total, {"seg": seg, "embed": embed} | branches

    return jax.value_and_grad(loss, argnums=(0, 1), has_aux=True)(
        variables["params"], x
    )


def _computed(mode, variables, x):
    """What the file holds, by the names that it has there."""
    (loss, maps), (grads, g_x) = _gradients(variables, x, mode == "train")
    found = {f"loss_{mode}": loss, f"g_x_{mode}": np.moveaxis(g_x, -1, 1)}
    for name, x in maps.items():
        found[f"{name}_{mode}"] = x
        found[f"{name}_{mode}_c24"], found[f"{name}_{mode}_c8"] = x[:, :24], x[:, :8]
        found[f"{name}_{mode}_stats_f64"] = statistics(x)
    sizes = norms(grads, NAME_OF)
    found[f"gradnorm_{mode}"] = [sizes[n] for n in GOLDEN.text("gradnorm_names")]
    return {name: np.asarray(found[name]) for name in found if name in GOLDEN}


def _variables():
    image = jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32)
    shapes = jax.eval_shape(NET.init, jax.random.key(0), image)
    variables = {k: recipe_weights(t, GOLDEN, NAME_OF) for k, t in shapes.items()}
    # All but the projection, which no prediction reads.
    zeros = {k: jax.tree.map(np.zeros_like, t) for k, t in variables.items()}
    zeros = {
        k: t | {"projection": variables[k]["projection"]} for k, t in zeros.items()
    }
    return filled(zeros, "cseg_hrnet48")


def test_parameters_have_the_names_and_shapes_of_the_original():
    assert official_shapes(_variables(), NAME_OF) == GOLDEN.shapes()


@pytest.mark.parametrize(
    "mode", [pytest.param("eval", marks=pytest.mark.long), "train"]
)
def test_outputs_loss_and_gradients(mode):
    compute = functools.partial(_computed, mode)
    inputs = _variables(), GOLDEN.map("x")
    assert_within_noise(compute(*inputs), GOLDEN, nudged(compute, *inputs, draws=2))
