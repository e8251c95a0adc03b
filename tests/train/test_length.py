"""Steps from passes over the photos, within a bound on the time."""

import copy
import json

import jax
import numpy as np
import pytest

from ppcjax.configs import (
    contrastive_folder,
    pixpro_folder,
    ppc_folder,
    segment_shapes,
)
from ppcjax.runs import checkpoint
from ppcjax.train import length, loop, pace
from ppcjax.train.jobs import Job
from ppcjax.train.length import LEAST_STEPS, Length, planned
from tests.train import toy


@pytest.mark.parametrize(
    ("passes", "photos", "each", "steps"),
    [
        (30, 320, 8, 1200),
        (30, 321, 8, 1204),
        (0.5, 10_000, 8, 625),
        (30, 1, 8, LEAST_STEPS),
        (30, 0, 8, LEAST_STEPS),
    ],
)
def test_steps_are_passes_and_at_least_some(passes, photos, each, steps):
    assert planned(passes, 60, photos, each).steps == steps


def test_a_pass_over_episodes_counts_examples_and_queries():
    data = {"batch_size": 4, "way": 2, "shot": 5, "query": 3}
    assert length.photos_per_step(data, "episodes") == 4 * 13
    assert length.photos_per_step(data, "views") == 4
    assert length.photos_per_step(data, "dense") == 4


def test_the_bound_lowers_steps_and_the_line_says_so():
    asked = planned(30.0, 60.0, 160, 8)
    assert asked.within(6.0) is asked and asked.within(0.0) is asked
    lowered = asked.within(14.9)
    assert lowered.steps == 240 and lowered.bounded
    assert lowered.text(6.25) == (
        "240 steps: 12 passes over 160 photos (30 asked for, within 60 minutes): "
        "about 25 minutes at this speed"
    )
    assert asked.text(0.01) == (
        "600 steps: 30 passes over 160 photos: less than a minute at this speed"
    )
    few = planned(30.0, 60.0, 5, 8)
    assert few.text(60.0) == (
        "200 steps: 320 passes over 5 photos (30 asked for, at least 200 steps): "
        "about 3.3 hours at this speed"
    )
    assert planned(30.0, 0.0, 160, 8).within(1e6).steps == 600
    # The bound is kept where even few steps take longer.
    assert few.within(60.0).steps == 60 and few.within(1e9).steps == 1


@pytest.mark.parametrize("seconds", np.geomspace(0.001, 1e4, 15).tolist())
def test_what_is_chosen_fits(seconds):
    chosen = planned(30.0, 60.0, 5000, 8).within(seconds)
    assert chosen.steps * seconds <= 3600 or chosen.steps == 1
    assert not chosen.bounded or chosen.steps * seconds >= 0.8 * 3600 or seconds > 300


@pytest.mark.parametrize("config", [ppc_folder, contrastive_folder, pixpro_folder])
@pytest.mark.parametrize("steps", [1, 7, LEAST_STEPS, 1234])
def test_what_refers_to_the_steps_follows(config, steps):
    c = config.get_config().lock()
    before = copy.deepcopy(c.to_dict())
    found = length.at(c, steps)
    assert c.to_dict() == before and found["steps"] == steps
    assert found["log_every"] <= max(steps // 10, 1)
    assert found["checkpoint_every"] <= max(steps // 4, 1)
    method = found["method"]
    for name in ("contrast_start", "warmup_steps"):
        assert method.get(name, 0) < steps
    assert method.get("momentum_steps", steps) == steps
    assert (found["optim"].get("schedule") or {}).get("warmup", 0) < steps


def test_a_warm_up_that_would_not_end_is_shortened():
    c = pixpro_folder.get_config()
    c.optim.schedule.warmup = 500
    assert length.at(c, LEAST_STEPS)["optim"]["schedule"]["warmup"] == LEAST_STEPS // 10
    assert length.at(c, 1000)["optim"]["schedule"]["warmup"] == 500
    c.steps = 300  # given: nothing is changed, and the check refuses it
    assert length.at(c, 300)["optim"]["schedule"]["warmup"] == 500


@pytest.mark.parametrize(
    ("ends", "seconds"),
    [
        ([], 0.0),
        ([5.0], 0.0),
        ([5.0, 7.0], 2.0),
        ([50.0, 51.0, 53.0], 1.5),
        # Batches that were there when the step had compiled say nothing of the feed.
        ([5.0, 5.1, 5.2, 5.3, 6.3, 7.3], 1.0),
    ],
)
def test_seconds_of_a_step(ends, seconds):
    np.testing.assert_allclose(pace.seconds_of(ends), seconds)


def test_few_steps_are_measured():
    assert not pace.is_enough([30.0])
    assert pace.is_enough([1.0, 22.0])  # one step is enough
    assert not pace.is_enough([1.0, 1.1, 1.2]) and pace.is_enough([1.0, 5.0, 9.5])
    assert pace.is_enough([i / 100 for i in range(pace.MOST + 1)])


def fit(workdir, job, **more):
    more = {"seed": 0, "classes": (), "keep_checkpoints": 2, "adapt": None} | more
    return loop.fit_job(job, toy.batches_from, workdir=workdir, **more)


def job(steps, **more):
    config = {"steps": steps}
    return Job(toy.method(), toy.optimizer(steps), steps, config, 5, 10, **more)


def assert_same(a, b):
    trees = [(x.params, x.model_state) for x in map(checkpoint.restore, (a, b))]
    jax.tree.map(np.testing.assert_array_equal, *trees)


def test_the_measure_leaves_no_trace(tmp_path, monkeypatch):
    monkeypatch.setattr(pace, "MOST", 6)
    plain, kept, lowered = (tmp_path / name for name in ("plain", "kept", "lowered"))
    whole = job(12, paced=lambda seconds: (whole, f"seen {seconds > 0}"))
    fit(kept, whole)
    fit(plain, job(12))
    assert_same(kept, plain)
    text = (kept / "log.txt").read_text()
    assert "seen True" in text and "steps left" not in text
    assert "steps left: less than a minute at" in (plain / "log.txt").read_text()
    # Lowered, it is a run of so many steps from the start.
    fit(lowered, job(30, paced=lambda seconds: (job(12), "fewer")))
    assert_same(lowered, plain)
    assert json.loads((lowered / "config.json").read_text()) == {"steps": 12}
    assert checkpoint.newest_meta(lowered)["config"] == {"steps": 12}


def small():
    c = segment_shapes.get_config()
    c.steps, c.passes, c.minutes = 0, 2.0, 60.0
    c.method.backbone_settings.width = 4
    c.method.head_settings.width = 4
    c.data.update(size=32, crop=32, batch_size=2, long_side=(32, 40))
    c.data.update(train_size=6)
    return c.lock()


@pytest.mark.slow
def test_a_run_keeps_its_steps_and_may_get_more(tmp_path, monkeypatch):
    monkeypatch.setattr(length, "LEAST_STEPS", 4)
    monkeypatch.setattr(pace, "MOST", 2)
    monkeypatch.setattr(Length, "within", lambda self, _: _lowered(self, 5))
    assert loop.train(small(), tmp_path) == 5
    text = (tmp_path / "log.txt").read_text()
    assert (
        "5 steps: 1.7 passes over 6 photos (2 asked for, within 60 minutes): " in text
    )
    monkeypatch.setattr(Length, "within", lambda *_: pytest.fail("measured again"))
    config = small()
    config.data.workers = 2
    assert loop.train(config, tmp_path) == 5
    assert "is finished: 5 of 5" in (tmp_path / "log.txt").read_text()
    config.steps = 6
    assert loop.train(config, tmp_path) == 6
    assert json.loads((tmp_path / "config.json").read_text())["steps"] == 6


def _lowered(found, steps):
    return Length(steps, found.photos, found.per_step, found.passes, 60.0, True)
