import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ppcjax import methods
from ppcjax.types import IGNORE, UserError

KEY = jax.random.key(0)
CLASSES = 4
SMALL = {
    "name": "segment",
    "backbone": "small_resnet",
    "backbone_settings": {"width": 4},
    "head": "v2",
    "head_settings": {"width": 8, "rates": (1, 2), "dropout": 0.1},
}


def _batch(size=32, images=4):
    """Squares whose colour tells their class, void around them."""
    rng = np.random.default_rng(0)
    image = rng.integers(0, 60, (images, size, size, 3), dtype=np.uint8)
    mask = np.zeros((images, size, size), np.int32)
    for i in range(images):
        label, y, x = 1 + i % (CLASSES - 1), *rng.integers(2, size // 2, 2)
        mask[i, y - 1 : y + 13, x - 1 : x + 13] = IGNORE
        mask[i, y : y + 12, x : x + 12] = label
        image[i, y : y + 12, x : x + 12, label - 1] += 150
    return {
        "image": image,
        "valid": np.tile(np.int32([0, 0, size, size]), (images, 1)),
        "tags": np.ones((images, CLASSES), np.float32),
        "mask": mask,
    }


@pytest.fixture(scope="module")
def small():
    """The method, its first state, and its jitted loss with gradients."""
    method = methods.make(SMALL, CLASSES)
    params, carried = method.init(KEY, _batch())
    return (
        method,
        params,
        carried,
        jax.jit(jax.value_and_grad(method.loss, has_aux=True)),
    )


def test_scalars_and_state(small):
    _, params, carried, value_and_grad = small
    (loss, (state, scalars)), _ = value_and_grad(params, carried, _batch(), KEY, 0)
    assert set(scalars) == {"stat/accuracy"}
    assert loss.dtype == jnp.float32 and 0 <= scalars["stat/accuracy"] <= 1
    moved = jax.tree.map(lambda a, b: np.abs(a - b).max() > 0, state, carried)
    assert all(jax.tree.leaves(moved))


def test_nothing_but_void_is_zero_with_zero_gradient(small):
    _, params, carried, value_and_grad = small
    batch = _batch()
    batch["mask"] = np.full_like(batch["mask"], IGNORE)
    (loss, (state, scalars)), grads = value_and_grad(params, carried, batch, KEY, 0)
    assert loss == 0 and scalars["stat/accuracy"] == 0
    chex.assert_tree_all_finite(state)
    assert not any(np.any(g) for g in jax.tree.leaves(grads))


@pytest.mark.slow
def test_forty_steps_learn_the_squares(small):
    method, params, carried, value_and_grad = small
    batch, optimizer = _batch(), optax.adam(1e-2)

    @jax.jit
    def update(grads, opt_state, params):
        updates, opt_state = optimizer.update(grads, opt_state)
        return optax.apply_updates(params, updates), opt_state

    opt_state = optimizer.init(params)
    losses = []
    for i in range(40):
        key = jax.random.fold_in(KEY, i)
        (loss, (carried, scalars)), grads = value_and_grad(
            params, carried, batch, key, i
        )
        params, opt_state = update(grads, opt_state, params)
        losses.append(float(loss))
    assert losses[-1] < 0.3 * losses[0] and scalars["stat/accuracy"] > 0.8
    out = jax.jit(method.predict)(params, carried, batch)["logits"]
    low = batch["mask"][:, 2::4, 2::4]
    known = low != IGNORE
    assert (np.argmax(out, -1) == low)[known].mean() > 0.8


def test_padding_changes_nothing(small):
    method, params, carried, _ = small
    height, width = 21, 30
    image = np.random.default_rng(1).integers(0, 256, (1, height, width, 3), np.uint8)
    canvas = np.full((1, 40, 36, 3), 99, np.uint8)
    canvas[:, :height, :width] = image
    valid = np.array([[0, 0, height, width]], np.int32)
    predict = jax.jit(method.predict)
    exact, padded = (
        predict(params, carried, {"image": x, "valid": valid})["logits"]
        for x in (image, canvas)
    )
    assert exact.shape == (1, 6, 8, CLASSES)
    np.testing.assert_allclose(padded[:, :6, :8], exact, atol=1e-4)


def test_linear_probe_leaves_the_backbone_alone(small):
    _, params, carried, _ = small
    probe = {"head": "linear", "head_settings": {}, "frozen_backbone": True}
    method = methods.make(SMALL | probe, CLASSES)
    own, state = method.init(KEY, _batch())
    params = {"backbone": params["backbone"], "head": own["head"]}
    state = {"batch_stats": {"backbone": carried["batch_stats"]["backbone"]}}
    assert set(own["head"]) == {"classifier"}
    value_and_grad = jax.jit(jax.value_and_grad(method.loss, has_aux=True))
    (_, (after, _)), grads = value_and_grad(params, state, _batch(), KEY, 0)
    assert not any(np.any(g) for g in jax.tree.leaves(grads["backbone"]))
    assert all(np.any(g) for g in jax.tree.leaves(grads["head"]))
    chex.assert_trees_all_equal(after, state)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"class_weights": (1.0, 2.0)}, "class_weights has 2 entries.*4 classes"),
        ({"head_settings": {"widht": 4}}, "widht"),
    ],
)
def test_settings_that_do_not_fit_each_other(settings, message):
    with pytest.raises(UserError, match=message):
        methods.make(SMALL | settings, CLASSES)
    with pytest.raises(UserError, match="at least one more class"):
        methods.make(SMALL, 1)


@pytest.mark.parametrize("ceil_pool", [False, True])
def test_extent_of_a_whole_photo_is_all_of_the_grid(ceil_pool):
    backbone = {"output_stride": 8, "ceil_pool": ceil_pool, "stages": 3}
    method = methods.make(
        SMALL | {"backbone": "resnet18", "backbone_settings": backbone}, CLASSES
    )
    batch = _batch()
    params, carried = method.init(KEY, batch)
    grid = jax.eval_shape(method.predict, params, carried, batch)["logits"].shape[1:3]
    assert grid == ((5, 5) if ceil_pool else (4, 4))
    extent = jax.jit(lambda b: method.predict(params, carried, b)["extent"])(batch)
    np.testing.assert_array_equal(extent, np.tile(grid, (4, 1)))
