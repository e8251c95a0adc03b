"""The projection head against recorded numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ppcjax.nn.projection import ProjectionHead
from tests.golden.arrays import assert_close, load, paths

NAMES = {
    "convmlp": {
        "conv1": "proj.0",
        "bn1": "proj.1.0",
        "conv2": "proj.2",
    },
    "linear": {"conv2": "proj"},
}
LEAVES = {"kernel": "weight", "scale": "weight", "bias": "bias"} | {
    "mean": "running_mean",
    "var": "running_var",
}


def _official(kind, path):
    layer, leaf = path.split("/")[0], path.split("/")[-1]
    return f"{NAMES[kind][layer]}.{LEAVES[leaf]}"


def _read(golden, name, leaf):
    return golden.kernel(name) if len(leaf.shape) == 4 else golden[name]


@pytest.mark.parametrize("kind", ["convmlp", "linear"])
def test_embeddings_gradients_and_statistics(kind):
    golden = load("cseg_proj")
    x, cotangent = golden.map("x"), golden.map("gout")
    head = ProjectionHead(kind, cotangent.shape[-1])
    shapes = jax.eval_shape(head.init, jax.random.key(0), x)

    def fill(path, leaf):
        name = _official(kind, "/".join(part.key for part in path))
        return _read(golden, f"{kind}_w_{name}", leaf)

    variables = {
        collection: jax.tree_util.tree_map_with_path(fill, tree)
        for collection, tree in shapes.items()
    }
    assert_close(jax.jit(head.apply)(variables, x), golden.map(f"{kind}_eval"), 1e-5)

    @jax.jit
    def train(params, x):
        def weighed(params, x):
            out, updated = head.apply(
                variables | {"params": params}, x, train=True, mutable=["batch_stats"]
            )
            return jnp.sum(out * cotangent), (out, updated)

        return jax.grad(weighed, argnums=(0, 1), has_aux=True)(params, x)

    (g_params, g_x), (out, updated) = train(variables["params"], x)
    assert_close(out, golden.map(f"{kind}_train"), 1e-5)
    assert_close(g_x, golden.map(f"{kind}_g_x"), 1e-5)
    largest = max(np.abs(np.asarray(g)).max() for g in jax.tree.leaves(g_params))
    for path, gradient in paths(g_params).items():
        expected = _read(golden, f"{kind}_g_{_official(kind, path)}", gradient)
        # A bias before a normalisation has no gradient but rounding.
        np.testing.assert_allclose(gradient, expected, atol=1e-5 * largest)
    for path, value in paths(updated.get("batch_stats", {})).items():
        assert_close(value, golden[f"{kind}_after_{_official(kind, path)}"], 1e-5)
