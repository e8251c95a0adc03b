"""Pairs of cells: which there are, how alike, how labelled."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ppcjax.ops import affinity
from ppcjax.types import IGNORE

KEY = jax.random.key(0)


def _pairs_by_hand(height, width, radius):
    """(offset, row of the anchors, column of them, partner's row and column)."""
    reach = radius - 1
    for o, (dy, dx) in enumerate(affinity.pair_offsets(radius).tolist()):
        for y in range(height - reach):
            for x in range(reach, width - reach):
                yield o, y, x - reach, (y, x), (y + dy, x + dx)


class TestPairs:
    def test_counts_of_the_release(self):
        offsets = affinity.pair_offsets(5)
        assert offsets.shape == (34, 2)
        assert len({tuple(o) for o in offsets.tolist()}) == 34
        assert np.all(np.sum(offsets**2, axis=1) < 25)
        assert affinity.anchor_counts(56, 56) == (52, 48)  # 2,496 anchors

    @pytest.mark.parametrize("radius", [2, 5])
    def test_no_pair_occurs_twice_or_leaves_the_grid(self, radius):
        pairs = [(a, b) for *_, a, b in _pairs_by_hand(11, 13, radius)]
        assert len({frozenset(pair) for pair in pairs}) == len(pairs)
        assert all(0 <= y < 11 and 0 <= x < 13 for _, (y, x) in pairs)


class TestPairAffinity:
    def test_values(self):
        x = np.asarray(jax.random.normal(KEY, (2, 7, 11, 3)))
        found = np.asarray(jax.jit(affinity.pair_affinity)(x))
        assert found.shape == (2, 34, 3, 3)
        for o, row, column, i, j in _pairs_by_hand(7, 11, 5):
            expected = np.exp(-np.abs(x[:, *i] - x[:, *j]).mean(axis=-1))
            np.testing.assert_allclose(found[:, o, row, column], expected, rtol=1e-5)

    @pytest.mark.parametrize("size", [(1, 1), (4, 20), (20, 8)])
    def test_too_small_a_grid_has_no_pairs(self, size):
        x = jnp.ones((1, *size, 3))
        value, grad = jax.value_and_grad(lambda x: affinity.pair_affinity(x).sum())(x)
        assert value == 0 and not np.any(grad)
        grid = affinity.pairs_on_grid(affinity.pair_affinity(x), size)
        assert grid.shape == (1, 34, *size) and not np.any(grid)

    def test_gradient_is_that_of_the_direct_formula(self):
        x = jax.random.normal(KEY, (1, 6, 10, 4))

        def direct(x):
            parts = [
                jnp.exp(
                    -jnp.abs(x[:, :2, 4:6] - x[:, y : y + 2, 4 + d : 6 + d]).mean(-1)
                )
                for y, d in affinity.pair_offsets().tolist()
            ]
            return jnp.stack(parts, axis=1)

        weight = jax.random.normal(KEY, (1, 34, 2, 2))
        grads = [
            jax.jit(jax.grad(lambda x, f=f: jnp.sum(weight * f(x))))(x)
            for f in (direct, affinity.pair_affinity)
        ]
        chex.assert_trees_all_close(*grads, rtol=1e-5, atol=1e-6)

    def test_memory_does_not_grow_with_offsets_times_channels(self):
        spec = jax.ShapeDtypeStruct((1, 32, 32, 64), jnp.float32)
        grad = jax.jit(jax.grad(lambda x: affinity.pair_affinity(x).sum()))
        used = grad.lower(spec).compile().memory_analysis().temp_size_in_bytes
        features = 32 * 32 * 64 * 4
        assert used < 8 * features  # all differences at once would be 34


class TestPairLabels:
    def test_masks(self):
        cells = np.random.default_rng(0).choice([0, 1, 2, IGNORE], (1, 8, 12))
        labels = affinity.pair_labels(cells.astype(np.int32))
        chex.assert_shape(labels, (1, 34, 4, 4))
        for o, row, column, i, j in _pairs_by_hand(8, 12, 5):
            a, b = cells[0, *i], cells[0, *j]
            known = IGNORE not in (a, b)
            expected = (a == b == 0, a == b > 0 and known, a != b and known)
            assert tuple(bool(m[0, o, row, column]) for m in labels) == expected

    def test_all_ignored_is_no_pair(self):
        labels = affinity.pair_labels(np.full((1, 8, 12), IGNORE, np.int32))
        assert not any(np.any(mask) for mask in labels)


class TestPairsOnGrid:
    def test_anchors_are_those_of_the_true_grid(self):
        x = jax.random.normal(KEY, (1, 9, 14, 3))
        true = x[:, :7, :11]
        exact = affinity.pairs_on_grid(affinity.pair_affinity(true), (7, 11))
        padded = affinity.pairs_on_grid(
            affinity.pair_affinity(x), (9, 14), jnp.array([[7, 11]])
        )
        expected = np.pad(exact, ((0, 0), (0, 0), (0, 2), (0, 3)))
        np.testing.assert_array_equal(padded, expected)
        assert np.count_nonzero(exact) == 34 * 3 * 3


def _released_cells(low, high, stride, classes):
    """The release: one-hot maps averaged over cells, then combined."""

    def label(m):
        height, width = m.shape
        onehot = (m[..., None] == np.arange(classes)).astype(float)
        cells = onehot.reshape(height // stride, stride, width // stride, stride, -1)
        return cells.mean(axis=(1, 3)).argmax(axis=-1)

    found_low, found_high = label(low), label(high)
    out = np.where(found_low == 0, IGNORE, found_low)
    return np.where(found_high == 0, 0, out)


class TestCellLabels:
    def test_agrees_with_the_release_where_a_cell_has_one_foreground_class(self):
        rng = np.random.default_rng(0)
        # Shares of foreground from none to all, in whole pixels, hence many halves.
        share = rng.integers(0, 17, (2, 40, 40)) / 16
        share.sort(axis=0)
        order = rng.random((40, 40, 16)).argsort(-1).reshape(40, 40, 4, 4)
        order = order.transpose(0, 2, 1, 3).reshape(160, 160)
        few, many = (np.kron(s, np.ones((4, 4))) * 16 for s in share)
        label = np.kron(rng.integers(1, 4, (40, 40)), np.ones((4, 4), int))
        low, high = (np.where(order < n, label, 0) for n in (few, many))
        mask = affinity.combine_alphas(low.astype(np.uint8), high.astype(np.uint8))
        found = affinity.cell_labels(mask[None].astype(np.int32), 4, 4)[0]
        np.testing.assert_array_equal(found, _released_cells(low, high, 4, 4))
        assert set(np.unique(found)) == {0, 1, 2, 3, IGNORE}

    def test_two_classes_without_a_majority_are_ignored(self):
        mask = np.array([[1, 1, 1, 0], [2, 0, 2, 0]], np.int32)
        found = affinity.cell_labels(mask[None], 2, 3)
        np.testing.assert_array_equal(found, [[[IGNORE, 0]]])

    def test_cells_beyond_the_mask(self):
        mask = np.ones((1, 5, 7), np.int32)
        found = affinity.cell_labels(mask, 4, 2)
        np.testing.assert_array_equal(found, [[[1, 1], [IGNORE, IGNORE]]])


def test_combined_alphas():
    low = np.array([0, 0, 3, 3, IGNORE, 0], np.uint8)
    high = np.array([0, 2, 3, 0, 3, IGNORE], np.uint8)
    found = affinity.combine_alphas(low, high)
    expected = np.array([0, IGNORE, 3, 0, IGNORE, IGNORE], np.uint8)
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == np.uint8


@pytest.mark.parametrize("radius", [2, 3, 5, 8])
def test_radius_is_found_from_the_number_of_offsets(radius):
    assert affinity.radius_of(len(affinity.pair_offsets(radius))) == radius
    with pytest.raises(ValueError, match="no radius has 5 offsets"):
        affinity.radius_of(5)
