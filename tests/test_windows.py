import jax.numpy as jnp
import numpy as np
import pytest

from ppcjax.ops.resize import resize
from ppcjax.predict import tta, windows
from ppcjax.predict.windows import Windows
from ppcjax.types import Method, UserError
from tests.test_tta import CLASSES, WEIGHTS, cell_means, make_toy, photo


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
    (found,) = tta.predict(
        make_segmenter(shapes),
        WEIGHTS,
        None,
        [example],
        scales=(1.0,),
        flip=False,
        window=(32, 40),
        window_stride=(16, 24),
    )
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
        list(tta.predict(make_segmenter(), WEIGHTS, None, examples, **settings, **w))
        for w in ({}, {"window": 96})
    )
    for a, b in zip(whole, cut, strict=True):
        assert a.example is b.example
        np.testing.assert_allclose(a.probabilities, b.probabilities, atol=1e-5)
    (small,) = tta.predict(
        make_segmenter(), WEIGHTS, None, examples[:1], scales=(0.5,), window=16
    )
    (plain,) = tta.predict(make_segmenter(), WEIGHTS, None, examples[:1], scales=(0.5,))
    np.testing.assert_array_equal(small.probabilities, plain.probabilities)


def test_the_network_says_how_large_its_grid_is():
    image = photo(40, 60).image
    (found,) = tta.predict(
        make_segmenter(one_more=True), WEIGHTS, None, [photo(40, 60)],
        scales=(1.0,), flip=False,
    )  # fmt: skip
    batch = {"image": image[None], "valid": np.array([[0, 0, 40, 60]])}
    maps = make_segmenter(one_more=True).predict(WEIGHTS, None, batch)["logits"]
    assert maps.shape[1:3] == (6, 9)
    expected = softmax(np.asarray(resize(maps, (40, 60), align_corners=True)[0]))
    np.testing.assert_allclose(found.probabilities, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"window": 0}, "eval.window=0: give one side"),
        ({"window": (3, 4, 5)}, r"eval.window=\(3, 4, 5\): give one side"),
        ({"window_stride": 8}, "eval.window_stride=8: give eval.window as well"),
        ({"window": 16, "window_stride": 20}, "pixels between would not be seen"),
    ],
)
def test_settings_that_cannot_work(settings, message):
    with pytest.raises(UserError, match=message):
        list(tta.predict(make_segmenter(), WEIGHTS, None, [], **settings))
    with pytest.raises(UserError, match="only segmenters"):
        list(tta.predict(make_toy(), WEIGHTS, None, [], window=16))


def test_windows_as_settings():
    assert Windows.of([512, 1024], None) == Windows((512, 1024), (512, 1024))
    assert Windows.of(96, 64) == Windows((96, 96), (64, 64))
