import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from ppcjax.ops import seeds

PLACE = jax.jit(
    lambda mask: seeds.place_seeds(mask, cells=6, largest=4),
)


def _reference(mask, cells, largest):
    """Seeds by SciPy's distance transform of the bounding box."""
    number = min(round(mask.sum() / cells), largest)
    found = np.zeros((largest, 2), int)
    if number < 2:
        return found
    rows, columns = np.where(mask.any(1))[0], np.where(mask.any(0))[0]
    box = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].copy()
    for i in range(number):
        distance = ndimage.distance_transform_edt(box)
        cell = np.unravel_index(np.argmax(distance), box.shape)
        box[cell] = 0
        found[i] = cell[0] + rows[0], cell[1] + columns[0]
    return found


def test_seeds_are_those_of_scipy():
    rng = np.random.default_rng(0)
    noise = ndimage.gaussian_filter(rng.standard_normal((40, 13, 17)), (0, 2, 2))
    masks = noise > rng.uniform(-0.1, 0.3, (40, 1, 1))
    masks[0], masks[1], masks[2] = 0, 1, 0
    masks[2, 3:9, 4:6] = 1  # fills its bounding box
    found = PLACE(masks)
    wanted = [_reference(mask, 6, 4) for mask in masks]
    np.testing.assert_array_equal(found.cells, wanted)
    assert set(np.unique(found.count)) <= {0, 2, 3, 4}


@pytest.mark.parametrize(
    ("area", "count"),
    [(0, 0), (50, 0), (51, 1), (149, 1), (150, 2), (250, 2), (251, 3), (349, 3)]
    + [(350, 4), (450, 4), (451, 5), (3600, 5)],
)
def test_number_of_superpixels(area, count):
    assert seeds.superpixel_count(jnp.int32(area), cells=100, largest=5) == count


def test_squared_distance_without_a_target_is_large():
    assert np.min(seeds.squared_distance(jnp.zeros((3, 4), bool))) >= 49


def test_released_count_loses_a_seed_at_two_borders():
    cells = jnp.array([[[0, 5], [3, 0], [0, 0]], [[1, 5], [3, 2], [0, 0]]])
    np.testing.assert_array_equal(seeds.released_count(cells), [1, 2])


def test_leading_axes():
    masks = np.zeros((2, 3, 8, 8), bool)
    masks[1, 2, 1:7, 1:7] = True
    found = seeds.place_seeds(masks, cells=6, largest=4)
    chex.assert_shape(found.cells, (2, 3, 4, 2))
    assert found.count[1, 2] == 4 and np.sum(found.count) == 4
