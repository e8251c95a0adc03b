from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from ppcjax import methods
from ppcjax.ops.resize import resize
from ppcjax.predict import canvases, tta
from ppcjax.types import Method, UserError

STRIDE, CLASSES = 8, 4
WEIGHTS = np.random.default_rng(0).normal(size=(3, CLASSES)).astype(np.float32)


class Photo(NamedTuple):
    id: str
    image: np.ndarray
    tags: np.ndarray | None = None


def cell_means(image, valid):
    """Mean colour of each 8 x 8 cell, padding counted as black."""
    batch, height, width, _ = image.shape
    rows = jnp.arange(height)[None, :, None, None] < valid[:, 2, None, None, None]
    columns = jnp.arange(width)[None, None, :, None] < valid[:, 3, None, None, None]
    x = jnp.where(rows & columns, image, 0).astype(jnp.float32) / 255
    pad = [(0, -side % STRIDE) for side in (height, width)]
    x = jnp.pad(x, [(0, 0), *pad, (0, 0)])
    h, w = x.shape[1] // STRIDE, x.shape[2] // STRIDE
    return x.reshape(batch, h, STRIDE, w, STRIDE, 3).mean((2, 4))


def make_toy(traces=None):
    """A linear map of stride 8, exact on padded canvases."""

    def predict(params, model_state, batch):
        if traces is not None:
            traces.append(batch["image"].shape)
        cells = cell_means(batch["image"], batch["valid"])
        area = jnp.prod(batch["valid"][:, 2:], axis=1)[:, None]
        scores = jnp.einsum(
            "bhwk,kc->bhwc", cells, params, precision=jax.lax.Precision.HIGHEST
        )
        logits = scores.sum((1, 2)) / area * STRIDE**2
        return {"scores": jax.nn.relu(scores), "tag_logits": logits}

    return Method(None, None, predict, gives="maps")


def photo(height, width, *, seed=0, tags=(1, 1, 0, 1)):
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (height, width, 3), np.uint8)
    tags = None if tags is None else np.asarray(tags, np.float32)
    return Photo(f"{height}x{width}", image, tags)


def direct_total(image, *, scales=(0.5, 1.0, 1.5, 2.0)):
    """The sum of maps without canvases, each map resized twice in full."""
    height, width = image.shape[:2]
    total = 0
    for scale in scales:
        size = max(round(width * scale), 1), max(round(height * scale), 1)
        scaled = np.asarray(Image.fromarray(image).resize(size, Image.BICUBIC))
        for mirror in (False, True):
            x = scaled[:, ::-1] if mirror else scaled
            valid = np.array([[0, 0, *x.shape[:2]]])
            maps = make_toy().predict(WEIGHTS, None, {"image": x[None], "valid": valid})
            maps = resize(maps["scores"], x.shape[:2], align_corners=True)
            maps = resize(maps, (height, width), align_corners=False)
            total += np.asarray(maps[0, :, ::-1] if mirror else maps[0])
    return total


def direct_scores(image, tags):
    x = np.maximum(direct_total(image), 0)
    low, high = x.min((0, 1)), x.max((0, 1))
    x = np.where(x < low + 1e-5, 0, x)
    scores = (x - low - 1e-5) / (high - low + 1e-5)
    present = np.asarray(tags, bool).copy()
    present[0] = False
    return np.where(present, scores, 0)


@pytest.mark.parametrize("size", [(1, 1), (1, 37), (33, 29), (32, 32), (57, 131)])
def test_equals_the_unpadded_computation(size):
    example = photo(*size)
    (result,) = tta.predict(make_toy(), WEIGHTS, None, [example])
    assert result.example is example and result.scores.dtype == np.float32
    expected = direct_scores(example.image, example.tags)
    np.testing.assert_allclose(result.scores, expected, atol=3e-5, rtol=1e-4)


def test_many_sizes_need_few_programs():
    rng = np.random.default_rng(1)
    sizes = rng.integers(33, 65, (30, 2))
    examples = [photo(*size, seed=i) for i, size in enumerate(sizes.tolist())]
    traces = []
    toy = make_toy(traces)
    predictions = list(tta.predict(toy, WEIGHTS, None, examples, canvas_steps=2))
    # One abstract pass for the stride; images lie on canvases of 48 or 64 pixels.
    assert len(traces) - 1 == len(set(traces[1:])) <= 4 * 2**2
    assert [p.example.id for p in predictions] != [e.id for e in examples]
    assert {p.example.id for p in predictions} == {e.id for e in examples}
    traces.clear()
    coarse = tta.predict(make_toy(traces), WEIGHTS, None, examples, canvas_steps=1)
    coarse = {p.example.id: p.scores for p in coarse}
    assert len(traces) - 1 == 3  # sides 32, 64 and 128; scales 1.5 and 2 share one
    for result in predictions:
        np.testing.assert_allclose(
            result.scores, coarse[result.example.id], atol=1e-4, rtol=1e-4
        )


def test_batching_changes_nothing():
    examples = [photo(40, 60 + i, seed=i) for i in range(3)]
    batched = tta.predict(make_toy(), WEIGHTS, None, examples, batch_size=2)
    batched = {p.example.id: p.scores for p in batched}
    for example in examples:
        (alone,) = tta.predict(make_toy(), WEIGHTS, None, [example], batch_size=1)
        np.testing.assert_allclose(alone.scores, batched[example.id], atol=1e-5)


def test_ppc_gives_the_same_scores_on_any_canvas():
    settings = {"backbone": "small_resnet", "backbone_settings": {"width": 8}}
    method = methods.make({"name": "ppc", **settings}, CLASSES)
    example = photo(37, 45, tags=(1, 1, 1, 1))
    spec = {
        "image": np.zeros((1, 64, 64, 3), np.uint8),
        "valid": np.array([[0, 0, 64, 64]], np.int32),
        "tags": np.zeros((1, CLASSES), np.float32),
    }
    state = method.init(jax.random.key(0), spec)
    tight, wide = (
        next(tta.predict(method, *state, [example], scales=(1.0,), canvas_steps=steps))
        for steps in (4, 1)
    )
    assert np.abs(tight.scores).max() > 0.5
    np.testing.assert_allclose(tight.scores, wide.scores, atol=1e-4)


def test_one_scale_without_mirror():
    example = photo(24, 40, tags=(1, 1, 1, 1))
    (result,) = tta.predict(
        make_toy(), WEIGHTS, None, [example], scales=(1.0,), flip=False
    )
    maps = cell_means(example.image[None], np.array([[0, 0, 24, 40]])) @ WEIGHTS
    x = resize(jax.nn.relu(maps), (24, 40), align_corners=True)
    x = np.asarray(x[0])
    low, high = x.min((0, 1)), x.max((0, 1))
    expected = (np.where(x < low + 1e-5, 0, x) - low - 1e-5) / (high - low + 1e-5)
    np.testing.assert_allclose(result.scores[..., 1:], expected[..., 1:], atol=1e-4)


def test_predicted_tags_where_none_are_given():
    image = np.full((32, 32, 3), 200, np.uint8)
    weights = np.zeros((3, CLASSES), np.float32)
    weights[:, 1], weights[:, 3] = -2.0, -1.0
    (result,) = tta.predict(make_toy(), weights, None, [Photo("a", image)])
    np.testing.assert_array_equal(result.tags, [True, False, True, False])
    weights[:, 2] = -5.0  # nothing is positive: the likeliest class counts
    (result,) = tta.predict(make_toy(), weights, None, [Photo("a", image)])
    np.testing.assert_array_equal(result.tags, [True, False, False, True])


def test_large_images_are_shrunk_for_the_network():
    traces = []
    example = photo(96, 160)
    (result,) = tta.predict(
        make_toy(traces), WEIGHTS, None, [example], max_side=80, scales=(1.0,)
    )
    assert result.scores.shape == (96, 160, CLASSES)
    assert traces[-1][1:3] == (48, 80)


@pytest.mark.parametrize("n", [1, 31, 32, 33, 100, 128, 129, 375, 500, 4000])
def test_canvas_ladder(n):
    size = canvases.canvas_size(n)
    assert size >= n and size % 8 == 0
    assert size <= max(32, 1.25 * n + 1)
    assert canvases.canvas_size(size) == size


def test_settings_that_cannot_work():
    with pytest.raises(UserError, match="scales"):
        list(tta.predict(make_toy(), WEIGHTS, None, [], scales=()))
