"""Cells of photos: their labels, which are remembered, and the grid they lie on."""

import jax.numpy as jnp
import numpy as np
import pytest

from ppcjax.evaluate.neighbours.cells import Grid, chosen, describer, grid_of, labels_of
from ppcjax.evaluate.neighbours.memory import groups
from ppcjax.runs import Run
from ppcjax.types import IGNORE, Method, UserError

GRID = Grid("cells", 8, 2)


def run_of(*strides, name="cells"):
    """A run whose maps are the mean colours of squares of pixels."""

    def predict(params, model_state, batch):
        image = batch["image"].astype(jnp.float32)
        found = {}
        for stride in strides:
            rows, columns = (n // stride for n in image.shape[1:3])
            split = image.reshape(-1, rows, stride, columns, stride, 3)
            key = name if stride == strides[0] else f"of{stride}"
            found[key] = split.mean((2, 4))
        return found

    config = {"name": "x", "method": {"name": "features"}, "data": {}}
    method = Method(None, None, predict, gives="features")
    return Run("runs/x", 0, config, ("background", "a"), method, {}, {})


def test_labels_are_shares_of_the_pixels_that_have_a_class():
    mask = np.zeros((8, 8), np.int32)
    mask[:4, :4], mask[0, :2] = 2, IGNORE  # 14 of 2, 2 void
    mask[4:6, :4] = 1  # half of a cell
    mask[4:, 4:] = IGNORE  # all of one
    expected = [[0, 0, 1], [1, 0, 0], [0.5, 0.5, 0], [0, 0, 0]]
    np.testing.assert_allclose(labels_of(mask, GRID, 3), expected)


@pytest.mark.parametrize("size", [(4, 4), (24, 16), (9, 31), (1, 1)])
def test_a_mask_of_any_size_fills_the_square(size):
    mask = np.full(size, 1, np.int32)
    np.testing.assert_array_equal(labels_of(mask, GRID, 2), [[0, 1]] * 4)


def test_a_class_that_is_none_is_one_line():
    with pytest.raises(UserError, match="class 7, but there are only the 3") as caught:
        labels_of(np.full((3, 3), 7), GRID, 3)
    assert "\n" not in str(caught.value)


def test_rare_classes_are_remembered_rather_than_common_ones():
    """90 cells of one class, 10 of another: scores 90 and 10."""
    labels = np.repeat(np.eye(2, dtype=np.float32), (90, 10), axis=0)
    counts = np.zeros(2)
    for seed in range(300):
        kept = chosen(labels, 10, np.random.default_rng(seed))
        assert len(kept) == 10 and (np.diff(kept) > 0).all()
        counts += labels[kept].sum(0)
    # A cell is taken where its number is below t / score, so 9 times as often.
    rates = counts / (300 * np.array([90, 10]))
    assert 5 < rates[1] / rates[0] < 11


def test_cells_without_a_class_are_never_remembered():
    labels = np.float32([[0, 0], [1, 0], [0, 0], [0.5, 0.5]])
    for count, expected in ((9, [1, 3]), (2, [1, 3]), (0, [])):
        found = chosen(labels, count, np.random.default_rng(0))
        np.testing.assert_array_equal(found, expected)
    nothing = np.zeros((4, 2), np.float32)
    assert not len(chosen(nothing, 3, np.random.default_rng(0)))


@pytest.mark.parametrize(
    ("stride", "side"), [(14, 504), (16, 512), (8, 512), (32, 512)]
)
def test_the_usual_side_is_the_published_one(stride, side):
    assert grid_of(run_of(stride)) == Grid("cells", side, side // stride)


def test_the_backbone_is_compared_unless_another_map_is_named():
    run = run_of(8, 16, name="feature")
    assert grid_of(run).map == "feature"
    assert grid_of(run, "of16", 64) == Grid("of16", 64, 4)


@pytest.mark.parametrize(
    ("name", "side", "message"),
    [
        ("none", 0, "--map=none: .* has no such map; it has cells"),
        ("", 100, "--side=100: .* squares of 8 pixels; give a multiple, such as 96"),
        ("", 3, "--side=3: .* such as 8"),
    ],
)
def test_what_no_grid_has_is_one_line(name, side, message):
    with pytest.raises(UserError, match=message) as caught:
        grid_of(run_of(8), name, side)
    assert "\n" not in str(caught.value)


def test_photos_are_squares_for_the_network():
    class Photo:
        image = np.full((20, 50, 3), (10, 20, 30), np.uint8)

    describe = describer(run_of(4), GRID, 3)
    found = np.asarray(describe([Photo, Photo]))
    assert found.shape[0] >= 3 and found.shape[1:] == (2, 2, 3)
    np.testing.assert_allclose(found[:2], np.full((2, 2, 2, 3), (10, 20, 30)))


def test_groups_are_full_but_for_the_last():
    assert list(groups(range(5), 2)) == [[0, 1], [2, 3], [4]]
    assert list(groups([], 2)) == []
