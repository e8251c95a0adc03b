import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ppcjax.nn import batch_norm
from ppcjax.nn.batch_norm import BatchNorm
from ppcjax.train import mesh

X = np.random.default_rng(0).standard_normal((4, 3, 5, 6)).astype(np.float32) * 3 + 2


def _variables():
    rng = np.random.default_rng(1)
    names = {"params": ("scale", "bias"), "batch_stats": ("mean", "var")}
    return {
        kind: {n: rng.uniform(0.5, 2, 6).astype(np.float32) for n in leaves}
        for kind, leaves in names.items()
    }


def _train(module, variables, x):
    def apply(variables, x):
        return module.apply(variables, x, train=True, mutable=["batch_stats"])

    return jax.jit(apply)(variables, x)


def test_training_against_numpy():
    variables = _variables()
    y, updated = _train(BatchNorm(momentum=0.3), variables, X)
    mean, var = X.mean((0, 1, 2)), X.var((0, 1, 2))
    params, stored = variables["params"], variables["batch_stats"]
    expected = (X - mean) / np.sqrt(var + 1e-5) * params["scale"] + params["bias"]
    np.testing.assert_allclose(y, expected, atol=2e-5)
    moved = updated["batch_stats"]
    unbiased = X.var((0, 1, 2), ddof=1)
    np.testing.assert_allclose(moved["mean"], 0.7 * stored["mean"] + 0.3 * mean, 1e-5)
    np.testing.assert_allclose(moved["var"], 0.7 * stored["var"] + 0.3 * unbiased, 1e-5)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_the_written_gradient_is_the_derived_one(dtype):
    """Also that of the statistics, which no network here asks for."""
    rng = np.random.default_rng(2)
    x = jnp.asarray(X, dtype)
    scale, bias, weights = (
        rng.standard_normal(n).astype(np.float32) for n in (6, 6, X.shape)
    )

    def total(normalize, x, scale, bias):
        y, mean, var = normalize(x, scale, bias)
        return jnp.sum(y * weights) + jnp.sum(jnp.sin(mean)) + jnp.sum(jnp.cos(var))

    def plain(x, scale, bias):
        mean, var = batch_norm.batch_statistics(x)
        centred = x.astype(jnp.float32) - mean[None, None, None]
        r = jax.lax.rsqrt(var + 1e-5)
        y = centred * (r * scale)[None, None, None] + bias[None, None, None]
        return y.astype(x.dtype), mean, var

    written = functools.partial(batch_norm.normalize, epsilon=1e-5)
    found, expected = (
        jax.jit(jax.grad(functools.partial(total, f), argnums=(0, 1, 2)))(
            x, scale, bias
        )
        for f in (written, plain)
    )
    chex.assert_trees_all_equal_shapes_and_dtypes(found, expected)
    tolerance = 1e-4 if dtype == jnp.float32 else 0.02
    for a, b in zip(found, expected, strict=True):
        a, b = (v.astype(jnp.float32) for v in (a, b))
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * np.abs(b).max())


@pytest.mark.parametrize(("frozen", "train"), [(False, False), (True, True)])
def test_stored_statistics_are_used_and_kept(frozen, train):
    variables = _variables()
    y, updated = BatchNorm(frozen=frozen).apply(
        variables, X, train=train, mutable=["batch_stats"]
    )
    params, stored = variables["params"], variables["batch_stats"]
    expected = (X - stored["mean"]) / np.sqrt(stored["var"] + 1e-5)
    expected = expected * params["scale"] + params["bias"]
    np.testing.assert_allclose(y, expected, atol=2e-5)
    chex.assert_trees_all_equal(updated["batch_stats"], stored)


def test_statistics_are_of_the_global_batch():
    variables = _variables()
    alone = _train(BatchNorm(), variables, X)
    rows = mesh.sharded(mesh.make_mesh())
    split = _train(BatchNorm(), variables, jax.device_put(X, rows))
    chex.assert_trees_all_close(split, alone, atol=1e-5)


def test_large_mean_does_not_cancel_and_one_value_is_no_division_by_zero():
    variables = _variables()
    y, _ = _train(BatchNorm(), variables, X + 1e3)
    close, _ = _train(BatchNorm(), variables, X)
    np.testing.assert_allclose(y, close, atol=1e-3)
    y, updated = _train(BatchNorm(), variables, X[:1, :1, :1])
    chex.assert_tree_all_finite((y, updated))


def test_bfloat16_input_has_float32_statistics():
    y, updated = _train(BatchNorm(), _variables(), jnp.asarray(X + 100, jnp.bfloat16))
    assert y.dtype == jnp.bfloat16
    for leaf in jax.tree.leaves(updated):
        assert leaf.dtype == jnp.float32
    # bfloat16 has steps of 0.5 near 100, yet the mean is that of what came in.
    came = np.asarray(jnp.asarray(X + 100, jnp.bfloat16), np.float32).mean((0, 1, 2))
    np.testing.assert_allclose(
        updated["batch_stats"]["mean"],
        0.9 * _variables()["batch_stats"]["mean"] + 0.1 * came,
        rtol=1e-5,
    )
