"""EPS: the saliency loss against loops in NumPy, and the method's settings."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ppcjax import methods
from ppcjax.methods import eps
from ppcjax.ops.resize import shrink_nearest
from ppcjax.types import UserError

KEY = jax.random.key(0)
CLASSES = 5
SETTINGS = {
    "name": "ppc",
    "backbone": "small_resnet",
    "backbone_settings": {"width": 8},
    "projection": 8,
    "affinity": (8, 8, 8),
    "small_view": 24,
    "background": -1,
    "saliency": 1.0,
    "losses_at": "network",
    "teacher_background": 0,
    "maps": "softmax",
}


def _batch(seed=0, size=32):
    rng = np.random.default_rng(seed)
    tags = np.zeros((2, CLASSES), np.float32)
    tags[:, 0] = tags[0, 2] = tags[1, 4] = 1
    return {
        "image": rng.integers(0, 256, (2, size, size, 3), dtype=np.uint8),
        "valid": np.tile(np.array([0, 0, size, size], np.int32), (2, 1)),
        "tags": tags,
        "saliency": rng.integers(0, 256, (2, size, size), dtype=np.uint8),
    }


def _loss_by_loops(maps, saliency, tags, *, background, overlap, balance):
    total = []
    for image, target, shown in zip(maps, saliency, tags, strict=True):
        q = np.exp(image) / np.exp(image).sum(-1, keepdims=True)
        foreground, rest = 0, 1 - q[..., background]
        for c in np.flatnonzero(shown):
            if c == background:
                continue
            certain = np.round(q[..., c])
            share = (certain * np.round(target)).sum() / (certain + 1e-4).sum()
            if share > overlap:
                foreground = foreground + q[..., c]
            else:
                rest = rest - q[..., c]
        total.append((balance * foreground + (1 - balance) * rest - target) ** 2)
    return np.mean(total)


@pytest.mark.parametrize("background", [0, 3])
def test_saliency_loss(background):
    rng = np.random.default_rng(1)
    maps = 4 * rng.standard_normal((3, 6, 5, 4)).astype(np.float32)
    saliency = rng.random((3, 6, 5)).astype(np.float32)
    tags = np.array([[1, 1, 0, 1], [1, 1, 1, 1], [1, 0, 0, 1]], np.float32)
    settings = {"background": background, "overlap": 0.4, "balance": 0.3}
    found = eps.saliency_loss(maps, saliency, tags, **settings)
    expected = _loss_by_loops(maps.astype(np.float64), saliency, tags, **settings)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_maps_that_say_what_is_salient_cost_nothing():
    saliency = np.zeros((1, 4, 4), np.float32)
    saliency[:, :2] = 1
    maps = np.stack([100 * (1 - saliency), 100 * saliency], -1)
    loss = eps.saliency_loss(maps, saliency, np.ones((1, 2)), background=0)
    np.testing.assert_allclose(loss, 0, atol=1e-6)


def test_cells_take_the_pixel_of_nearest():
    pixels = jnp.arange(35.0).reshape(1, 5, 7)
    found = shrink_nearest(pixels, (2, 3))
    np.testing.assert_array_equal(found[0], pixels[0][np.ix_([0, 2], [0, 2, 4])])


@pytest.mark.slow
def test_loss_and_gradients_are_finite():
    method = methods.make(SETTINGS, CLASSES)
    batch = _batch()
    params, carried = method.init(KEY, batch)
    (loss, (_, scalars)), grads = jax.jit(
        jax.value_and_grad(method.loss, has_aux=True)
    )(params, carried, batch, KEY, 0)
    chex.assert_tree_all_finite((loss, grads))
    assert 0 < float(scalars["loss/saliency"]) < 4
    batch["saliency"][:] = 0
    nothing, _ = jax.jit(method.loss)(params, carried, batch, KEY, 0)
    assert np.isfinite(nothing)


def test_background_channel_is_a_detail_of_the_network():
    """Predictions have the background first wherever the network has it."""
    batch = {name: _batch()[name] for name in ("image", "valid")}
    last = methods.make(SETTINGS, CLASSES)
    first = methods.make(SETTINGS | {"background": 0}, CLASSES)
    params, carried = last.init(KEY, batch)
    turned = jax.tree.map(np.copy, params)
    kernel = turned["heads"]["classifier"]["conv"]["kernel"]
    turned["heads"]["classifier"]["conv"]["kernel"] = np.roll(kernel, 1, axis=-1)
    chex.assert_trees_all_close(
        jax.jit(last.predict)(params, carried, batch),
        jax.jit(first.predict)(turned, carried, batch),
        atol=1e-5,
    )


def test_the_teacher_has_no_channel_beyond_the_classes():
    with pytest.raises(UserError, match="teacher_background=5: there are 5 channels"):
        methods.make(SETTINGS | {"teacher_background": CLASSES}, CLASSES)
