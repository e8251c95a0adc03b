"""Work in processes keeps its order, its bounds and its errors."""

import itertools
import math
import operator
import os

import chex
import pytest

from ppcjax.refine import crf
from ppcjax.refine.pool import ordered_map
from ppcjax.types import UserError
from tests.refine.scenes import scene


def test_photos_come_back_in_order():
    jobs = [scene(side, 20, 3, seed=side)[:2] for side in (40, 3, 25, 1)]
    settings = crf.preset("k4")
    wanted = [crf.refine(*job, settings) for job in jobs]
    chex.assert_trees_all_equal(list(crf.refine_many(jobs, settings)), wanted)
    found = list(crf.refine_many(iter(jobs), settings, workers=2))
    chex.assert_trees_all_equal(found, wanted)


def test_few_jobs_are_in_flight():
    read = []
    jobs = (read.append(i) or i for i in itertools.count())
    results = ordered_map(operator.neg, jobs, 1)
    assert not read
    assert [next(results) for _ in range(4)] == [0, -1, -2, -3]
    assert len(read) <= 4 + 2
    results.close()


@pytest.mark.parametrize("workers", [0, 1])
def test_failure_is_raised_in_its_turn(workers):
    results = ordered_map(math.sqrt, [4.0, -1.0, 9.0], workers)
    assert next(results) == 2.0
    with pytest.raises(ValueError):
        next(results)


def test_death_of_a_process_is_reported():
    with pytest.raises(UserError, match="a worker process died"):
        list(ordered_map(os._exit, [3], 1))


def test_settings_are_checked_at_once():
    with pytest.raises(UserError, match="workers=-1"):
        crf.refine_many([], crf.preset("k1"), workers=-1)
    with pytest.raises(UserError, match="iterations"):
        crf.refine_many([], crf.preset("k1")._replace(iterations=-3))
