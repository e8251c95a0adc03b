import functools

import jax
import numpy as np
import pytest

from ppcjax.ops import views

KEY = jax.random.key(0)
recolour = jax.jit(
    functools.partial(views.recolour, blur_share=0.5, solarize_share=0.2)
)


def _images(count, size=16):
    rng = np.random.default_rng(0)
    return rng.random((count, size, size, 3), np.float32)


def test_values_of_the_specification():
    levels = np.float32([0, 64, 127, 128, 129, 255]) / 255
    found = views.solarize(levels) * 255
    np.testing.assert_allclose(found, [0, 64, 127, 127, 126, 0], atol=1e-4)
    grey = views.greyscale(np.float32([[[[10, 200, 30]]]]) / 255) * 255
    np.testing.assert_allclose(grey, np.full((1, 1, 1, 3), 124), atol=0.5)


def test_blur_of_a_point_a_border_and_a_plane():
    image = np.zeros((3, 31, 31, 3), np.float32)
    image[0, 15, 15] = 1.0
    image[1, :, 0] = 1.0
    image[2] = 0.25
    sigma = np.float32([1.0, 2.0, 0.1])
    found = np.asarray(jax.jit(views.gaussian_blur)(image, sigma))
    row = 255 * found[0, 15, 12:19, 0]
    np.testing.assert_allclose(row, [0, 5, 25, 41, 25, 5, 0], atol=1.0)
    np.testing.assert_allclose(found[0].sum((0, 1)), 1, rtol=1e-5)
    taps = np.exp(-(np.arange(-11, 12) ** 2) / 8)
    at_border = taps[:12].sum() / taps.sum()  # the border goes on as it ends
    np.testing.assert_allclose(found[1, :, 0], at_border, rtol=1e-5)
    np.testing.assert_allclose(found[2], 0.25, rtol=1e-5)


def test_images_differ_by_key_and_row():
    images = _images(6)
    found = recolour(images, KEY)
    assert found.min() >= 0 and found.max() <= 1
    assert np.abs(recolour(images, jax.random.key(1)) - found).max() > 0.1
    twins = recolour(np.repeat(images[:1], 6, axis=0), KEY)
    assert all(np.abs(twins[0] - twin).max() > 0.01 for twin in twins[1:])


@pytest.mark.parametrize("name", ["greyscale", "blur", "solarize"])
def test_shares_of_images(name):
    images = np.repeat(_images(1, 12), 200, axis=0)
    nothing = dict.fromkeys(
        ("jitter_share", "greyscale_share", "blur_share", "solarize_share"), 0.0
    )

    def changed(share):
        settings = nothing | {f"{name}_share": share}
        found = jax.jit(functools.partial(views.recolour, **settings))(images, KEY)
        return np.mean(np.abs(found - images).max((1, 2, 3)) > 1e-4)

    assert changed(0.0) == 0 and 0.2 < changed(0.3) < 0.4
