import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ppcjax import methods
from ppcjax.ops import cam
from ppcjax.types import UserError

KEY = jax.random.key(0)
CLASSES = 4
SMALL = {
    "name": "ppc",
    "backbone": "small_resnet",
    "backbone_settings": {"width": 4},
    "projection": 8,
    "affinity": (4, 4, 8),
    "small_view": 16,
}
NO_CONTRAST = {"cross_prototype": 0.0, "cross_cam": 0.0, "intra": 0.0}
NO_SEAM = {"min_pooling": 0.0, "equivariance": 0.0, "cross_equivariance": 0.0}
PLAIN = NO_CONTRAST | NO_SEAM | {"maps": "cam"}


def _batch(size=32, images=2, tags=None):
    rng = np.random.default_rng(0)
    if tags is None:
        tags = np.array([[1, 1, 0, 0], [1, 0, 1, 1]], np.float32)
    return {
        "image": rng.integers(0, 256, (images, size, size, 3), dtype=np.uint8),
        "valid": np.tile(np.int32([0, 0, size, size]), (images, 1)),
        "tags": tags,
    }


def _grads(method, batch, step=0):
    params, carried = method.init(KEY, batch)
    (loss, aux), grads = jax.jit(jax.value_and_grad(method.loss, has_aux=True))(
        params, carried, batch, KEY, step
    )
    return loss, aux, grads, carried


def _is_zero(tree):
    return all(np.all(np.asarray(leaf) == 0) for leaf in jax.tree.leaves(tree))


@pytest.fixture(scope="module")
def full():
    method = methods.make(SMALL, CLASSES)
    return method, _grads(method, _batch())


class TestLoss:
    def test_is_the_weighted_sum_of_its_terms(self, full):
        _, (loss, (_, scalars), _, _) = full
        weights = dict.fromkeys(("cross_prototype", "cross_cam", "intra"), 0.1)
        names = ("classification", "min_pooling", "equivariance", "cross_equivariance")
        weights |= dict.fromkeys(names, 1.0)
        total = sum(w * scalars[f"loss/{name}"] for name, w in weights.items())
        np.testing.assert_allclose(loss, total, rtol=1e-5)

    def test_what_trains_what(self, full):
        _, (_, _, grads, _) = full
        assert not _is_zero(grads["backbone"])
        for head in ("classifier", "projector", "affinity", "affinity_stage3"):
            assert not _is_zero(grads["heads"][head])
        # The background map is overwritten: nothing reaches its classifier.
        assert _is_zero(grads["heads"]["classifier"]["conv"]["kernel"][..., 0])

    def test_plain_cam_trains_neither_projector_nor_affinity(self):
        method = methods.make(SMALL | PLAIN, CLASSES)
        _, (_, scalars), grads, _ = _grads(method, _batch())
        assert set(scalars) == {"loss/classification"}
        assert _is_zero(grads["heads"]["projector"])
        assert _is_zero(grads["heads"]["affinity"])

    @pytest.mark.slow
    def test_contrasts_wait_for_their_start(self):
        method = methods.make(SMALL | {"contrast_start": 5}, CLASSES)
        before, after = (_grads(method, _batch(), step) for step in (4, 5))
        assert _is_zero(before[2]["heads"]["projector"])
        assert not _is_zero(after[2]["heads"]["projector"])

    def test_untagged_batch_is_harmless(self, full):
        method, _ = full
        tags = np.zeros((2, CLASSES), np.float32)
        tags[:, 0] = 1
        batch = _batch(tags=tags)
        batch["image"][:] = 0
        loss, _, grads, _ = _grads(method, batch)
        chex.assert_tree_all_finite((loss, grads))

    @pytest.mark.slow
    def test_two_classes_are_enough(self):
        tags = np.ones((2, 2), np.float32)
        loss, _, grads, _ = _grads(methods.make(SMALL, 2), _batch(tags=tags))
        chex.assert_tree_all_finite((loss, grads))


class TestPredict:
    @pytest.mark.parametrize("maps", ["cam", "refined", "affinity"])
    @pytest.mark.parametrize(
        "backbone",
        ["small_resnet", pytest.param("mobilenet_v2", marks=pytest.mark.slow)],
    )
    def test_padding_changes_nothing(self, maps, backbone):
        settings = SMALL | {"maps": maps, "backbone": backbone}
        if maps == "affinity":
            settings |= NO_SEAM | {"affinity_from": "embedding", "affinity_power": 2.0}
            del settings["affinity"]
        if backbone == "mobilenet_v2":
            settings |= {"backbone_settings": {}, "centred": True}
        method = methods.make(settings, CLASSES)
        height, width = 26, 37
        image = np.random.default_rng(1).integers(0, 256, (1, height, width, 3))
        valid = np.array([[0, 0, height, width]], np.int32)
        params, carried = method.init(KEY, _batch())

        def predict(canvas):
            padded = np.full((1, *canvas, 3), 77, np.uint8)
            padded[:, :height, :width] = image
            batch = {"image": padded, "valid": valid}
            return jax.jit(method.predict)(params, carried, batch)

        exact, padded = predict((height, width)), predict((48, 64))
        h, w = exact["scores"].shape[1:3]
        np.testing.assert_allclose(
            padded["scores"][:, :h, :w], exact["scores"], atol=2e-5
        )
        assert _is_zero(padded["scores"][:, h:]) and _is_zero(
            padded["scores"][:, :, w:]
        )
        np.testing.assert_allclose(padded["tag_logits"], exact["tag_logits"], atol=1e-4)


def test_unknown_setting_is_a_one_line_error():
    with pytest.raises(UserError, match="temprature"):
        methods.make({"name": "ppc", "temprature": 0.1}, CLASSES)
    with pytest.raises(UserError, match="resnet9"):
        methods.make({"name": "ppc", "backbone": "resnet9"}, CLASSES)


def _dense(maps, features):
    batch, height, width, classes = maps.shape
    q = maps.reshape(batch, -1, classes)
    z = features.reshape(batch, height * width, -1)
    z = z / (jnp.linalg.norm(z, axis=-1, keepdims=True) + cam.EPSILON)
    a = jax.nn.relu(jnp.einsum("bid,bjd->bij", z, z))
    a = a / (a.sum(axis=1, keepdims=True) + cam.EPSILON)
    return jnp.einsum("bic,bij->bjc", q, a).reshape(maps.shape)


@pytest.mark.slow
def test_correlation_in_blocks_equals_dense_with_memory_linear_in_pixels():
    keys = jax.random.split(KEY)
    maps = jax.random.uniform(keys[0], (1, 12, 10, 3))
    features = jax.random.normal(keys[1], (1, 12, 10, 5))

    def scalar(f):
        return lambda m, z: jnp.sum(jnp.sin(jnp.arange(360.0)) * f(m, z).ravel())

    dense = jax.value_and_grad(scalar(_dense), argnums=(0, 1))(maps, features)
    blocked = jax.value_and_grad(
        scalar(lambda m, z: cam.pixel_correlation(m, z, block=16)), argnums=(0, 1)
    )(maps, features)
    chex.assert_trees_all_close(dense, blocked, rtol=1e-4, atol=1e-5)

    def temporaries(side):
        shapes = [jax.ShapeDtypeStruct((1, side, side, d), jnp.float32) for d in (3, 5)]
        step = jax.grad(
            lambda m, z: jnp.sum(cam.pixel_correlation(m, z, block=16)), argnums=1
        )
        return (
            jax.jit(step).lower(*shapes).compile().memory_analysis().temp_size_in_bytes
        )

    # Four times the pixels: linear memory grows fourfold, dense sixteenfold.
    assert temporaries(64) < 6 * temporaries(32)
