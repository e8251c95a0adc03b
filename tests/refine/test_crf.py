"""The dense CRF against exact sums over all pairs of pixels, and at its edges."""

import chex
import numpy as np
import pytest

from ppcjax.refine import crf
from ppcjax.refine.kernels import Kernel, kernel_filter, pixel_features
from ppcjax.types import UserError
from tests.refine.scenes import scene

SOFT = crf.CrfSettings(Kernel(2, 0.6), Kernel(8, 0.8, 20), iterations=5)


def _pairs(kernel, image):
    """The exact kernel [P, P], normalised on both sides."""
    features = pixel_features(kernel, image.shape[:2], image).astype(np.float64)
    distance = ((features[:, None] - features[None]) ** 2).sum(axis=-1)
    similarity = np.exp(-0.5 * distance)
    norm = similarity.sum(axis=1)
    return similarity / np.sqrt(norm[:, None] * norm[None])


def _exact(image, probabilities, settings):
    """Mean field of eq. (5) of the paper, label by label and pair by pair."""
    energies = crf.unary(probabilities, settings).reshape(-1, probabilities.shape[-1])
    kernels = settings.gaussian, settings.bilateral
    weights = sum(k.compat * _pairs(k, image) for k in kernels)
    q = np.exp(-energies.astype(np.float64))
    q /= q.sum(axis=1, keepdims=True)
    for _ in range(settings.iterations):
        # Potts: a label pays for what all pixels give to the other labels. Mass is
        # summed over them all, so the constant it leaves cancels.
        others = weights @ (q.sum(axis=1, keepdims=True) - q)
        q = np.exp(-energies - others)
        q /= q.sum(axis=1, keepdims=True)
    return q.reshape(probabilities.shape)


def test_mean_field_is_exact_with_exact_kernels():
    image, probabilities, _ = scene(12, 9, 4)
    wanted = _exact(image, probabilities, SOFT)

    def exact_filter(kernel):
        pairs = _pairs(kernel, image)
        return lambda q: (pairs @ q).astype(np.float32)

    filters = [(k.compat, exact_filter(k)) for k in (SOFT.gaussian, SOFT.bilateral)]
    energies = crf.unary(probabilities, SOFT).reshape(-1, 4)
    found = crf.mean_field(energies, filters, SOFT.iterations)
    np.testing.assert_allclose(found.reshape(wanted.shape), wanted, atol=1e-5)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_lattice_comes_close_to_exact_kernels(seed):
    """Within 15 % of the peak per pair (test_lattice), of both signs: a message sums
    over tens of pixels, where much of that cancels."""
    image, probabilities, _ = scene(20, 16, 4, seed)
    wanted = _exact(image, probabilities, SOFT)
    found = crf.refine(image, probabilities, SOFT)
    moved = np.abs(wanted - crf.refine(image, probabilities, _with(iterations=0)))
    error = np.abs(found - wanted)
    assert error.max() < 0.03
    assert error.mean() < 0.03 * moved.mean()
    assert (found.argmax(-1) == wanted.argmax(-1)).mean() > 0.99


def _with(**changes):
    return SOFT._replace(**changes)


@pytest.mark.parametrize("name", crf.PRESETS)
def test_presets_mend_noisy_scores(name):
    image, probabilities, truth = scene(60, 50, 3)
    found = crf.refine(image, probabilities, crf.preset(name))
    chex.assert_shape(found, (60, 50, 3))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found.sum(axis=-1), 1, atol=1e-5)
    before = (probabilities.argmax(-1) == truth).mean()
    after = (found.argmax(-1) == truth).mean()
    assert before < 0.85 and after > before + 0.1


def test_presets_are_the_published_ones():
    table = {
        name: (*s.gaussian[:2], s.bilateral.sxy, s.bilateral.srgb, s.bilateral.compat)
        + (s.iterations, s.unary)
        for name, s in crf.PRESETS.items()
    }
    assert table == {
        "k1": (3, 3, 80, 13, 10, 10, "probabilities"),
        "k2": (3, 3, 80, 13, 10, 10, "labels"),
        "k3": (3, 3, 50, 5, 10, 10, "labels"),
        "k4": (3, 3, 32, 13, 10, 1, "probabilities"),
        "k5": (1, 3, 67, 3, 4, 10, "probabilities"),
    }
    assert crf.preset("k3") is crf.PRESETS["k3"]
    with pytest.raises(UserError, match="'k9': choose one of k1, k2"):
        crf.preset("k9")


def test_unary_of_labels():
    labels = np.array([[0, 2]])
    energies = crf.unary_from_labels(labels, 21)
    chex.assert_shape(energies, (1, 2, 21))
    np.testing.assert_allclose(energies[0, 1, 2], -np.log(0.7), rtol=1e-6)
    np.testing.assert_allclose(energies[0, 1, :2], -np.log(0.3 / 20), rtol=1e-6)
    probabilities = np.zeros((1, 2, 21), np.float32)
    probabilities[0, [0, 1], [0, 2]] = 0.1
    settings = crf.preset("k2")
    chex.assert_trees_all_equal(crf.unary(probabilities, settings), energies)


def test_unary_of_probabilities_is_clipped_and_leaves_its_input():
    scores = np.array([-0.5, 0.0, 0.25, 1.5])
    energies = crf.unary_from_probabilities(scores)
    wanted = -np.log([1e-5, 1e-5, 0.25, 1.0])
    np.testing.assert_allclose(energies, wanted, rtol=1e-6, atol=1e-7)
    assert scores[0] == -0.5 and energies.dtype == np.float32


@pytest.mark.parametrize(
    "alpha, crossing",
    [(4, 0.2755), (6, 0.2219), (8, 0.1883), (16, 0.1228), (24, 0.0939), (32, 0.0770)],
)
def test_background_wins_below_the_published_scores(alpha, crossing):
    foreground = crossing + np.array([-2e-4, 2e-4])
    scores = np.stack([np.ones(2), foreground, foreground / 2], axis=-1)[None]
    labels = crf.with_background(scores, alpha).argmax(axis=-1)
    np.testing.assert_array_equal(labels, [[0, 1]])


def test_background_of_scores_out_of_range_and_of_no_foreground():
    scores = np.array([[[0.3, -1.0, 7.0], [0.3, -1.0, -2.0]]])
    found = crf.with_background(scores, 4)
    np.testing.assert_array_equal(found, [[[0, 0, 1], [1, 0, 0]]])
    np.testing.assert_array_equal(crf.with_background(scores[..., :1], 4), [[[1], [1]]])


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1)])
def test_sides_of_one_pixel(size):
    image, probabilities, _ = scene(*size, 3)
    found = crf.refine(image, probabilities, crf.preset("k1"))
    chex.assert_shape(found, (*size, 3))
    np.testing.assert_allclose(found.sum(axis=-1), 1, atol=1e-5)


def test_single_pixel_sees_itself_alone():
    """Both normalised kernels are 1: q <- softmax(-u + (compat + compat) q)."""
    image, probabilities, _ = scene(1, 1, 3)
    energies = crf.unary(probabilities, SOFT)[0, 0].astype(np.float64)
    q = np.exp(-energies) / np.exp(-energies).sum()
    for _ in range(SOFT.iterations):
        q = np.exp(-energies + 1.4 * q)
        q /= q.sum()
    found = crf.refine(image, probabilities, SOFT)[0, 0]
    np.testing.assert_allclose(found, q, rtol=1e-5)


@pytest.mark.parametrize("name", ["k1", "k2"])
def test_one_class(name):
    image, probabilities, _ = scene(6, 5, 1)
    found = crf.refine(image, probabilities, crf.preset(name))
    np.testing.assert_array_equal(found, np.ones((6, 5, 1)))


def test_uniform_scores_stay_uniform():
    image, _, _ = scene(20, 16, 4)
    found = crf.refine(image, np.full((20, 16, 4), 0.25), crf.preset("k1"))
    np.testing.assert_allclose(found, 0.25, atol=1e-5)


def test_filter_of_positions_is_kept_and_serves_every_photo():
    image, probabilities, _ = scene(11, 13, 3)
    kernel = SOFT.gaussian
    first = kernel_filter(kernel, image)
    values = probabilities.reshape(-1, 3)
    wanted = first(values)
    assert kernel_filter(kernel, image[::-1]) is first
    assert kernel_filter(SOFT.bilateral, image) is not first
    assert kernel_filter(kernel, image[:, ::-1].transpose(1, 0, 2)) is not first
    chex.assert_trees_all_equal(kernel_filter(kernel, image)(values), wanted)


@pytest.mark.parametrize(
    "settings, message",
    [
        (_with(gaussian=Kernel(0, 1)), "crf.gaussian"),
        (_with(bilateral=Kernel(3, 1, -5)), "crf.bilateral"),
        (_with(bilateral=Kernel(3, -1, 5)), "crf.bilateral"),
        (_with(iterations=-1), "iterations=-1"),
        (_with(unary="logits"), "choose one of probabilities, labels"),
        (_with(clip=0.0), "clip 0.0"),
        (_with(confidence=1.0), "confidence 1.0"),
        (_with(gaussian=Kernel(1e-9, 1)), "too small"),
    ],
)
def test_settings_out_of_range(settings, message):
    image, probabilities, _ = scene(6, 5, 2)
    with pytest.raises(UserError, match=message):
        crf.refine(image, probabilities, settings)


def test_inputs_that_do_not_fit():
    image, probabilities, _ = scene(6, 5, 2)
    for wrong, message in (
        ((image, probabilities[:5]), r"\[5, 5, 2\] for an image of \[6, 5\]"),
        ((image / 255, probabilities), "float64"),
        ((image[..., 0], probabilities), "uint8"),
        ((image, probabilities[..., :0]), "empty"),
        ((image, probabilities * np.nan), "not finite"),
    ):
        with pytest.raises(UserError, match=message):
            crf.refine(*wrong, SOFT)
