"""The affinity method: its losses and its prediction."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ppcjax import methods
from ppcjax.methods import affinity as method_affinity
from ppcjax.nn.affinity_net import AffinityHeads, init_rules
from ppcjax.nn.init import initialize
from ppcjax.ops import affinity, colour
from ppcjax.types import IGNORE, UserError

KEY = jax.random.key(0)
CLASSES = 3
SMALL = {
    "name": "affinity",
    "backbone": "small_resnet",
    "backbone_settings": {"width": 4},
    "widths": (4, 4, 8),
}
SIZE = 48  # 12 x 12 cells of 4 pixels


def _batch(images=2):
    """Squares of a colour per class, on dark grey."""
    mask = np.zeros((images, SIZE, SIZE), np.int32)
    mask[0, :24, 16:36], mask[1, 8:40, 12:40] = 1, 2
    image = np.array([[40, 40, 40], [200, 60, 60], [60, 60, 200]], np.uint8)[mask]
    mask[:, :, :4] = IGNORE
    return {
        "image": image,
        "valid": np.tile(np.int32([0, 0, SIZE, SIZE]), (images, 1)),
        "tags": np.ones((images, CLASSES), np.float32),
        "mask": mask,
    }


@pytest.fixture(scope="module")
def small():
    """The method, its jitted gradients, and its first parameters."""
    method = methods.make(SMALL, CLASSES)
    grads = jax.jit(jax.value_and_grad(method.loss, has_aux=True))
    return method, grads, method.init(KEY, _batch())


class TestLoss:
    def test_is_the_weighted_sum_of_its_terms(self, small):
        _, grads, start = small
        (loss, (_, scalars)), grad = grads(*start, _batch(), KEY, 0)
        parts = {"background": 0.25, "foreground": 0.25, "different": 0.5}
        total = sum(w * scalars[f"loss/{name}"] for name, w in parts.items())
        np.testing.assert_allclose(loss, total, rtol=1e-6)
        # Nothing is detached: the first layer learns.
        assert np.any(grad["backbone"]["stem"]["conv"]["kernel"])
        cells = affinity.cell_labels(_batch()["mask"], 4, CLASSES)
        for name, mask in affinity.pair_labels(cells)._asdict().items():
            assert scalars[f"stat/{name}_pairs"] == np.sum(mask) > 0

    def test_without_a_pair_it_is_zero_and_so_is_its_gradient(self, small):
        _, grads, start = small
        batch = _batch()
        batch["mask"][:] = IGNORE
        (loss, (_, scalars)), grad = grads(*start, batch, KEY, 0)
        assert loss == 0 and not any(scalars.values())
        assert not any(np.any(leaf) for leaf in jax.tree.leaves(grad))

    def test_equal_features_give_finite_gradients(self, small):
        _, grads, start = small
        batch = _batch()
        batch["image"][:] = 0
        (loss, _), grad = grads(*start, batch, KEY, 0)
        chex.assert_tree_all_finite((loss, grad))

    def test_randomness_is_that_of_the_key(self, small):
        _, grads, start = small
        first, same, other = (
            grads(*start, _batch(), key, step)
            for key, step in ((KEY, 0), (KEY, 9), (jax.random.key(1), 0))
        )
        chex.assert_trees_all_equal(first, same)
        assert first[0][0] != other[0][0]

    def test_a_batch_without_masks(self, small):
        method, _, start = small
        batch = {k: v for k, v in _batch().items() if k != "mask"}
        with pytest.raises(UserError, match="with_masks=True"):
            method.loss(*start, batch, KEY, 0)


def test_terms():
    a = np.array([0.9, 0.5, 0.2, 1.0], np.float32).reshape(1, 4, 1, 1)
    known = affinity.PairLabels(
        *(
            np.array(m, bool).reshape(a.shape)
            for m in ([1, 1, 0, 0], [0] * 4, [0, 0, 1, 1])
        )
    )
    terms = method_affinity.affinity_terms(a, known)
    np.testing.assert_allclose(terms["background"], -np.log([0.9, 0.5]).mean(), 1e-4)
    assert terms["foreground"] == 0
    expected = -np.log([0.8, 1e-5]).mean()
    np.testing.assert_allclose(terms["different"], expected, rtol=1e-3)


def test_padding_is_black_in_training_and_mean_colour_elsewhere():
    image, valid = jnp.full((1, 4, 4, 3), 0.5), np.array([[0, 1, 4, 4]], np.int32)
    mean, std = (0.4, 0.5, 0.6), (0.2, 0.25, 0.5)
    arguments = {"mean": mean, "std": std}
    black = colour.normalize(image, valid, padding=0.0, **arguments)
    grey = colour.normalize(image, valid, **arguments)
    np.testing.assert_allclose(black[0, 0, 0], [-2, -2, -1.2], rtol=1e-6)
    assert not np.any(grey[0, :, 0])
    np.testing.assert_array_equal(black[:, :, 1:], grey[:, :, 1:])


class TestPredict:
    @pytest.mark.parametrize("size", [(50, 61), (9, 61), (1, 1)])
    def test_padding_changes_nothing(self, small, size):
        method, _, start = small
        height, width = size
        image = np.random.default_rng(1).integers(0, 256, (1, height, width, 3))
        valid = np.array([[0, 0, height, width]], np.int32)

        def predict(canvas):
            padded = np.full((1, *canvas, 3), 77, np.uint8)
            padded[:, :height, :width] = image
            batch = {"image": padded, "valid": valid}
            return np.asarray(jax.jit(method.predict)(*start, batch)["affinity"])

        exact, padded = predict(size), predict((64, 80))
        h, w = -(-height // 4), -(-width // 4)
        assert exact.shape == (1, 34, h, w)
        anchors = np.zeros((h, w), bool)
        anchors[: max(h - 4, 0), 4 : max(w - 4, 0)] = True
        assert np.all((exact > 0) == anchors) and np.all(exact <= 1)
        np.testing.assert_allclose(padded[:, :, :h, :w], exact, atol=2e-5)
        assert not np.any(padded[:, :, h:]) and not np.any(padded[..., w:])


def test_a_background_alone_is_not_enough():
    with pytest.raises(UserError, match="background"):
        methods.make(SMALL, 1)


def test_initial_heads_have_the_published_spread():
    channels = {"stage3": 512, "stage4": 1024, "embedding": 4096}
    endpoints = {
        name: jax.ShapeDtypeStruct((1, 4, 4, d), np.float32)
        for name, d in channels.items()
    }
    heads = initialize(AffinityHeads(), KEY, endpoints, rules=init_rules())["params"]
    kernels = {name: tree["conv"]["kernel"] for name, tree in heads.items()}
    assert kernels["affinity"].shape == (1, 1, 448, 448)
    np.testing.assert_allclose(np.abs(kernels["affinity"]).max(), 0.32733, rtol=1e-3)
    deviations = {"stage3": 0.0625, "stage4": 0.0442, "embedding": 0.0221}
    for name, deviation in deviations.items():
        found = kernels[f"affinity_{name}"].std()
        np.testing.assert_allclose(found, deviation, rtol=0.02)
