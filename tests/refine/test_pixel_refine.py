"""Pixel refinement: recorded values, and its formula one pixel after the other."""

from typing import NamedTuple

import jax
import numpy as np
import pytest

from ppcjax.predict.prediction import Prediction
from ppcjax.refine import pixel_refine
from ppcjax.types import UserError


class Photo(NamedTuple):
    id: str
    image: np.ndarray
    tags: np.ndarray | None = None


def _recorded():
    """A photo of 4 x 4 pixels, and a map that is 1 in its top left quarter."""
    y, x = np.mgrid[:4, :4]
    v = 4 * y + x
    second = v % 4 / 4
    image = np.stack([v / 16, second, second * 0, v % 3], -1)
    image[..., 2] = image[..., 0] / 2 + 0.1 * image[..., 3]
    maps = np.zeros((4, 4, 1), np.float32)
    maps[:2, :2] = 1
    return image[..., :3].astype(np.float32), maps


# Of dilations 1 and 2; computed with the released form.
ONE = [
    [1.0100, 1.0028, 0.00754, 0],
    [1.0071, 0.17541, 0.02448, 0],
    [0.00270, 0.58060, 0.02121, 0],
]
TEN = [[1.1031, 1.0202, 0.07226, 0.00085]]


@pytest.mark.parametrize(("turns", "rows"), [(1, ONE), (10, TEN)])
@pytest.mark.parametrize("canvas", [(4, 4), (9, 6)])
def test_recorded_values(turns, rows, canvas):
    """Also on a larger canvas, whose other pixels are never looked at."""
    parts = []
    for x in _recorded():
        padded = np.full((*canvas, x.shape[-1]), np.nan, np.float32)
        padded[:4, :4] = x
        parts.append(padded)
    found = pixel_refine.spread(
        *parts, turns, dilations=(1, 2), extent=np.int32([4, 4])
    )
    np.testing.assert_allclose(found[: len(rows), :4, 0], rows, atol=6e-5)


@pytest.mark.parametrize("shift", [0.0, -0.7])
def test_any_affine_scale_of_the_photo_is_the_same(shift):
    image, maps = _recorded()
    one, two = (
        pixel_refine.spread(i, maps, 3, dilations=(1, 2))
        for i in (image, 255 * image + shift)
    )
    np.testing.assert_allclose(one, two, atol=1e-4)


def _slowly(image, maps):
    """One turn of the formula with all 48 neighbours."""
    height, width = maps.shape[:2]
    offsets = [
        (d * y, d * x)
        for d in (1, 2, 4, 8, 12, 24)
        for y in (-1, 0, 1)
        for x in (-1, 0, 1)
        if (y, x) != (0, 0)
    ]
    delta = np.array([np.hypot(*offset) for offset in offsets])
    assert np.isclose(delta.std(ddof=1), 9.9003, atol=1e-4)
    pi = np.exp(-((delta / (delta.std(ddof=1) + 1e-8) / 0.3) ** 2))
    out = np.zeros(maps.shape)
    for i in range(height):
        for j in range(width):
            at = [
                (np.clip(i + y, 0, height - 1), np.clip(j + x, 0, width - 1))
                for y, x in offsets
            ]
            there = np.array([image[p] for p in at], np.float64)
            scale = there.std(0, ddof=1) + 1e-8
            kappa = -((np.abs(there - image[i, j]) / scale / 0.3) ** 2).mean(1)
            w = np.exp(kappa - kappa.max())
            w = w / w.sum() + 0.01 * pi / pi.sum()
            assert np.isclose(w.sum(), 1.01)
            out[i, j] = w @ np.array([maps[p] for p in at])
    return out


@pytest.mark.parametrize("size", [(13, 30), (1, 1), (1, 7), (5, 1)])
@pytest.mark.parametrize("colours", [2, 256])
def test_formula_at_odd_sizes(size, colours):
    rng = np.random.default_rng(0)
    image = rng.integers(0, colours, (*size, 3), np.uint8)
    maps = rng.random((*size, 3)).astype(np.float32)
    expected = _slowly(image / 255, maps) / 1.01
    found = pixel_refine.refine(image, maps, 1)
    assert found.dtype == np.float32 and found.shape == maps.shape
    np.testing.assert_allclose(found, expected, atol=2e-5)


def test_maps_stay_within_their_range_and_classes_apart():
    rng = np.random.default_rng(1)
    image = rng.integers(0, 256, (40, 33, 3), np.uint8)
    maps = rng.random((40, 33, 5)).astype(np.float32)
    maps[..., 3], maps[..., 4] = 0.25, maps[..., 0]
    found = pixel_refine.refine(image, maps, 10)
    low, high = maps.min((0, 1)), maps.max((0, 1))
    assert np.all(found > low - 1e-5) and np.all(found < high + 1e-5)
    np.testing.assert_allclose(found[..., 3], 0.25, rtol=1e-4)
    np.testing.assert_array_equal(found[..., 0], found[..., 4])
    alone = pixel_refine.refine(image, maps[..., :1], 10)
    np.testing.assert_allclose(alone[..., 0], found[..., 0], atol=1e-5)


@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_maps_follow_edges(scale):
    """A map that ends 4 pixels beside an edge moves to it."""
    image = np.zeros((64, 70, 3), np.uint8)
    image[:, 35:] = 200, 90, 30
    image += np.random.default_rng(2).integers(0, 9, image.shape, np.uint8)
    maps = np.zeros((64, 70, 1), np.float32)
    maps[:, 31:] = 0.9
    found = pixel_refine.refine(image, maps, 10, scale=scale)[..., 0] > 0.45
    truth = np.zeros((64, 70), bool)
    truth[:, 35:] = True
    wrong = (found != truth).sum(), ((maps[..., 0] > 0.45) != truth).sum()
    assert wrong[0] < 0.3 * wrong[1]


def test_a_photo_of_one_colour_spreads_evenly():
    image = np.full((30, 30, 3), 77, np.uint8)
    maps = np.zeros((30, 30, 1), np.float32)
    maps[15, 15] = 1
    found = pixel_refine.refine(image, maps, 1)
    assert np.isfinite(found).all()
    # Of like neighbours each has 1/48; the nearest ones a little more for nearness.
    assert found[15, 15] == 0
    assert np.all(found[14, 14:17] > 1 / 48 / 1.01) and found[15, 3] < 1.1 / 48


@pytest.mark.parametrize("scale", [1.0, 0.5, 0.3])
def test_drawings_of_few_colours_are_no_trouble(scale):
    """Pixels whose neighbours are all alike and unlike themselves, and flat areas."""
    image = np.full((61, 47, 3), 20, np.uint8)
    image[30, 20], image[5:9, 40], image[50:] = (255, 0, 21), 200, (20, 20, 230)
    maps = np.zeros((61, 47, 2), np.float32)
    maps[28:33, 18:23, 0], maps[..., 1] = 1, 0.5
    found = pixel_refine.refine(image, maps, 10, scale=scale)
    assert np.all((found >= -1e-6) & (found <= 1 + 1e-5))
    np.testing.assert_allclose(found[..., 1], 0.5, rtol=1e-4)


def test_no_turn_changes_nothing():
    image = np.zeros((9, 8, 3), np.uint8)
    maps = np.random.default_rng(3).random((9, 8, 2)).astype(np.float32)
    np.testing.assert_array_equal(pixel_refine.refine(image, maps, 0), maps)


def test_memory_is_that_of_the_photo_not_of_its_neighbours():
    side, classes = 256, 4
    shapes = [jax.ShapeDtypeStruct((side, side, n), np.float32) for n in (3, classes)]
    program = jax.jit(lambda *x: pixel_refine.spread(*x, 10)).lower(*shapes).compile()
    planes = program.memory_analysis().temp_size_in_bytes / (4 * side * side)
    assert planes < 48


@pytest.mark.parametrize("maps", [(4, 5, 2), (4, 4, 0), (4, 4)])
def test_what_does_not_fit_is_one_line(maps):
    with pytest.raises(UserError, match=r"^pixel_refine: [^\n]*$"):
        pixel_refine.refine(np.zeros((4, 4, 3), np.uint8), np.zeros(maps))


class TestPredictions:
    image = np.random.default_rng(4).integers(0, 256, (12, 9, 3), np.uint8)

    def test_of_activation_maps_those_of_tagged_classes_are_refined(self):
        scores = np.random.default_rng(5).random((12, 9, 4)).astype(np.float32)
        tags = np.array([True, False, True, False])
        scores[..., ~tags], scores[..., 0] = 0, 0
        one = Prediction(Photo("a", self.image), scores, tags, labels=("low", "high"))
        (found,) = pixel_refine.refine_predictions([one], 2)
        expected = pixel_refine.refine(self.image, scores[..., 2:3], 2)
        np.testing.assert_allclose(found.scores[..., 2:3], expected, atol=1e-6)
        assert not np.any(found.scores[..., [0, 1, 3]])
        assert found.probabilities is None and found.labels == one.labels

    def test_a_photo_without_a_class_stays(self):
        scores = np.zeros((12, 9, 3), np.float32)
        one = Prediction(Photo("a", self.image), scores, np.array([True, False, False]))
        (found,) = pixel_refine.refine_predictions([one], 2)
        assert found is one

    def test_probabilities_stay_probabilities(self):
        p = np.random.default_rng(6).dirichlet(np.ones(3), (12, 9)).astype(np.float32)
        one = Prediction.of_probabilities(Photo("a", self.image), p)
        (found,) = pixel_refine.refine_predictions([one], 10, scale=0.5)
        np.testing.assert_allclose(found.probabilities.sum(-1), 1, atol=1e-5)
        assert np.abs(found.probabilities - p).max() > 0.05
        best = found.probabilities.argmax(-1)
        np.testing.assert_array_equal(found.scores[..., 1:].max(-1) > 0.5, best > 0)
