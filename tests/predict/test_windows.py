import jax.numpy as jnp
import numpy as np
import pytest

from ppcjax import fields
from ppcjax.ops.resize import resize
from ppcjax.predict import tta, windows
from ppcjax.predict.windows import Windows, WindowSettings
from ppcjax.types import Method, UserError
from tests.predict.toy import CLASSES, WEIGHTS, cell_means, make_toy, photo


def make_segmenter(shapes=None, *, one_more=False):
    """Cell means through weights; with one row and column of cells more if asked."""

    def predict(params, model_state, batch):
        if shapes is not None:
            shapes.append(batch["image"].shape)
        logits = cell_means(batch["image"], batch["valid"]) @ params
        if not one_more:
            return {"logits": logits}
        logits = jnp.pad(logits, ((0, 0), (0, 1), (0, 1), (0, 0)), mode="edge")
        return {"logits": logits, "extent": -(-batch["valid"][:, 2:] // 8) + 1}

    return Method(None, None, predict)


def predict(method, examples, *, window=None, **scaling):
    scaling = tta.Scaling(**scaling)
    return tta.predict(method, WEIGHTS, None, examples, scaling=scaling, windows=window)


def softmax(x):
    x = np.exp(x - x.max(-1, keepdims=True))
    return x / x.sum(-1, keepdims=True)


def logits_of(image):
    valid = np.array([[0, 0, *image.shape[:2]]])
    maps = cell_means(image[None], valid) @ WEIGHTS
    return np.asarray(resize(maps, image.shape[:2], align_corners=True)[0])


@pytest.mark.parametrize(
    ("length", "size", "step", "expected"),
    [
        (30, 32, 32, [0]),
        (32, 32, 32, [0]),
        (33, 32, 32, [0, 1]),
        (64, 32, 32, [0, 32]),
        (70, 32, 16, [0, 16, 32, 38]),
    ],
)
def test_windows_end_with_the_image(length, size, step, expected):
    assert windows.starts(length, size, step) == expected


@pytest.mark.parametrize("size", [(57, 75), (20, 75), (24, 16)])
def test_pixels_get_the_mean_of_their_windows(size):
    example, shapes = photo(*size), []
    window = Windows((32, 40), (16, 24))
    method = make_segmenter(shapes)
    (found,) = predict(method, [example], scales=(1.0,), flip=False, window=window)
    total, hits = np.zeros((*size, CLASSES)), np.zeros((*size, 1))
    for y in windows.starts(size[0], 32, 16):
        for x in windows.starts(size[1], 40, 24):
            there = slice(y, y + 32), slice(x, x + 40)
            total[there] += logits_of(example.image[there])
            hits[there] += 1
    expected = softmax(total / hits)
    np.testing.assert_allclose(found.probabilities, expected, atol=1e-5)
    assert len(set(shapes[1:])) == 1  # one program for all windows


def test_mirrors_scales_and_sizes_together():
    """A window as large as the image is the image; smaller scales are never cut."""
    examples = [photo(40, 60), photo(33, 64, seed=1)]
    settings = {"scales": (0.5, 1.0), "batch_size": 2}
    whole, cut = (
        list(predict(make_segmenter(), examples, **settings, window=window))
        for window in (None, Windows((96, 96), (96, 96)))
    )
    for a, b in zip(whole, cut, strict=True):
        assert a.example is b.example
        np.testing.assert_allclose(a.probabilities, b.probabilities, atol=1e-5)
    small, plain = (
        next(predict(make_segmenter(), examples[:1], scales=(0.5,), window=window))
        for window in (Windows((16, 16), (16, 16)), None)
    )
    np.testing.assert_array_equal(small.probabilities, plain.probabilities)


def test_the_network_says_how_large_its_grid_is():
    image = photo(40, 60).image
    method = make_segmenter(one_more=True)
    (found,) = predict(method, [photo(40, 60)], scales=(1.0,), flip=False)
    batch = {"image": image[None], "valid": np.array([[0, 0, 40, 60]])}
    maps = method.predict(WEIGHTS, None, batch)["logits"]
    assert maps.shape[1:3] == (6, 9)
    expected = softmax(np.asarray(resize(maps, (40, 60), align_corners=True)[0]))
    np.testing.assert_allclose(found.probabilities, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"window": 0}, "config.eval.window=0: give a whole number of at least 1"),
        ({"window": (3, 4, 5)}, r"config.eval.window=\(3, 4, 5\): give a whole"),
        ({"window_stride": 8}, "eval.window_stride=8: give eval.window as well"),
        ({"window": 16, "window_stride": 20}, "pixels between would not be seen"),
    ],
)
def test_settings_that_cannot_work(settings, message):
    with pytest.raises(UserError, match=message):
        fields.build(WindowSettings, settings, where="config.eval", what="windows")


def test_only_segmenters_are_cut():
    with pytest.raises(ValueError, match="only segmenters"):
        next(predict(make_toy(), [], window=Windows((16, 16), (16, 16))))


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, None),
        ({"window": [512, 1024]}, Windows((512, 1024), (512, 1024))),
        ({"window": 96, "window_stride": 64}, Windows((96, 96), (64, 64))),
    ],
)
def test_windows_as_settings(settings, expected):
    found = fields.build(WindowSettings, settings, where="config.eval", what="windows")
    assert found.resolved() == expected
