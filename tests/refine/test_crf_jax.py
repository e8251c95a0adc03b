"""The dense CRF in JAX gives the numbers of the one in NumPy."""

import numpy as np
import pytest

from ppcjax.refine import crf, crf_jax
from ppcjax.refine.kernels import Kernel
from ppcjax.types import UserError
from tests.refine.scenes import scene


def _assert_agree(scenes, settings):
    images, probabilities = (np.stack([s[i] for s in scenes]) for i in (0, 1))
    found = np.asarray(crf_jax.refine_batch(images, probabilities, settings))
    assert found.shape == probabilities.shape and found.dtype == np.float32
    wanted = [crf.refine(*s[:2], settings) for s in scenes]
    np.testing.assert_allclose(found, np.stack(wanted), atol=1e-4)


@pytest.mark.parametrize("name", ["k3", "k5"])
def test_batch_of_photos(name):
    scenes = [scene(24, 31, 3, seed) for seed in range(2)]
    # One of few vertices beside one of many: both are padded alike.
    scenes[1] = (scenes[1][0] // 32 * 32, *scenes[1][1:])
    _assert_agree(scenes, crf.preset(name))


@pytest.mark.parametrize("size, classes", [((1, 1), 3), ((1, 9), 3), ((6, 5), 1)])
def test_edges(size, classes):
    _assert_agree([scene(*size, classes)], crf.preset("k3"))


def test_settings_are_checked():
    image, probabilities, _ = scene(6, 5, 2)
    for settings, message in (
        (crf.preset("k1")._replace(iterations=-1), "iterations"),
        (crf.preset("k1")._replace(bilateral=Kernel(1e-9, 1, 5)), "too small"),
    ):
        with pytest.raises(UserError, match=message):
            crf_jax.refine_batch(image[None], probabilities[None], settings)
