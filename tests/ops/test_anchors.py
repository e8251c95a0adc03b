"""Which cells become anchors: quotas, recorded draws, distribution, odd batches."""

import functools

import jax
import numpy as np
import pytest

from ppcjax.ops import anchors
from ppcjax.types import IGNORE

C = 3
LABELS = np.int32([[1, 1, 1, 1, 1, 2, 2, 2, IGNORE, 2]])
PREDICTED = np.int32([[1, 0, 1, 2, 1, 2, 2, 2, 1, 2]])
DRAWS = np.float32([[0.5, 0.1, 0.9, 0.3, 0.2, 0.8, 0.4, 0.6, 0.0, 0.7]])


@functools.partial(jax.jit, static_argnums=(3, 4, 5))
def _select(labels, wrong, draws, max_anchors, max_views, rule="hard_easy"):
    return anchors.select(
        labels,
        wrong,
        draws,
        max_anchors=max_anchors,
        max_views=max_views,
        rule=rule,
    )


def _by_class(found):
    used = np.asarray(found.label) != IGNORE
    cells, labels = np.asarray(found.cell)[used], np.asarray(found.label)[used]
    return {int(c): cells[labels == c].tolist() for c in np.unique(labels)}


@pytest.mark.parametrize(
    ("views", "expected"),
    [
        (4, {1: [1, 3, 4, 0]}),  # class 2 has four cells, not more than four
        (3, {1: [1, 4, 0], 2: [6, 7, 9]}),
        (2, {1: [1, 4], 2: [6, 7]}),
        (1, {1: [4], 2: [6]}),  # half of one is no hard one
    ],
)
def test_smallest_draws_first_and_hard_cells_before_easy_ones(views, expected):
    draws = anchors.Draws(np.stack([DRAWS, DRAWS]), np.zeros((1, C), np.float32))
    found = _select(LABELS, LABELS != PREDICTED, draws, 16, views)
    assert _by_class(found) == expected
    assert found.pairs == len(expected) and found.views == views
    assert found.dropped == 2 - len(expected)


def test_number_of_hard_ones_is_the_rule_of_the_release():
    """Half hard and half easy; where one kind is short, more of the other."""

    def rule(views, hard, easy):
        if hard >= views / 2 and easy >= views / 2:
            return views // 2
        return views - easy if hard >= views / 2 else hard

    views, hard, easy = np.meshgrid(np.arange(1, 40), np.arange(80), np.arange(80))
    enough = hard + easy >= views
    views, hard, easy = (x[enough] for x in (views, hard, easy))
    closed = np.minimum(np.maximum(views // 2, views - easy), hard)
    released = [
        rule(*x) for x in zip(views.tolist(), hard.tolist(), easy.tolist(), strict=True)
    ]
    np.testing.assert_array_equal(closed, released)
    assert np.all(views - closed <= easy)


@pytest.mark.parametrize("rule", anchors.RULES)
def test_distribution(rule):
    """Quotas hold exactly, and within each kind all cells are equally likely."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, C, (2, 40)).astype(np.int32)
    labels[:, ::7] = IGNORE
    wrong = rng.random(labels.shape) < 0.4
    runs, views = 400, 4

    @jax.jit
    @jax.vmap
    def many(key):
        draws = anchors.draw(key, *labels.shape, C)
        return _select(labels, wrong, draws, 64, views, rule)

    found = jax.device_get(many(jax.random.split(jax.random.key(1), runs)))
    used = found.label != IGNORE
    assert np.all(used.sum(1) == found.pairs * views) and np.all(found.pairs == 6)
    np.testing.assert_array_equal(found.label[used], labels.ravel()[found.cell[used]])
    assert all(len(set(row[:24])) == 24 for row in found.cell)
    taken = np.bincount(found.cell[used], minlength=labels.size).reshape(labels.shape)
    assert not taken[labels == IGNORE].any()
    for image in range(2):
        for label in range(C):
            member = labels[image] == label
            hard, easy = (
                taken[image][member & kind] for kind in (wrong[image], ~wrong[image])
            )
            groups = (hard, easy) if rule == "hard_easy" else (easy,)
            if rule == "hard_easy":
                quota = min(max(views // 2, views - easy.size), hard.size)
                assert hard.sum() == quota * runs
            if rule == "random":
                groups = (taken[image][member],)
            for group in groups:
                mean = group.mean()
                spread = mean * (1 - mean / runs)  # variance of one cell's count
                chi_square = ((group - mean) ** 2).sum() / max(spread, 1e-9)
                # Its mean is near the size, its deviation near sqrt(2 size).
                assert chi_square < group.size + 5 * np.sqrt(2 * group.size)
            if rule == "hard_random":  # hard ones twice: by right, and by chance
                assert hard.sum() >= 2 * runs and hard.mean() > easy.mean()


def test_more_pairs_than_rows():
    labels = np.tile(np.arange(C, dtype=np.int32), (4, 6))  # 12 pairs of six cells
    draws = anchors.draw(jax.random.key(0), *labels.shape, C)
    found = _select(labels, labels > 0, draws, 5, 2)
    assert (found.pairs, found.views) == (5, 1)
    cells = np.asarray(found.cell)
    assert len(set(cells)) == 5
    np.testing.assert_array_equal(found.label, labels.ravel()[cells])


@pytest.mark.parametrize("label", [IGNORE, 1])
def test_no_class_and_one(label):
    labels = np.full((2, 6), label, np.int32)
    draws = anchors.draw(jax.random.key(0), *labels.shape, C)
    found = _select(labels, labels < 0, draws, 8, 3)
    pairs = 0 if label == IGNORE else 2
    assert found.pairs == pairs
    np.testing.assert_array_equal(found.label != IGNORE, np.arange(8) < 3 * pairs)
