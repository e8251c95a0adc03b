import jax
import numpy as np
import pytest

from ppcjax import methods
from ppcjax.types import IGNORE
from tests.methods.test_panet import QUERY, SHOT, SUPPORT_FIELDS, WAY, _batch
from tests.methods.test_ridge import WIDTH, _tokens

KEY = jax.random.key(0)
SLOTS = 3
SMALL = {
    "name": "superpixels",
    "backbone": "frozen",
    "backbone_settings": {"width": WIDTH, "stride": 4},
    "superpixels_at_most": SLOTS,
    "superpixel_cells": 6,
}


@pytest.fixture(scope="module")
def made():
    method = methods.make(SMALL, 4)
    params, state = method.init(KEY, None)
    predict = jax.jit(method.predict)
    return method, lambda batch: np.asarray(predict(params, state, batch)["logits"])


def _right(found, batch):
    return (found.argmax(-1) == batch["query_mask"][..., 2::4, 2::4]).mean()


def test_finds_classes_by_colour(made):
    batch = _tokens(_batch(side=48))
    assert _right(made[1](batch), batch) > 0.85


def test_scores_are_scaled_cosines(made):
    found = made[1](_tokens(_batch()))
    assert found.shape == (2, QUERY, 6, 6, 1 + WAY)
    assert np.abs(found).max() <= 20 + 1e-4


def test_one_prototype_is_the_mean(made):
    """An object too small for two superpixels, by NumPy."""
    method = methods.make(SMALL | {"superpixel_cells": 10**4}, 4)
    batch = _tokens(_batch(rows=1, shot=1))
    learnt = method.fit(*method.init(KEY, None), batch)
    assert learnt["valid"].sum() == 2 * WAY
    tokens = batch["support_image"][0, :, 0].astype(np.float64)
    tokens /= np.linalg.norm(tokens, axis=-1, keepdims=True)
    # Blocks of pixels stand in for the resize: the directions are alike.
    mask = batch["support_mask"][0, :, 0].reshape(WAY, 6, 4, 6, 4).mean((2, 4))
    golden = np.einsum("nhw,nhwd->nd", mask, tokens)
    found = np.asarray(learnt["prototypes"])[0, 1:, 0]
    cosines = np.sum(found * golden, axis=1)
    cosines /= np.linalg.norm(found, axis=1) * np.linalg.norm(golden, axis=1)
    assert np.all(cosines > 0.98)


def test_missing_shots_count_nowhere(made):
    _, predict = made
    batch = _tokens(_batch())
    batch["shot_valid"] = batch["shot_valid"] & (np.arange(SHOT) < 1)
    other = dict(batch)
    image = batch["support_image"].copy()
    image[:, :, 1:] = 7.0
    other["support_image"] = image
    np.testing.assert_array_equal(predict(batch), predict(other))


@pytest.mark.parametrize("what", ["one class missing", "all unknown"])
def test_without_examples_nothing_is_found(made, what):
    batch = _tokens(_batch())
    if what == "one class missing":
        batch["support_mask"][:, 1] = 0
    else:
        batch["support_mask"] = np.full_like(batch["support_mask"], IGNORE)
    found = made[1](batch)
    assert np.isfinite(found).all() and not (found.argmax(-1) == 2).any()


def test_examples_and_photos_apart(made):
    """Fit and segment give what predict does."""
    method, predict = made
    batch = _tokens(_batch())
    params, state = method.init(KEY, None)
    supports = {k: batch[k] for k in SUPPORT_FIELDS}
    queries = {k: v for k, v in batch.items() if k not in SUPPORT_FIELDS}
    learnt = jax.jit(method.fit)(params, state, supports)
    assert learnt["valid"].shape == (2, 1 + WAY, WAY * SHOT * SLOTS)
    found = jax.jit(method.segment)(params, state, learnt, queries)["logits"]
    np.testing.assert_allclose(found, predict(batch), atol=1e-3)


def test_padding_changes_nothing(made):
    batch = _tokens(_batch(shot=1))
    padded = dict(batch)
    for name in ("support_image", "query_image", "support_mask"):
        value, cells = batch[name], 8 if "mask" in name else 2
        after = [(0, cells)] * 2 + [(0, 0)] * ("image" in name)
        widths = [(0, 0)] * (value.ndim - len(after)) + after
        filler = IGNORE if "mask" in name else 5
        padded[name] = np.pad(value, widths, constant_values=filler)
    found = made[1](padded)
    np.testing.assert_allclose(found[:, :, :6, :6], made[1](batch), atol=1e-3)
    assert np.all(found[:, :, 6:] == 0)


def test_one_cell():
    method = methods.make(SMALL, 4)
    batch = _tokens(_batch(side=4))
    found = method.predict(*method.init(KEY, None), batch)["logits"]
    assert found.shape == (2, QUERY, 1, 1, 1 + WAY) and np.isfinite(found).all()
