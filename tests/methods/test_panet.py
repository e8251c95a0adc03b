import chex
import jax
import numpy as np
import pytest

from ppcjax import methods
from ppcjax.types import IGNORE, UserError

KEY = jax.random.key(0)
SMALL = {
    "name": "panet",
    "backbone": "small_resnet",
    "backbone_settings": {"width": 4},
}
WAY, SHOT, QUERY = 2, 3, 2
SUPPORT_FIELDS = ("support_image", "support_valid", "support_mask", "shot_valid")


def _batch(rows=2, side=24, shot=SHOT):
    """Two kinds of coloured rectangles on grey."""
    rng = np.random.default_rng(1)
    colours = np.array([[90, 90, 90], [220, 40, 40], [40, 60, 220]])

    def photo(way):
        mask = np.zeros((side, side), np.int32)
        y, x = rng.integers(0, side // 2, 2)
        mask[y : y + side // 2, x : x + side // 2] = way
        noise = rng.integers(-20, 20, (side, side, 3))
        return (colours[mask] + noise).astype(np.uint8), mask

    supports = [[[photo(w) for _ in range(shot)] for w in (1, 2)] for _ in range(rows)]
    queries = [[photo(1 + q % 2) for q in range(QUERY)] for _ in range(rows)]
    take = lambda tree, i: np.array(  # noqa: E731
        [[[s[i] for s in way] for way in row] for row in tree]
    )
    full = np.int32([0, 0, side, side])
    return {
        "support_image": take(supports, 0),
        "support_valid": np.tile(full, (rows, WAY, shot, 1)),
        "support_mask": (take(supports, 1) > 0).astype(np.int32),
        "shot_valid": np.ones((rows, WAY, shot), bool),
        "query_image": np.array([[q[0] for q in row] for row in queries]),
        "query_valid": np.tile(full, (rows, QUERY, 1)),
        "query_mask": np.array([[q[1] for q in row] for row in queries]),
    }


@pytest.fixture(scope="module")
def made():
    method = methods.make(SMALL, 4)
    params, state = method.init(KEY, None)
    step = jax.jit(jax.value_and_grad(method.loss, has_aux=True))
    return method, params, state, step, jax.jit(method.predict)


def test_terms_add_up(made):
    _, params, state, step, _ = made
    (loss, (_, scalars)), _ = step(params, state, _batch(), KEY, 0)
    total = scalars["loss/query"] + scalars["loss/alignment"]
    np.testing.assert_allclose(loss, total, rtol=1e-6)


def test_missing_shots_count_nowhere(made):
    """One program for all numbers of shots: what fills the rest does not matter."""
    _, params, state, _, predict = made
    batch = _batch()
    fewer = {k: v[:, :, :1] if k in SUPPORT_FIELDS else v for k, v in batch.items()}
    masked = dict(batch)
    masked["shot_valid"] = batch["shot_valid"] & (np.arange(SHOT) < 1)
    exact, found = (predict(params, state, b)["logits"] for b in (fewer, masked))
    np.testing.assert_allclose(found, exact, atol=1e-4)
    assert exact.shape == (2, QUERY, 6, 6, 1 + WAY)


@pytest.mark.parametrize("what", ["empty support", "void query", "void support"])
def test_nothing_to_go_by_is_a_defined_zero(made, what):
    _, params, state, step, predict = made
    batch = _batch()
    if what == "empty support":
        batch["support_mask"][:] = 0
    elif what == "void query":
        batch["query_mask"][:] = IGNORE
    else:
        batch["support_mask"][:] = IGNORE
    (loss, (_, scalars)), grads = step(params, state, batch, KEY, 0)
    chex.assert_tree_all_finite((loss, grads, predict(params, state, batch)))
    if what == "void query":
        assert scalars["loss/query"] == 0
    if what == "void support":
        assert np.all(predict(params, state, batch)["logits"] == 0)


@pytest.mark.parametrize("pooling", ["image", "grid"])
def test_padding_changes_nothing(pooling):
    method = methods.make(SMALL | {"pooling": pooling}, 4)
    params, state = method.init(KEY, None)
    batch, predict = _batch(shot=1), jax.jit(method.predict)
    exact = predict(params, state, batch)["logits"]
    padded = dict(batch)
    for name in ("support_image", "support_mask", "query_image"):
        value = batch[name]
        after = ((0, 8), (0, 8), (0, 0)) if "image" in name else ((0, 8), (0, 8))
        widths = ((0, 0),) * (value.ndim - len(after)) + after
        filler = IGNORE if "mask" in name else 77
        padded[name] = np.pad(value, widths, constant_values=filler)
    found = predict(params, state, padded)["logits"]
    np.testing.assert_allclose(found[:, :, :6, :6], exact, atol=2e-4)


def test_unknown_endpoint():
    with pytest.raises(UserError, match="endpoint: .* no output 'stage9'"):
        methods.make(SMALL | {"endpoint": "stage9"}, 4)
