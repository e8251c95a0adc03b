"""Every method on a vision transformer, whose patches divide no canvas."""

import jax
import jax.numpy as jnp
import pytest

from ppcjax import methods
from ppcjax.fields import fields_of
from tests import batches
from tests.small_methods import make

KEY = jax.random.key(0)
TINY = {"width": 8, "depth": 2, "heads": 2, "grid": (2, 2), "registers": 1}
ON_BACKBONES = [
    name for name, made in methods.METHODS.items() if "backbone" in fields_of(made)
]


@pytest.mark.parametrize("name", ON_BACKBONES)
def test_trains_and_predicts(name):
    """Traced alone: what shapes do not tell, others test."""
    method = make(name, backbone="vit_s14", backbone_settings=TINY)
    batch = batches.to_train(method)
    params, state = method.init(KEY, batch)
    leaves = jax.tree_util.tree_leaves_with_path(params)
    assert any("register_tokens" in jax.tree_util.keystr(path) for path, _ in leaves)
    if method.loss is not None:
        _check_gradients(method, params, state, batch)
    out = jax.eval_shape(method.predict, params, state, batches.to_predict(method))
    assert jax.tree.leaves(out)


def _check_gradients(method, params, state, batch):
    grads = jax.grad(method.loss, has_aux=True, allow_int=True)
    found, (_, scalars) = jax.eval_shape(grads, params, state, batch, KEY, jnp.int32(0))
    assert jax.tree.structure(found) == jax.tree.structure(params)
    assert all(x.shape == () for x in scalars.values())
