"""Correspondences of two views: geometry and scores."""

import numpy as np
import pytest

from ppcjax.evaluate.protocol import added
from ppcjax.evaluate.views.metric import alignment, true_places, unit
from tests.evaluate.views.boxes import WHOLE, describe_places, example, random_boxes


def score(pairs, name="embedding"):
    metric, counts = alignment(name), {}
    for maps, box in pairs:
        counts = added(counts, metric.count({name: maps}, example(box)))
    return metric.summarize(counts)


def test_places_of_known_boxes():
    same = true_places(WHOLE, (3, 4), WHOLE, (3, 4))
    rows, columns = np.divmod(np.arange(12), 4)
    np.testing.assert_allclose(same, np.stack([rows, columns], 1), atol=1e-6)
    mirrored = true_places(WHOLE, (3, 4), WHOLE[[2, 1, 0, 3]], (3, 4))
    np.testing.assert_allclose(mirrored, np.stack([rows, 3 - columns], 1), atol=1e-6)
    # The right half, whose first column begins where the photo's third does.
    half = true_places(WHOLE, (3, 4), np.float32([0.5, 0, 1, 1]), (3, 4))
    np.testing.assert_allclose(half[:4, 1], [-3.5, -1.5, 0.5, 2.5], atol=1e-6)
    assert np.isinf(true_places(WHOLE, (2, 2), WHOLE[[0, 1, 0, 3]], (2, 2))[:, 1]).all()


def test_descriptions_of_places_are_matched():
    found = score(
        (np.stack([describe_places(b, (7, 7)) for b in box]), box)
        for box in random_boxes(30)
    )
    assert found["pairs"] == 30 and found["accuracy"] > 0.99
    assert 0.06 < found["chance"] < 0.1  # about 4 cells of 49
    assert found["true_cosine"] > 0.7 > found["other_cosine"] + 0.4
    assert found["cosine_within"] > found["cosine_between"]


def test_noise_is_matched_by_chance_and_looks_healthy():
    rng = np.random.default_rng(0)
    maps = rng.standard_normal((60, 2, 7, 7, 64))
    found = score(zip(maps, random_boxes(60), strict=True))
    assert abs(found["accuracy"] - found["chance"]) < 0.02
    assert abs(found["channel_std"] / found["healthy_std"] - 1) < 0.02
    assert abs(found["cosine_between"]) < 0.01 and abs(found["cosine_within"]) < 0.01


def test_collapse_is_seen():
    maps = np.ones((5, 2, 4, 4, 8))
    found = score(zip(maps, random_boxes(5), strict=True))
    assert found["channel_std"] < 1e-6
    for name in ("cosine_between", "cosine_within", "true_cosine", "other_cosine"):
        assert found[name] == pytest.approx(1, abs=1e-6)


def test_views_that_share_nothing_leave_scores_undefined():
    box = np.float32([[0, 0, 0.2, 0.2], [0.5, 0.5, 1, 1]])
    found = score([(np.random.default_rng(0).standard_normal((2, 3, 3, 4)), box)])
    assert found["cells"] == 0 and np.isnan(found["accuracy"])
    assert np.isnan(found["cosine_between"])  # one photo
    zero = score([(np.zeros((2, 3, 3, 4)), np.stack([WHOLE, WHOLE]))])
    assert zero["cells"] == 18 and zero["true_cosine"] == 0


def test_counts_of_parts_add_up():
    rng = np.random.default_rng(1)
    pairs = list(
        zip(rng.standard_normal((6, 2, 3, 3, 5)), random_boxes(6), strict=True)
    )
    metric = alignment()
    whole = [metric.count({"embedding": m}, example(b)) for m, b in pairs]
    one, two, three = {}, {}, {}
    for counts in whole:
        one = added(one, counts)
    for counts in whole[:2]:
        two = added(two, counts)
    for counts in whole[2:]:
        three = added(three, counts)
    apart = metric.summarize(added(two, three))
    assert metric.summarize(one) == pytest.approx(apart)


def test_means_of_cosines_are_those_of_all_pairs():
    rng = np.random.default_rng(2)
    maps = rng.standard_normal((3, 2, 2, 2, 5)) + 0.5
    found = score(zip(maps, random_boxes(3), strict=True))
    vectors = unit(maps).reshape(3, 8, 5)
    cosines = np.einsum("aid,bjd->abij", vectors, vectors)
    other, own = ~np.eye(3, dtype=bool), ~np.eye(8, dtype=bool)
    assert found["cosine_between"] == pytest.approx(cosines[other].mean(), abs=1e-5)
    within = np.mean([cosines[n, n][own].mean() for n in range(3)])
    assert found["cosine_within"] == pytest.approx(within, abs=1e-5)
