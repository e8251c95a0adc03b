"""Bands along contours and contours that match, against loops over pixels."""

import math

import numpy as np
import pytest
from scipy import ndimage

from ppcjax.evaluate.scoring import boundary
from ppcjax.evaluate.scoring.boundary import UNKNOWN


def labels(seed, shape=(17, 23), classes=3, void=False):
    """Blobs of a few classes; with void in places."""
    rng = np.random.default_rng(seed)
    smooth = ndimage.gaussian_filter(rng.normal(size=(classes, *shape)), (0, 2, 2))
    found = smooth.argmax(0).astype(np.int16)
    if void:
        found[ndimage.gaussian_filter(rng.normal(size=shape), 1.5) > 0.12] = UNKNOWN
    return found


def band_by_loops(found, width):
    height, columns = found.shape
    near = np.zeros(found.shape, bool)
    for y, x in np.ndindex(found.shape):
        if found[y, x] == UNKNOWN:
            continue
        for v in range(y - width, y + width + 1):
            for u in range(x - width, x + width + 1):
                inside = 0 <= v < height and 0 <= u < columns
                other = not inside or found[v, u] not in (UNKNOWN, found[y, x])
                near[y, x] |= other
    return near


def released_band(mask, width):
    """mask_to_boundary of the released Boundary IoU, on SciPy."""
    padded = np.pad(mask, 1)
    eroded = ndimage.binary_erosion(padded, np.ones((3, 3)), width, border_value=1)
    return mask & ~eroded[1:-1, 1:-1]


@pytest.mark.parametrize("width", [1, 2, 4])
@pytest.mark.parametrize("void", [False, True])
def test_band_is_that_of_loops(width, void):
    for seed in range(2):
        found = labels(seed, (11, 14), void=void)
        np.testing.assert_array_equal(
            boundary.band(found, width), band_by_loops(found, width)
        )


@pytest.mark.parametrize("width", [1, 3])
def test_band_of_each_class_is_that_of_the_released_program(width):
    found = labels(4, classes=4)
    near = boundary.band(found, width)
    for c in range(4):
        np.testing.assert_array_equal(
            near & (found == c), released_band(found == c, width)
        )


def contour_by_loops(found, known):
    height, columns = found.shape
    edge = np.zeros(found.shape, bool)
    for y, x in np.ndindex(found.shape):
        for v in range(max(y - 1, 0), min(y + 2, height)):
            for u in range(max(x - 1, 0), min(x + 2, columns)):
                differs = found[v, u] != found[y, x]
                if known and UNKNOWN in (found[v, u], found[y, x]):
                    differs = False
                edge[y, x] |= differs
    return edge


@pytest.mark.parametrize("known", [False, True])
def test_contour_is_that_of_loops(known):
    for shape in ((17, 23), (1, 9), (9, 1), (1, 1), (2, 2)):
        found = labels(1, shape, void=True)
        np.testing.assert_array_equal(
            boundary.contour(found, known=known), contour_by_loops(found, known)
        )


def match_by_loops(truth, pred, classes, within):
    edges = contour_by_loops(truth, False), contour_by_loops(pred, False)
    plain = contour_by_loops(truth, True)
    counts = np.zeros((4, classes), np.int64)

    def near(place, edge, found, c):
        return any(
            math.dist(place, other) <= within and found[other] == c
            for other in zip(*np.nonzero(edge), strict=True)
        )

    for place in zip(*np.nonzero(edges[0] & (truth != UNKNOWN)), strict=True):
        c = truth[place]
        matched = near(place, edges[1], pred, c)
        open_to_void = not plain[place] and not edges[1][place] and pred[place] == c
        counts[0, c] += matched
        counts[1, c] += matched or not open_to_void
    for place in zip(*np.nonzero(edges[1] & (pred < classes)), strict=True):
        c = pred[place]
        matched = near(place, edges[0], truth, c)
        counts[2, c] += matched
        counts[3, c] += matched or truth[place] != UNKNOWN
    return counts


@pytest.mark.parametrize("within", [1.0, 1.5, math.sqrt(5), 3.0])
@pytest.mark.parametrize("void", [False, True])
def test_matches_are_those_of_loops(within, void):
    truth, pred = labels(0, (11, 13), void=void), labels(1, (11, 13))
    pred[3:6, 4:6] = 3  # none of the classes
    found = boundary.match(truth, pred, num_classes=3, within=within)
    np.testing.assert_array_equal(found, match_by_loops(truth, pred, 3, within))


def test_distances_are_shares_of_the_diagonal():
    assert boundary.band_width((300, 400)) == 10
    assert boundary.tolerance((300, 400)) == pytest.approx(3.75)
    assert boundary.band_width((5, 5)) == boundary.tolerance((5, 5)) == 1
