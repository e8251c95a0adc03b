"""What the backbone of every method sees where a config sets mean and deviation."""

import flax.linen as nn
import jax
import numpy as np
import pytest

from ppcjax import fields, methods
from ppcjax.nn.backbones import BACKBONES
from tests import batches
from tests.small_methods import TRAINED, first_of_each_kind, make, small

KEY = jax.random.key(0)
ENTRY = BACKBONES["small_resnet"]
MEAN, STD = (0.1, 0.2, 0.6), (0.5, 0.25, 2.0)


def _seen(method, params, state, to_train, to_predict):
    """The images that the backbone is given in training and in prediction."""
    seen = []

    def watch(call, args, kwargs, context):
        if isinstance(context.module, ENTRY.make):
            seen.append(args[0])
        return call(*args, **kwargs)

    with nn.intercept_methods(watch):
        method.loss(params, state, to_train, KEY, np.int32(0))
        method.predict(params, state, to_predict)
    return seen


@pytest.mark.parametrize(
    "name",
    first_of_each_kind(
        [
            n
            for n, f in methods.METHODS.items()
            if n in TRAINED and "backbone" in fields.fields_of(f)
        ],
        "reads",
    ),
)
def test_mean_and_deviation_are_what_the_config_says(name):
    assert small(name)["backbone"] == "small_resnet"
    pair = make(name), make(name, pixel_mean=MEAN, pixel_std=STD)
    given = batches.to_train(pair[0]), batches.to_predict(pair[0])
    params, state = pair[0].init(KEY, given[0])

    # Only what is returned is compiled: the photos, not the network.
    @jax.jit
    def run(*given):
        return [_seen(method, *given) for method in pair]

    before, after = run(params, state, *given)
    assert len(before) == len(after) > 1
    for x, y in zip(before, after, strict=True):
        photo = np.asarray(x) * ENTRY.std + np.array(ENTRY.mean)
        assert -1e-5 < photo.min() < 0.3 < photo.max() < 1 + 1e-5
        same = np.asarray(y) * STD + np.array(MEAN)
        np.testing.assert_allclose(same, photo, atol=1e-5)
