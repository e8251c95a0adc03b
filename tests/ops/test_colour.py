"""Colour jitter and normalisation of batches."""

import colorsys

import jax
import numpy as np
import pytest

from ppcjax.ops import colour

KEY = jax.random.key(0)
STRENGTHS = (0.4, 0.4, 0.4, 0.2)
jitter = jax.jit(colour.jitter, static_argnames="strengths")


def _batch(rows=3):
    image = np.random.default_rng(0).random((rows, 6, 7, 3), dtype=np.float32)
    valid = np.array([[0, 0, 6, 7], [1, 2, 5, 6], [0, 0, 3, 4]], np.int32)
    return image, valid[:rows]


def test_valid_mask():
    mask = np.asarray(colour.valid_mask(np.array([[1, 2, 3, 5]], np.int32), 4, 6))
    expected = np.zeros((4, 6), bool)
    expected[1:3, 2:5] = True
    np.testing.assert_array_equal(mask[0, ..., 0], expected)


@pytest.mark.parametrize("turn", [0.0, 0.1, -0.3, 0.5])
def test_turn_hue_equals_colorsys(turn):
    image = np.random.default_rng(1).random((40, 3), dtype=np.float32)
    corners = np.array([[0, 0, 0], [1, 1, 1], [0.5, 0.5, 0.5], [1, 0, 0], [1, 0, 1]])
    image = np.concatenate([image, corners.astype(np.float32)])
    hsv = [colorsys.rgb_to_hsv(*pixel) for pixel in image.tolist()]
    expected = [colorsys.hsv_to_rgb((h + turn) % 1, s, v) for h, s, v in hsv]
    np.testing.assert_allclose(colour.turn_hue(image, turn), expected, atol=2e-6)


def test_zero_strengths_change_nothing():
    image, valid = _batch()
    out = jitter(image, valid, KEY, strengths=(0.0,) * 4)
    np.testing.assert_allclose(out, image, atol=2e-6)


def test_a_row_does_not_depend_on_the_batch_size():
    image, valid = _batch()
    out = jitter(image, valid, KEY, strengths=STRENGTHS)
    for rows in (1, 2):
        fewer = jitter(image[:rows], valid[:rows], KEY, strengths=STRENGTHS)
        np.testing.assert_allclose(fewer, out[:rows], atol=1e-6)


def test_keys_and_rows_differ_and_the_range_is_kept():
    image, valid = _batch()
    image[:] = image[:1]
    out = np.asarray(jitter(image, valid, KEY, strengths=STRENGTHS))
    other = np.asarray(jitter(image, valid, jax.random.key(1), strengths=STRENGTHS))
    assert out.min() >= 0 and out.max() <= 1
    assert np.abs(out - image).max() > 0.05 and np.abs(out - other).max() > 0.05
    assert np.abs(out[0] - out[2]).max() > 0.05


def test_padding_has_no_part_in_the_mean_grey():
    image, valid = _batch()
    loud = image.copy()
    loud[~np.asarray(colour.valid_mask(valid, 6, 7))[..., 0]] = 1.0
    settings = dict(strengths=(0.0, 0.8, 0.0, 0.0))
    out, other = (jitter(x, valid, KEY, **settings) for x in (image, loud))
    np.testing.assert_allclose(out[1, 1:5, 2:6], other[1, 1:5, 2:6], atol=1e-6)


def test_normalize_inside_and_exact_zeros_outside():
    image, valid = _batch()
    image = np.array(jitter(image, valid, KEY, strengths=STRENGTHS))
    mean, std = colour.IMAGENET_MEAN, colour.IMAGENET_STD
    out = colour.normalize(image, valid, mean=mean, std=std)
    inside = np.asarray(colour.valid_mask(valid, 6, 7))
    expected = np.where(inside, (image - mean) / std, 0)
    np.testing.assert_allclose(out, expected, atol=2e-6)
    assert not np.any(np.asarray(out)[~inside[..., 0]])


def test_shift_hsv_equals_colorsys_and_adds_whole_numbers():
    image, _ = _batch()
    image[0, 0] = [[0, 0, 0], [1, 1, 1], [0.5] * 3, [1, 0, 0], *image[0, 0, 4:]]
    shift = jax.jit(colour.shift_hsv, static_argnames="largest")
    out = np.asarray(shift(image, KEY, largest=10))
    seen = []
    for row, before, after in zip(range(3), image, out, strict=True):
        key = jax.random.fold_in(KEY, row)
        shifts = np.asarray(jax.random.randint(key, (3,), -10, 11), np.float64)
        seen.append(tuple(shifts))
        turn, saturation, value = shifts / (180, 255, 255)
        for pixel, found in zip(
            before.reshape(-1, 3), after.reshape(-1, 3), strict=True
        ):
            h, s, v = colorsys.rgb_to_hsv(*pixel.tolist())
            s, v = np.clip((s + saturation, v + value), 0, 1)
            expected = colorsys.hsv_to_rgb((h + turn) % 1, s, v)
            np.testing.assert_allclose(found, expected, atol=3e-6)
    assert len(set(seen)) == 3 and max(map(max, seen)) <= 10


def test_shift_hsv_by_nothing_changes_nothing():
    image, _ = _batch()
    np.testing.assert_allclose(
        colour.shift_hsv(image, KEY, largest=0), image, atol=2e-6
    )


def test_brightness_shifts_all_channels_by_a_whole_number():
    image = np.full((40, 2, 2, 3), 0.5, np.float32)
    image[:, 0, 0] = [0.0, 1.0, 0.3]
    shifted = jax.jit(colour.shift_brightness, static_argnames="largest")(
        image, jax.random.key(0), largest=10
    )
    levels = 255 * (np.asarray(shifted)[:, 1, 1] - 0.5)
    np.testing.assert_allclose(levels, np.round(levels), atol=1e-3)
    np.testing.assert_allclose(levels, levels[:, :1] * np.ones(3), atol=1e-3)
    assert levels.min() < -5 and levels.max() > 5 and np.abs(levels).max() <= 10.001
    assert np.min(shifted) == 0 and np.max(shifted) == 1
