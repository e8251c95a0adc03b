"""ResNet-50 with stored and with batch statistics against recorded numbers."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ppcjax.nn.resnet import ResNet
from tests.golden.arrays import (
    assert_within_noise,
    jit,
    load,
    norms,
    nudged,
    official_shapes,
    paths,
    published,
    statistics,
)
from tests.weights.released_files import filled_backbone

NAME = "pixpro_resnet50"
NET = ResNet(50)
NAME_OF = published("resnet", "torchvision")
ENDPOINTS = {"c2": "stage1", "c3": "stage2", "c4": "stage3", "c5": "stage4"}

pytestmark = pytest.mark.slow


@functools.partial(jit, static_argnums=2)
def _gradients(variables, x, train):
    def loss(params, x):
        out, updated = NET.apply(
            variables | {"params": params}, x, train=train, mutable=["batch_stats"]
        )
        c5 = jnp.moveaxis(out["stage4"], -1, 1)
        wave = np.sin(np.arange(c5.size, dtype=np.float32)).reshape(c5.shape)
        size = jax.lax.stop_gradient(jnp.sqrt(jnp.sum(c5**2)))
        return jnp.sum(wave * c5) / size, (out, updated["batch_stats"])

    return jax.value_and_grad(loss, argnums=(0, 1), has_aux=True)(
        variables["params"], x
    )


def _computed(golden, mode, variables, x):
    """What the file holds, by the names that it has there."""
    (loss, (out, after)), (grads, g_x) = _gradients(variables, x, mode == "train")
    found = {f"loss_{mode}": loss, f"g_x_{mode}": np.moveaxis(g_x, -1, 1)}
    for name, endpoint in ENDPOINTS.items():
        maps = np.moveaxis(np.asarray(out[endpoint]), -1, 1)
        found[f"{name}_{mode}_stats_f64"] = statistics(maps)
        found[f"{name}_{mode}_c32"] = maps[:, :32]
        found[f"{name}_{mode}_step4"] = maps[:, ::4]
    sizes = norms(grads, NAME_OF)
    found[f"gradnorm_{mode}"] = [sizes[n] for n in golden.text("gradnorm_names")]
    for path, value in paths(after).items():
        found[f"after_{mode}_{NAME_OF(path)}"] = value
    return {name: np.asarray(found[name]) for name in found if name in golden}


def _variables():
    image = jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32)
    shapes = jax.eval_shape(NET.init, jax.random.key(0), image)
    return filled_backbone(shapes, NAME, prefix="encoder_q.", container="tar")


def test_parameters_have_the_names_and_shapes_of_the_original():
    golden = load(NAME)
    assert official_shapes(_variables(), NAME_OF) == golden.shapes()


@pytest.mark.parametrize("mode", ["eval", "train"])
def test_endpoints_loss_gradients_and_statistics(mode):
    golden = load(NAME)
    compute = functools.partial(_computed, golden, mode)
    inputs = _variables(), golden.map("x")
    assert_within_noise(compute(*inputs), golden, nudged(compute, *inputs))


def test_stored_statistics_stay_in_evaluation():
    golden = load(NAME)
    variables = _variables()
    after = _gradients(variables, golden.map("x"), False)[0][1][1]
    jax.tree.map(np.testing.assert_array_equal, after, variables["batch_stats"])
