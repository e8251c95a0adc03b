import jax
import numpy as np
import pytest
from PIL import Image

from ppcjax import fields, methods
from ppcjax.ops.resize import resize
from ppcjax.predict import tta
from ppcjax.types import UserError
from tests.predict.toy import CLASSES, WEIGHTS, Photo, cell_means, make_toy, photo


def predict(method, examples, *, state=(WEIGHTS, None), **scaling):
    return tta.predict(method, *state, examples, scaling=tta.Scaling(**scaling))


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


SLOW_SIZES = [
    pytest.param(size, marks=pytest.mark.slow)
    for size in ((1, 1), (1, 37), (32, 32), (57, 131))
]


@pytest.mark.parametrize("size", [(33, 29), *SLOW_SIZES])
def test_equals_the_unpadded_computation(size):
    example = photo(*size)
    (result,) = predict(make_toy(), [example])
    assert result.example is example and result.scores.dtype == np.float32
    expected = direct_scores(example.image, example.tags)
    np.testing.assert_allclose(result.scores, expected, atol=3e-5, rtol=1e-4)


@pytest.mark.slow
def test_many_sizes_need_few_programs():
    rng = np.random.default_rng(1)
    sizes = rng.integers(33, 65, (30, 2))
    examples = [photo(*size, seed=i) for i, size in enumerate(sizes.tolist())]
    traces = []
    toy = make_toy(traces)
    predictions = list(predict(toy, examples, canvas_steps=2))
    # One abstract pass for the stride; images lie on canvases of 48 or 64 pixels.
    assert len(traces) - 1 == len(set(traces[1:])) <= 4 * 2**2
    assert [p.example.id for p in predictions] != [e.id for e in examples]
    assert {p.example.id for p in predictions} == {e.id for e in examples}
    traces.clear()
    coarse = predict(make_toy(traces), examples, canvas_steps=1)
    coarse = {p.example.id: p.scores for p in coarse}
    assert len(traces) - 1 == 3  # sides 32, 64 and 128; scales 1.5 and 2 share one
    for result in predictions:
        np.testing.assert_allclose(
            result.scores, coarse[result.example.id], atol=1e-4, rtol=1e-4
        )


@pytest.mark.slow
def test_batching_changes_nothing():
    examples = [photo(40, 60 + i, seed=i) for i in range(3)]
    batched = predict(make_toy(), examples, batch_size=2)
    batched = {p.example.id: p.scores for p in batched}
    for example in examples:
        (alone,) = predict(make_toy(), [example], batch_size=1)
        np.testing.assert_allclose(alone.scores, batched[example.id], atol=1e-5)


@pytest.mark.parametrize(
    "backbone, settings",
    [
        ("small_resnet", {"width": 8}),
        ("vit_s14", {"width": 16, "depth": 2, "heads": 2, "grid": (3, 3)}),
    ],
)
@pytest.mark.slow
def test_ppc_gives_the_same_scores_on_any_canvas(backbone, settings):
    settings = {"backbone": backbone, "backbone_settings": settings}
    method = methods.make({"name": "ppc", **settings}, CLASSES)
    example = photo(37, 45, tags=(1, 1, 1, 1))
    spec = {
        "image": np.zeros((1, 64, 64, 3), np.uint8),
        "valid": np.array([[0, 0, 64, 64]], np.int32),
        "tags": np.zeros((1, CLASSES), np.float32),
    }
    state = method.init(jax.random.key(0), spec)
    tight, wide = (
        next(predict(method, [example], state=state, scales=(1.0,), canvas_steps=steps))
        for steps in (4, 1)
    )
    assert np.abs(tight.scores).max() > 0.5
    np.testing.assert_allclose(tight.scores, wide.scores, atol=1e-4)


def test_one_scale_without_mirror():
    example = photo(24, 40, tags=(1, 1, 1, 1))
    (result,) = predict(make_toy(), [example], scales=(1.0,), flip=False)
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
    (result,) = predict(make_toy(), [Photo("a", image)], state=(weights, None))
    np.testing.assert_array_equal(result.tags, [True, False, True, False])
    weights[:, 2] = -5.0  # nothing is positive: the likeliest class counts
    (result,) = predict(make_toy(), [Photo("a", image)], state=(weights, None))
    np.testing.assert_array_equal(result.tags, [True, False, False, True])


def test_large_images_are_shrunk_for_the_network():
    traces = []
    example = photo(96, 160)
    (result,) = predict(make_toy(traces), [example], max_side=80, scales=(1.0,))
    assert result.scores.shape == (96, 160, CLASSES)
    assert traces[-1][1:3] == (48, 80)


@pytest.mark.parametrize(("count", "rows"), [(1, 2), (2, 2), (3, 4), (5, 8), (8, 8)])
def test_batch_is_no_larger_than_its_photos_need(count, rows):
    """The next power of two, a multiple of both devices."""
    traces = []
    examples = [photo(32, 32, seed=i) for i in range(count)]
    list(predict(make_toy(traces), examples, scales=(1.0,), flip=False))
    assert [shape[0] for shape in traces[1:]] == [rows]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"scales": ()}, r"config.eval.scales=\(\): give a list of at least one item"),
        ({"scales": (1.0, 0.0)}, "config.eval.scales="),
        ({"batch_size": 0}, "config.eval.batch_size=0"),
        ({"max_side": 0}, "config.eval.max_side=0"),
        ({"canvas_steps": 0}, "config.eval.canvas_steps=0"),
    ],
)
def test_settings_that_cannot_work(settings, message):
    with pytest.raises(UserError, match=message):
        fields.build(tta.Scaling, settings, where="config.eval", what="scaling")
