import chex
import jax
import numpy as np
import pytest

from ppcjax import methods
from ppcjax.types import IGNORE, UserError

KEY = jax.random.key(0)
SMALL = {
    "name": "asgnet",
    "backbone": "small_resnet",
    "backbone_settings": {"width": 4},
    "endpoints": ("stage4", "stage3"),
    "backbone_gradient": True,
    "head_settings": {"scales": (1.0, 0.5)},
    "width": 8,
    "superpixel_cells": 4,
    "iterations": (2, 2),
}


def _batch(shots=2, episodes=2, queries=1, size=32):
    rng = np.random.default_rng(0)

    def photos(*shape):
        return rng.integers(0, 256, (*shape, size, size, 3), dtype=np.uint8)

    def valid(*shape):
        return np.tile(np.int32([0, 0, size, size]), (*shape, 1))

    mask = np.zeros((episodes, 1, shots, size, size), np.int32)
    mask[..., 6:22, 8:28] = 1
    mask[..., 22:24, :] = IGNORE
    query = np.zeros((episodes, queries, size, size), np.int32)
    query[..., 4:20, 10:30] = 1
    query[..., :2, :] = IGNORE
    return {
        "support_image": photos(episodes, 1, shots),
        "support_valid": valid(episodes, 1, shots),
        "support_mask": mask,
        "shot_valid": np.ones((episodes, 1, shots), bool),
        "query_image": photos(episodes, queries),
        "query_valid": valid(episodes, queries),
        "query_mask": query,
        "class_id": np.ones((episodes, 1), np.int32),
    }


@pytest.fixture(scope="module")
def small():
    method = methods.make(SMALL, 2)
    variables = method.init(KEY, _batch())
    step = jax.jit(jax.value_and_grad(method.loss, has_aux=True))
    return method, variables, jax.jit(method.predict), step


def _without_shot(batch, shot):
    keep = [k for k in range(batch["shot_valid"].shape[2]) if k != shot]
    cut = {k: v[:, :, keep] for k, v in batch.items() if k.startswith("s")}
    return batch | cut


def _with_second_shot(batch, name, value):
    """In an array of its own: JAX may still be reading the old one."""
    changed = batch[name].copy()
    changed[:, :, 1] = value
    return batch | {name: changed}


class TestPredict:
    @pytest.mark.slow
    def test_a_missing_shot_counts_nowhere(self, small):
        method, variables, predict, _ = small
        batch = _with_second_shot(_batch(), "shot_valid", False)
        padded = predict(*variables, batch)["logits"]
        batch = _with_second_shot(batch, "support_image", 3)  # whatever it shows
        chex.assert_trees_all_close(predict(*variables, batch)["logits"], padded)
        alone = jax.jit(method.predict)(*variables, _without_shot(batch, 1))["logits"]
        np.testing.assert_allclose(padded, jax.nn.log_softmax(alone), atol=2e-5)

    def test_a_shot_with_an_empty_mask_counts_nowhere(self, small):
        _, variables, predict, _ = small
        batch = _with_second_shot(_batch(), "support_mask", 0)
        empty = predict(*variables, batch)["logits"]
        batch = _with_second_shot(batch, "shot_valid", False)
        chex.assert_trees_all_close(predict(*variables, batch)["logits"], empty)

    def test_order_of_shots_does_not_matter(self, small):
        _, variables, predict, _ = small
        batch = _batch()
        turned = batch | {k: v[:, :, ::-1] for k, v in batch.items() if k[0] == "s"}
        one, two = (predict(*variables, b)["logits"] for b in (batch, turned))
        np.testing.assert_allclose(one, two, atol=2e-5)

    def test_the_same_shot_twice_changes_nothing(self, small):
        _, variables, predict, _ = small
        batch = _batch()
        for name in ("support_image", "support_mask"):
            batch = _with_second_shot(batch, name, batch[name][:, :, 0])
        twice = predict(*variables, batch)["logits"]
        batch = _with_second_shot(batch, "shot_valid", False)
        once = predict(*variables, batch)["logits"]
        np.testing.assert_allclose(twice, once, atol=2e-5)

    def test_shots_are_averaged_or_joined(self, small):
        method, variables, predict, _ = small
        batch = _batch()
        both = jax.nn.softmax(predict(*variables, batch)["logits"])
        alone = []
        for shot in (0, 1):
            # A new array each time: JAX may read the old one while it is written.
            only = np.zeros_like(batch["shot_valid"])
            only[:, :, shot] = True
            batch = batch | {"shot_valid": only}
            alone.append(jax.nn.softmax(predict(*variables, batch)["logits"]))
        np.testing.assert_allclose(both, sum(alone) / 2, atol=1e-5)
        joined = methods.make(SMALL | {"shots": "joined"}, 2)
        logits = jax.jit(joined.predict)(*variables, batch)["logits"]
        np.testing.assert_allclose(jax.nn.softmax(logits), alone[-1], atol=1e-5)
        logits = jax.jit(joined.predict)(*variables, _batch())["logits"]
        assert np.abs(jax.nn.softmax(logits) - both).max() > 1e-4

    @pytest.mark.slow
    def test_padding_changes_nothing(self):
        settings = SMALL | {"head_settings": {"scales": (1.0, 0.6, 3)}}
        settings |= {"vit": TINY_VIT, "vit_size": 16, "vit_features": 4}
        method = methods.make(settings, 2)
        exact = _batch(shots=1, episodes=1)
        height, width = 26, 31
        canvas = {}
        for name, array in exact.items():
            if name.endswith("valid") and name != "shot_valid":
                array[...] = [0, 0, height, width]
                canvas[name] = array
            elif name.endswith(("image", "mask")):
                axis = 2 if name.startswith("query") else 3
                part = array[(slice(None),) * axis + (slice(height), slice(width))]
                border = [(0, 0)] * array.ndim
                border[axis], border[axis + 1] = (0, 6), (0, 1)
                fill = IGNORE if name.endswith("mask") else 77
                exact[name] = part
                canvas[name] = np.pad(part, border, constant_values=fill)
        variables = method.init(KEY, exact)
        plain = jax.jit(method.predict)(*variables, exact)["logits"]
        padded = jax.jit(method.predict)(*variables, exact | canvas)["logits"]
        rows, columns = plain.shape[2:4]
        assert padded.shape[2] > rows
        found = padded[:, :, :rows, :columns]
        np.testing.assert_allclose(found, plain, atol=3e-5)
        assert np.all(padded[:, :, rows:] == 0)


TINY_VIT = {"patch": 8, "width": 8, "depth": 1, "heads": 2, "grid": (2, 2)}


class TestLoss:
    @pytest.mark.slow
    def test_nothing_to_learn_from_is_harmless(self, small):
        _, (params, carried), predict, step = small
        batch = _batch()
        batch["support_mask"][0] = 0
        batch["shot_valid"][1] = False
        batch["query_mask"][:] = IGNORE
        (loss, (_, scalars)), grads = step(params, carried, batch, KEY, 0)
        assert loss == 0
        assert scalars["stat/prototypes"] == 0
        chex.assert_tree_all_finite((loss, grads, predict(params, carried, batch)))

    def test_terms_state_and_gradients(self, small):
        _, (params, carried), _, step = small
        (loss, (_, scalars)), grads = step(params, carried, _batch(), KEY, 0)
        parts = scalars["loss/query"] + scalars["loss/auxiliary"]
        np.testing.assert_allclose(loss, parts, rtol=1e-6)
        assert scalars["stat/prototypes"] == 10  # 20 cells of 4, twice
        assert np.any(grads["backbone"]["stem"]["conv"]["kernel"])

    @pytest.mark.slow
    def test_separate_passes(self, small):
        _, (params, carried), _, _ = small
        settings = SMALL | {"separate_passes": True, "backbone_gradient": False}
        method = methods.make(settings | {"blur": 0.5}, 2)
        step = jax.jit(jax.value_and_grad(method.loss, has_aux=True))
        (_, (state, _)), grads = step(params, carried, _batch(), KEY, 0)
        chex.assert_trees_all_equal_shapes_and_dtypes(state, carried)
        assert not any(np.any(g) for g in jax.tree.leaves(grads["backbone"]))
        assert np.any(grads["reduction"]["conv"]["kernel"])


def test_one_way_only():
    batch = _batch()
    batch["shot_valid"] = np.ones((2, 2, 2), bool)
    with pytest.raises(UserError, match="one class an episode"):
        methods.make(SMALL, 2).init(KEY, batch)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"head": "aspp"}, "head='aspp': the backbone has no output 'stage1'"),
        ({"endpoints": ("stage2",)}, "endpoints: .* no output 'stage2'"),
        ({"vit": {"width": 10, "heads": 4}}, "no multiple of heads"),
    ],
)
def test_settings_that_do_not_fit_each_other(wrong, message):
    with pytest.raises(UserError, match=message):
        methods.make(SMALL | wrong, 2)
