"""Scores while training: best checkpoint, early stopping, resuming."""

import json
import math

import chex
import jax
import numpy as np
import pytest

from ppcjax.runs import checkpoint
from ppcjax.runs.run import counted_checkpoint
from ppcjax.train.watch import Watch, as_meta, best_step, from_meta, stops
from ppcjax.types import UserError
from tests.train import toy

STEPS = 20
# The score of each step; the best is that of step 8.
SCORES = {4: 0.2, 8: 0.5, 12: 0.4, 16: 0.5, 20: 0.1}


def watch(**settings):
    def score(params, model_state, step):
        assert all(np.isfinite(x).all() for x in jax.tree.leaves(params))
        return {"mean_iou": SCORES[step], "other": -SCORES[step]}

    return Watch(score, 4, **settings)


def rows(folder, prefix):
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    found = [json.loads(line) for line in lines]
    return {r["step"]: r for r in found if any(k.startswith(prefix) for k in r)}


def test_scores_are_logged_and_the_best_checkpoint_is_kept(tmp_path, capsys):
    config = {"keep_best": True}
    done = toy.fit(tmp_path, steps=STEPS, watch=watch(keep_best=True), config=config)
    assert done == STEPS
    found = rows(tmp_path, "val/")
    assert {step: row["val/mean_iou"] for step, row in found.items()} == SCORES
    assert checkpoint.saved_steps(tmp_path, checkpoint.BEST) == [8]
    assert counted_checkpoint(tmp_path) == tmp_path.resolve() / "best" / "8"
    newest = tmp_path / "checkpoints" / str(STEPS)
    assert counted_checkpoint(newest) == newest.resolve()
    assert checkpoint.restore(counted_checkpoint(tmp_path)).step == 8
    assert "best mean_iou 0.5 at step 8" in capsys.readouterr().err


def test_the_best_checkpoint_counts_only_where_the_config_says_so(tmp_path):
    toy.fit(tmp_path, steps=8, watch=watch(keep_best=True), config={"keep_best": False})
    assert counted_checkpoint(tmp_path) == tmp_path.resolve()


@pytest.mark.parametrize(("patience", "last"), [(1, 12), (2, 16), (3, 20), (0, 20)])
def test_patience_stops_early_and_for_good(tmp_path, capsys, patience, last):
    settings = {"steps": STEPS, "watch": watch(patience=patience)}
    assert toy.fit(tmp_path, **settings) == last
    assert toy.fit(tmp_path, **settings) == last
    text = capsys.readouterr().err
    assert ("finished early" in text) == (last < STEPS) and "is finished" in text


_RARE = [pytest.param(at, marks=pytest.mark.slow) for at in (3, 7, 11)]


@pytest.mark.parametrize("at", [5, 8, 13, *_RARE])
def test_interrupted_run_ends_like_the_unbroken_one(tmp_path, at):
    settings = {
        "steps": STEPS,
        "watch": watch(patience=2, keep_best=True),
        "checkpoint_every": 3,
    }
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    toy.fit(whole, **settings)
    assert toy.fit(broken, **settings, terminate_at=at) < 16
    toy.fit(broken, **settings)
    one, other = checkpoint.restore(whole), checkpoint.restore(broken)
    assert (one.step, one.meta["scores"]) == (other.step, other.meta["scores"])
    chex.assert_trees_all_equal(one.params, other.params)
    assert rows(whole, "val/") == rows(broken, "val/")
    best = [
        checkpoint.restore(counted) for counted in (whole / "best", broken / "best")
    ]
    chex.assert_trees_all_equal(best[0].params, best[1].params)


def test_undefined_scores_are_never_the_best():
    scores = {1: {"iou": math.nan}, 2: {"iou": 0.1}, 3: {"iou": math.nan}}
    assert best_step(scores) == 2
    assert stops(scores, 1) and not stops(scores, 2) and not stops({}, 1)
    kept = json.loads(json.dumps(as_meta(scores), allow_nan=False))
    assert from_meta({"scores": kept})[2] == scores[2]
    assert math.isnan(from_meta({"scores": kept})[1]["iou"])
    assert from_meta(None) == from_meta({}) == {}


def test_scoring_is_tried_before_the_first_step(tmp_path):
    tried = []

    def rehearse(params, model_state):
        tried.append(bool(checkpoint.saved_steps(tmp_path)))
        raise UserError("out of memory while scoring the run on val")

    with pytest.raises(UserError, match="while scoring"):
        toy.fit(tmp_path, steps=4, watch=watch(rehearse=rehearse))
    assert tried == [False] and not rows(tmp_path, "train/")
