import jax
import numpy as np
import pytest

from ppcjax import methods
from ppcjax.types import IGNORE, UserError
from tests.methods.test_panet import QUERY, SHOT, SUPPORT_FIELDS, WAY, _batch

KEY = jax.random.key(0)
WIDTH = 6
GREY = {
    "name": "ridge",
    "backbone": "frozen",
    "backbone_settings": {"width": WIDTH, "stride": 4},
    "penalty": 1.0,
}


def _tokens(batch, width=WIDTH):
    """The batch as a frozen network of cells of 4 pixels gives it: colours, mixed."""
    mix = np.random.default_rng(3).normal(size=(3, width))

    def seen(photos):
        *front, height, width, _ = photos.shape
        cells = photos.reshape(*front, height // 4, 4, width // 4, 4, 3)
        means = cells.mean((-2, -4)) / 128 - 1
        return (means @ mix).astype(np.float16)

    names = ("support_image", "query_image")
    return batch | {name: seen(batch[name]) for name in names}


@pytest.fixture(scope="module")
def made():
    method = methods.make(GREY, 4)
    params, state = method.init(KEY, None)
    predict = jax.jit(method.predict)
    return method, lambda batch: np.asarray(predict(params, state, batch)["logits"])


def test_finds_classes_by_colour(made):
    _, predict = made
    batch = _tokens(_batch(side=48))
    found = predict(batch).argmax(-1)
    truth = batch["query_mask"][..., 2::4, 2::4]
    assert found.shape == truth.shape
    assert (found == truth).mean() > 0.9


def test_nothing_is_trained(made):
    assert made[0].loss is None


def test_once_looked_at_is_a_plain_regression():
    """One episode and way, by NumPy; a cell holds some pixels of both."""
    method = methods.make(GREY | {"own_ground": 0.0}, 4)
    params, state = method.init(KEY, None)
    batch = _tokens(_batch(rows=1, side=24))
    one = {k: v[:, :1] if k in SUPPORT_FIELDS else v for k, v in batch.items()}
    found = method.predict(params, state, one)["logits"]

    def unit(x):
        x = x.reshape(-1, WIDTH).astype(np.float64)
        x /= np.linalg.norm(x, axis=1, keepdims=True)
        return np.concatenate([x, np.ones((len(x), 1))], axis=1)

    matrix = _linear(24, 6)
    mask = one["support_mask"][0, 0]
    a, b = (np.einsum("ih,kij,jw->khw", matrix, mask == v, matrix) for v in (1, 0))
    x, a, b = unit(one["support_image"]), a.ravel() / a.sum(), b.ravel() / b.sum()
    ridge = np.diag([np.sum(a**2)] * WIDTH + [1e-6])
    solution = np.linalg.solve((x.T * (a + b)) @ x + ridge, x.T @ (a - b))
    golden = 4 * unit(one["query_image"]) @ solution
    np.testing.assert_allclose(found[..., 1].ravel(), golden, atol=2e-3)
    assert np.all(found[..., 0] == 0)


def _linear(pixels, cells):
    """[pixels, cells] of the bilinear resize, corners not aligned."""
    place = np.clip((np.arange(pixels) + 0.5) * cells / pixels - 0.5, 0, cells - 1)
    return np.maximum(1 - np.abs(place[:, None] - np.arange(cells)), 0)


@pytest.mark.parametrize("what", ["missing shots", "unknown pixels"])
def test_what_does_not_count_does_not_matter(made, what):
    _, predict = made
    batch = _tokens(_batch())
    first = np.arange(SHOT) < 1
    if what == "missing shots":
        batch["shot_valid"] = batch["shot_valid"] & first
    else:
        batch["support_mask"] = np.where(
            first[:, None, None], batch["support_mask"], IGNORE
        )
    other = dict(batch)
    image = batch["support_image"].copy()
    image[:, :, 1:] = 7.0
    other["support_image"] = image
    np.testing.assert_array_equal(predict(batch), predict(other))


def test_scribbles_do_nearly_as_well(made):
    _, predict = made
    batch = _tokens(_batch(side=48))
    known = np.random.default_rng(0).random(batch["support_mask"].shape) < 0.02
    batch["support_mask"] = np.where(known, batch["support_mask"], IGNORE)
    truth = batch["query_mask"][..., 2::4, 2::4]
    assert (predict(batch).argmax(-1) == truth).mean() > 0.85


@pytest.mark.parametrize("what", ["no class", "one class missing", "all unknown"])
def test_without_examples_nothing_is_found(made, what):
    _, predict = made
    batch = _tokens(_batch())
    if what == "no class":
        batch["support_mask"] = np.zeros_like(batch["support_mask"])
    elif what == "one class missing":
        batch["support_mask"][:, 1] = 0
    else:
        batch["support_mask"] = np.full_like(batch["support_mask"], IGNORE)
    found = predict(batch)
    assert np.isfinite(found).all()
    assert not (found.argmax(-1) == 2).any()
    if what == "all unknown":
        np.testing.assert_allclose(found, 0, atol=1e-5)


def test_examples_and_photos_apart(made):
    """Fit and segment give what predict does."""
    method, predict = made
    batch = _tokens(_batch())
    params, state = method.init(KEY, None)
    supports = {k: batch[k] for k in SUPPORT_FIELDS}
    queries = {k: v for k, v in batch.items() if k not in SUPPORT_FIELDS}
    learnt = jax.jit(method.fit)(params, state, supports)
    assert learnt["moments"].shape == (2, 1 + WAY, WIDTH + 1, WIDTH + 1)
    found = jax.jit(method.segment)(params, state, learnt, queries)["logits"]
    assert found.shape == (2, QUERY, 6, 6, 1 + WAY)
    np.testing.assert_allclose(found, predict(batch), atol=1e-4)


def test_padding_changes_nothing(made):
    _, predict = made
    batch = _tokens(_batch(shot=1))
    padded = dict(batch)
    for name in ("support_image", "query_image", "support_mask"):
        value, cells = batch[name], 8 if "mask" in name else 2
        after = [(0, cells)] * 2 + [(0, 0)] * ("image" in name)
        widths = [(0, 0)] * (value.ndim - len(after)) + after
        filler = IGNORE if "mask" in name else 5
        padded[name] = np.pad(value, widths, constant_values=filler)
    found = predict(padded)[:, :, :6, :6]
    np.testing.assert_allclose(found, predict(batch), atol=1e-3)


def test_the_own_ground_of_a_photo_counts():
    """New things in a photo are like no example; seen again, they fall behind."""
    batch = _tokens(_batch())
    found = []
    for share in (0.0, 0.9):
        method = methods.make(GREY | {"own_ground": share}, 4)
        found.append(method.predict(*method.init(KEY, None), batch)["logits"])
    assert not np.allclose(*found)
    # What is background beyond doubt is no nearer to any class than before.
    sure = np.all(found[0][..., 1:] < -4 * 0.3, axis=-1)
    assert sure.any()
    best = [x[..., 1:].max(-1)[sure].mean() for x in found]
    assert best[1] <= best[0] + 1e-3


def test_one_cell():
    method = methods.make(GREY, 4)
    batch = _tokens(_batch(side=4))
    found = method.predict(*method.init(KEY, None), batch)["logits"]
    assert found.shape == (2, QUERY, 1, 1, 1 + WAY) and np.isfinite(found).all()


def test_unknown_endpoint():
    with pytest.raises(UserError, match="endpoint: .* no output 'stage9'"):
        methods.make(GREY | {"endpoint": "stage9"}, 4)
