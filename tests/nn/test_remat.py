"""Blocks that are computed once more: the same numbers, and less that is kept."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.ad_checkpoint import print_saved_residuals

from ppcjax.nn.remat import rematerialized
from ppcjax.nn.small_resnet import SmallResNet
from ppcjax.train import settings
from ppcjax.types import UserError
from tests import batches, small_methods

KEY = jax.random.key(1)
NAMES = [
    pytest.param(name, marks=[] if name == "segment" else [pytest.mark.slow])
    for name in small_methods.TRAINED
    if name != "toy"
]


def arguments(method):
    batch = batches.to_train(method)
    params, state = jax.tree.map(jnp.asarray, method.init(KEY, batch))
    return params, state, batch, KEY, jnp.int32(0)


def kept_bytes(loss, params, state, *rest, capsys):
    """Bytes that are kept for the backward pass, but for what the function is given."""
    print_saved_residuals(lambda params: loss(params, state, *rest)[0], params)
    total = 0
    for line in capsys.readouterr().out.splitlines():
        if "from the argument" not in line and "from a constant" not in line:
            kind, _, shape = line.split(" ")[0].rstrip("]").partition("[")
            sides = [int(x) for x in shape.split(",") if x]
            total += np.prod(sides, dtype=int) * {"bool": 1}.get(kind, 4)
    return total


@pytest.mark.parametrize("name", NAMES)
def test_less_is_kept_for_the_backward_pass(name, capsys):
    method = small_methods.make(name)
    given = arguments(method)
    before = kept_bytes(method.loss, *given, capsys=capsys)
    after = kept_bytes(rematerialized(method.loss), *given, capsys=capsys)
    assert 0 < after < 0.8 * before


def test_numbers_and_variables_of_a_backbone_are_the_same():
    module = SmallResNet(4)
    image = np.random.default_rng(0).normal(size=(2, 12, 12, 3)).astype(np.float32)
    variables = module.init(KEY, image)
    params, state = variables["params"], {"batch_stats": variables["batch_stats"]}

    def loss(params):
        given = {"params": params, **state}
        found, moved = module.apply(given, image, train=True, mutable=list(state))
        return jnp.mean(jnp.square(found["embedding"])), moved

    one, again = (
        jax.jit(jax.value_and_grad(f, has_aux=True))(params)
        for f in (loss, rematerialized(loss))
    )
    chex.assert_trees_all_close(one, again, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_numbers_of_a_method_are_the_same(name):
    method = small_methods.make(name)
    given = arguments(method)
    one, again = (
        jax.jit(jax.value_and_grad(loss, has_aux=True))(*given)
        for loss in (method.loss, rematerialized(method.loss))
    )
    chex.assert_trees_all_close(one, again, rtol=1e-4, atol=1e-6)


def test_a_network_without_blocks_is_a_user_error():
    method = small_methods.make("toy")
    with pytest.raises(UserError, match="config.remat=True changes nothing"):
        rematerialized(method.loss)(*arguments(method))


def test_on_a_cpu_it_is_a_user_error():
    with pytest.raises(UserError, match="saves no memory on a CPU"):
        settings.check_remat()
