"""Cleaning and normalising of activation maps."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ppcjax.ops import cam

BACKGROUNDS = [0, 2, 4]  # the first, an inner and the last channel of five


def _maps(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


class TestClean:
    @pytest.mark.parametrize("background", BACKGROUNDS)
    def test_is_a_distribution_over_background_and_one_class(self, background):
        out = np.asarray(cam.clean(_maps(2, 6, 5, 5), background=background))
        np.testing.assert_allclose(out.sum(axis=-1), 1, rtol=1e-6)
        assert out.min() >= 0 and out.max() <= 1
        assert (np.delete(out, background, -1) > 0).sum(axis=-1).max() == 1

    def test_hand_values(self):
        maps = np.array([[-1, 4, 2], [9, 1, 2], [5, -3, -1]], np.float32)
        out = cam.clean(maps.reshape(1, 3, 1, 3))[0, :, 0]
        # Maxima over the pixels are 4 and 2; epsilon weighs less on the larger.
        expected = [[0, 1, 0], [0, 0, 1], [1, 0, 0]]
        np.testing.assert_allclose(out, expected, atol=2e-5)

    def test_pixels_outside_take_no_part(self):
        maps = _maps(1, 6, 5, 4)
        inside = np.zeros((1, 6, 5, 1), bool)
        inside[:, :4, :3] = True
        loud = np.where(inside, maps, 100)
        out = np.asarray(cam.clean(loud, inside=inside))
        np.testing.assert_array_equal(out[:, :4, :3], cam.clean(maps[:, :4, :3]))
        assert not np.any(out * ~inside)

    def test_silent_maps_are_all_background(self):
        out = np.asarray(cam.clean(-np.ones((1, 3, 3, 4), np.float32)))
        np.testing.assert_array_equal(out[..., 0], 1)
        assert not np.any(out[..., 1:])

    def test_is_a_constant(self):
        grad = jax.grad(lambda x: cam.clean(x).sum())(_maps(1, 3, 3, 3))
        assert not np.any(grad)


class TestConfidence:
    def test_a_silent_channel_is_exactly_minus_one(self):
        maps = _maps(1, 4, 4, 4)
        maps[..., 2] = -np.abs(maps[..., 2])
        np.testing.assert_array_equal(cam.confidence(maps)[..., 2], -1)

    def test_formula(self):
        """Background is the threshold; others fall a little below 0, never over 1."""
        maps = np.array([[0.5, 0.2], [0.5, 1.0], [0.5, 0.6]], np.float32)
        out = cam.confidence(maps.reshape(1, 3, 1, 2), threshold=0.3)[0, :, 0]
        np.testing.assert_allclose(out[:, 0], 0.3)
        e = cam.EPSILON
        span = 0.8 + e
        # The smallest cell became 0 before 0.2 was taken away.
        expected = [-(0.2 + e) / span, (0.8 - e) / span, (0.4 - e) / span]
        np.testing.assert_allclose(out[:, 1], expected, rtol=1e-6)

    @pytest.mark.parametrize("background", BACKGROUNDS)
    def test_background_channel(self, background):
        out = cam.confidence(_maps(2, 4, 3, 5), background=background, threshold=0.2)
        np.testing.assert_array_equal(out[..., background], np.float32(0.2))
        assert np.max(out) <= 1

    def test_is_a_constant(self):
        grad = jax.grad(lambda x: cam.confidence(x).sum())(_maps(1, 3, 3, 3))
        assert not np.any(grad)


class TestMaxNorm:
    def test_range(self):
        out = np.asarray(cam.max_norm(_maps(3, 5, 4, 6)))
        assert out.min() == 0 and 0.999 < out.max() <= 1
        np.testing.assert_array_equal(out.min(axis=(1, 2)), 0)

    @pytest.mark.parametrize("value", [-1.0, 0.0, 7.0])
    def test_constant_maps_become_zero_with_finite_gradient(self, value):
        maps = np.full((1, 3, 3, 2), value, np.float32)
        out, grad = jax.value_and_grad(lambda x: cam.max_norm(x).sum())(maps)
        assert out == 0 and np.all(np.isfinite(grad))

    def test_gradient_flows_through_the_extrema(self):
        """Scaling a map changes nothing, so the gradient along the map is zero."""
        maps = np.abs(_maps(1, 4, 4, 1)) + 1

        def weighted(x):
            return jnp.sum(cam.max_norm(x) * jnp.arange(16.0).reshape(1, 4, 4, 1))

        grad = jax.grad(weighted)(maps)
        assert np.abs(grad).max() > 1
        np.testing.assert_allclose(np.sum(grad * maps), 0, atol=1e-2)


class TestChannels:
    @pytest.mark.parametrize("background", BACKGROUNDS)
    def test_foreground_max_leaves_the_background_out(self, background):
        maps = np.abs(_maps(2, 3, 3, 5))
        maps[..., background] = 100
        expected = np.delete(maps, background, axis=-1).max(axis=-1)
        np.testing.assert_array_equal(cam.foreground_max(maps, background), expected)

    @pytest.mark.parametrize("background", BACKGROUNDS)
    def test_keep_foreground_max(self, background):
        maps = np.abs(_maps(2, 3, 3, 5))
        out = np.asarray(cam.keep_foreground_max(maps, background))
        np.testing.assert_array_equal(out[..., background], maps[..., background])
        kept = np.delete(out, background, axis=-1)
        assert np.all((kept > 0).sum(axis=-1) == 1)
        np.testing.assert_array_equal(
            kept.max(axis=-1), cam.foreground_max(maps, background)
        )

    def test_replace_channel_by_a_map_and_by_a_number(self):
        maps = _maps(2, 3, 4)
        expected = maps.copy()
        expected[..., 1] = maps[..., 3]
        out = cam.replace_channel(maps, 1, maps[..., 3])
        np.testing.assert_array_equal(out, expected)
        assert np.all(np.asarray(cam.replace_channel(maps, 1, 2.0))[..., 1] == 2)


def test_pixel_correlation_of_two_groups_is_their_means():
    """Pixels of orthogonal features do not mix; equal ones share their maps."""
    maps = np.array([[1, 0], [0, 1], [0.5, 0.5], [0, 1]], np.float32)
    features = np.array([[2, 0], [3, 0], [0, 1], [0, 5]], np.float32)
    out = cam.pixel_correlation(maps.reshape(1, 2, 2, 2), features.reshape(1, 2, 2, 2))
    expected = [[0.5, 0.5], [0.5, 0.5], [0.25, 0.75], [0.25, 0.75]]
    np.testing.assert_allclose(out.reshape(4, 2), expected, atol=2e-5)


def test_pixel_correlation_of_zero_features_is_zero_with_finite_gradient():
    maps, features = np.ones((1, 2, 3, 2), np.float32), np.zeros((1, 2, 3, 4))

    def total(features):
        return cam.pixel_correlation(maps, features, block=4).sum()

    value, grad = jax.value_and_grad(total)(features.astype(np.float32))
    assert value == 0 and np.all(np.isfinite(grad))


@pytest.mark.parametrize("power", [1.0, 2.0, 3.5])
@pytest.mark.parametrize("block", [1024, 4])
def test_pixel_correlation_weighs_by_a_power_of_the_cosine(power, block):
    """Weights of each pixel sum to 1, so that maps stay within their range."""
    maps, features = np.abs(_maps(2, 3, 5, 4)), _maps(2, 3, 5, 6)
    z = features.reshape(2, 15, 6)
    z = z / np.linalg.norm(z, axis=-1, keepdims=True)
    weights = np.maximum(z @ z.swapaxes(1, 2), 0) ** power  # rows: the pixel that gets
    weights /= weights.sum(-1, keepdims=True)
    expected = weights @ maps.reshape(2, 15, 4)

    def total(features):
        out = cam.pixel_correlation(maps, features, power=power, block=block)
        return jnp.sum(out[..., 1] - out[..., 0]), out

    grad, out = jax.grad(total, has_aux=True)(features)
    np.testing.assert_allclose(out.reshape(2, 15, 4), expected, rtol=1e-4)
    assert np.isfinite(grad).all() and np.any(grad)
