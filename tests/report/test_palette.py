"""Colours of classes: those of files are VOC's, those of pictures can be seen."""

import numpy as np
import pytest

from ppcjax.report.palette import LEAST_CONTRAST, class_colours, contrast, voc_palette
from ppcjax.types import IGNORE

# How eyes without red and without green cones see, on linear RGB: Machado, Oliveira and
# Fernandes, 2009, severity 1.
EYES = {
    "ordinary": np.eye(3),
    "no red": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "no green": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
}
TO_XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)


def lab(colours, eyes="ordinary"):
    """CIELAB, D65, of sRGB colours [N, 3] as some eyes see them."""
    share = np.asarray(colours, float) / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    seen = (linear @ EYES[eyes].T).clip(0, 1)
    xyz = seen @ TO_XYZ.T / TO_XYZ.sum(1)
    cube = np.where(
        xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29
    )
    x, y, z = cube.T
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1)


def least_distance(colours, eyes):
    points = lab(colours, eyes)
    apart = np.linalg.norm(points[:, None] - points, axis=-1)
    return apart[~np.eye(len(points), dtype=bool)].min()


def test_voc_colours():
    palette = voc_palette()
    assert palette.shape == (256, 3) and palette.dtype == np.uint8
    expected = {0: (0, 0, 0), 1: (128, 0, 0), 8: (64, 0, 0), 15: (192, 128, 128)}
    expected |= {20: (0, 64, 128), 255: (224, 224, 192)}
    for value, colour in expected.items():
        assert tuple(palette[value]) == colour


@pytest.mark.parametrize("eyes", EYES)
@pytest.mark.parametrize(
    ("count", "least"),
    [(2, 90), (4, 30), (8, 30), (12, 18), (20, 13.9), (40, 8), (80, 5)],
)
def test_classes_are_told_apart_by_all_eyes(eyes, count, least):
    colours = class_colours(background=True)
    shown = np.concatenate([colours[1 : count + 1], colours[IGNORE:]])
    assert least_distance(colours[1 : count + 1], eyes) > least
    assert least_distance(shown, eyes) > min(least, 13.9), "one is like void"
    if count > 2:
        assert least_distance(voc_palette()[1 : count + 1], "no red") < least / 2


@pytest.mark.parametrize("background", [True, False])
def test_no_two_colours_are_equal_and_none_is_dark(background):
    colours = class_colours(background=background)
    assert colours.shape == (256, 3) and colours.dtype == np.uint8
    assert len(np.unique(colours, axis=0)) == 256
    classes = colours[1:IGNORE] if background else colours[: IGNORE - 1]
    assert contrast(classes).min() >= LEAST_CONTRAST
    assert (contrast(voc_palette()[1:21]) < LEAST_CONTRAST).sum() > 10
    both = class_colours(background=True), class_colours(background=False)
    np.testing.assert_array_equal(both[0][1:IGNORE], both[1][: IGNORE - 1])


def test_contrast_is_that_of_web_pages():
    np.testing.assert_allclose(contrast([[0, 0, 0], [255, 255, 255]]), [1, 21])
    assert contrast([118, 118, 118]) == pytest.approx(21 / 4.54, abs=0.01)
