"""What the pixel correlation compares: settings that go together, and their maps."""

import jax
import numpy as np
import pytest

from ppcjax import methods
from ppcjax.types import UserError

KEY = jax.random.key(0)
SMALL = {
    **{"name": "ppc", "backbone": "small_resnet", "backbone_settings": {"width": 4}},
    **{"projection": 8, "affinity_from": "embedding"},
    **{"min_pooling": 0.0, "cross_equivariance": 0.0},
}
PLAIN = {
    "equivariance": 0.0,
    **{"cross_prototype": 0.0, "cross_cam": 0.0, "intra": 0.0},
}
HEIGHT, WIDTH = 24, 40


def _batch():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (2, HEIGHT, WIDTH, 3), dtype=np.uint8)
    valid = np.tile(np.int32([0, 0, HEIGHT, WIDTH]), (2, 1))
    return {"image": image, "valid": valid, "tags": np.float32([[1, 1, 0], [1, 0, 1]])}


def _scores(settings, params=None):
    method, batch = methods.make(SMALL | PLAIN | settings, 3), _batch()
    first, carried = method.init(KEY, batch)
    found = jax.jit(method.predict)(params or first, carried, batch)["scores"]
    return np.asarray(found), first


def test_nothing_is_learnt_for_the_embedding():
    _, params = _scores({"maps": "affinity"})
    assert set(params["heads"]) == {"projector", "classifier"}


def test_maps_of_one_run_are_spread_and_not():
    """The same parameters; a cell becomes a mean of the map above its own mean."""
    _, params = _scores({"maps": "cam"})
    unspread = {"maps": "affinity", "affinity_power": 1000.0}  # each cell to itself
    plain, _ = _scores(unspread, params)
    spread, _ = _scores({"maps": "affinity"}, params)
    sharper, _ = _scores({"maps": "affinity", "affinity_power": 8.0}, params)
    assert plain.shape == spread.shape and np.ptp(plain) > 0
    tops = plain.max((1, 2))
    assert np.all(spread.max((1, 2)) <= tops + 1e-6)
    assert np.all(spread >= 0)
    # The more alike cells must be, the less is spread.
    assert np.abs(sharper - plain).mean() < 0.9 * np.abs(spread - plain).mean()


def test_all_training_reaches_what_there_is():
    """PPC runs on it, too: the terms that train what is compared are off."""
    method, batch = methods.make(SMALL, 3), _batch()
    params, state = method.init(KEY, batch)
    grads, _ = jax.jit(jax.grad(method.loss, has_aux=True))(
        params, state, batch, KEY, 0
    )
    leaves = jax.tree_util.tree_leaves_with_path(grads["heads"])
    assert all(np.isfinite(leaf).all() and np.any(leaf) for _, leaf in leaves)


FROZEN = {
    "backbone": "frozen",
    "backbone_settings": {
        **{"width": 6, "stride": 8, "class_attention": True, "attention": (2, 4)}
    },
    "maps": "affinity",
}


def _on_frozen(image, settings):
    batch = _batch() | {"image": image}
    method = methods.make(SMALL | PLAIN | FROZEN | settings, 3)
    params, carried = method.init(KEY, batch)
    kernel = jax.random.normal(KEY, (1, 1, 6, 3))
    params["heads"]["classifier"]["conv"]["kernel"] = kernel
    scores = np.asarray(jax.jit(method.predict)(params, carried, batch)["scores"])
    above = image[..., :6] @ np.asarray(kernel)[0, 0]
    above -= above.mean((1, 2), keepdims=True)
    return scores, np.maximum(above, 0)


@pytest.mark.parametrize("power", [0.5, 2.0])
def test_maps_lie_where_the_class_token_looks(power):
    """Each cell attends to itself alone, so that nothing is spread."""
    rng = np.random.default_rng(1)
    image = rng.standard_normal((2, 3, 5, 15)).astype(np.float32)
    image[..., 6] = rng.random((2, 3, 5))
    angles = np.arange(15).reshape(3, 5) * 2 * np.pi / 15
    circle = 60 * np.stack([np.cos(angles), np.sin(angles)] * 2, axis=-1)
    image[..., 7:11], image[..., 11:15] = circle, circle
    settings = {"affinity_from": "attention", "class_attention": power}
    scores, above = _on_frozen(image, settings)
    shares = image[..., 6:7] / image[..., 6:7].max((1, 2), keepdims=True)
    np.testing.assert_allclose(scores, above * shares**power, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", ["cross_prototype", "cross_cam", "intra"])
def test_contrast_on_a_frozen_network_needs_maps_of_the_projection(name):
    """Nothing else learns of it, so that it would do nothing, without a word."""
    settings = SMALL | PLAIN | FROZEN | {name: 0.1}
    with pytest.raises(UserError, match=f"{name}=0.1: on a frozen network"):
        methods.make(settings, 3)
    image = np.random.default_rng(1).standard_normal((2, 3, 5, 15)).astype(np.float32)
    batch = _batch() | {"image": image, "second_image": image}
    settings |= {"affinity_from": "projection", "jitter": (0.0, 0.0, 0.0, 0.0)}
    method = methods.make(settings, 3)
    params, state = method.init(KEY, batch)
    kernel = jax.random.normal(KEY, (1, 1, 6, 3))
    params["heads"]["classifier"]["conv"]["kernel"] = kernel

    def spread(params):
        return jax.numpy.sum(method.predict(params, state, batch)["scores"] ** 2)

    loss = jax.jit(jax.grad(method.loss, has_aux=True))
    trained, _ = loss(params, state, batch, KEY, 0)
    other = jax.tree.map(lambda p, g: p + g, params, trained)
    other["heads"]["classifier"] = params["heads"]["classifier"]
    assert not np.allclose(spread(params), spread(other))


def test_attention_that_knows_nothing_leaves_one_value_for_all():
    image = np.random.default_rng(1).standard_normal((2, 3, 5, 15)).astype(np.float32)
    image[..., 7:] = 0
    scores, above = _on_frozen(image, {"affinity_from": "attention"})
    means = np.broadcast_to(above.mean((1, 2), keepdims=True), scores.shape)
    np.testing.assert_allclose(scores, means, rtol=1e-4)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"min_pooling": 1.0}, "min_pooling=1 trains refined maps"),
        ({"cross_equivariance": 0.5}, "cross_equivariance=0.5 trains refined maps"),
        ({"image_gain": 2.0}, "image_gain=2.0 is of the mixture"),
        ({"affinity": (4, 4, 4)}, "affinity=.* is of the mixture"),
        (
            {"affinity_from": "mixture", "maps": "affinity"},
            "set affinity_from='embedding' or another, too",
        ),
        ({"affinity_power": 0.0}, "affinity_power=0.0"),
        (
            {"affinity_from": "attention", "affinity_power": 2.0},
            "affinity_power=2.0 is of similarities",
        ),
        ({"affinity_from": "attention"}, "no output 'queries'"),
        ({"maps": "affinity", "class_attention": 1.0}, "no output 'class_attention'"),
        ({"class_attention": 1.0}, "is for maps='affinity'"),
    ],
)
def test_settings_that_would_do_nothing_are_refused(settings, message):
    with pytest.raises(UserError, match=message):
        methods.make(SMALL | settings, 3)
