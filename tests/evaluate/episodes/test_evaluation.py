"""Episodes from a trained run to scores, plans and pictures in files."""

import json
import shutil

import pytest

from ppcjax import fields
from ppcjax.evaluate import command
from ppcjax.evaluate.episodes import evaluation
from ppcjax.evaluate.episodes.protocols import EpisodeSettings
from ppcjax.runs import digests, open_run
from ppcjax.types import UserError
from tests import few_shot

HELD_OUT = {"stripes", "dots"}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return few_shot.train(tmp_path_factory.mktemp("runs") / "panet")


def run_eval(run, out, *words):
    """What an evaluation wrote as metrics.json."""
    command.main(["--ckpt", str(run), "--export", str(out), *map(str, words)])
    return json.loads((out / "metrics.json").read_text())


@pytest.fixture(scope="module")
def found(run, tmp_path_factory):
    """Results of an evaluation, and the folder that it wrote."""
    out = tmp_path_factory.mktemp("out")
    return run_eval(run, out), out


def test_scores_are_those_of_the_held_out_classes(found):
    result, _ = found
    assert result["evaluation"] == "episodes" and set(result["shots"]) == {"1", "2"}
    for scores in result["shots"].values():
        assert set(scores["class_iou"]) == HELD_OUT
        assert 0 <= scores["mean_iou"]["mean"] <= 1
        assert len(scores["fb_iou"]["runs"]) == 2
    assert set(result["protocol"]["classes"]) == HELD_OUT
    assert result["protocol"]["episodes"] == 6


def test_files_are_those_of_the_result(found):
    result, out = found
    assert result["step"] == result["choice"]["step"]
    page = (out / "report.html").read_text()
    assert page.count("<figcaption>1-shot") == 2 and "95 % interval" in page
    plans = sorted(p.name for p in (out / "plans").iterdir())
    assert plans == [
        f"1way_{shot}shot_seed{seed}.npy" for shot in (1, 2) for seed in (0, 1)
    ]
    assert len(list((out / "episodes").glob("*.jpg"))) == 4
    record = json.loads((out / "provenance.json").read_text())
    assert record["choice"] == result["choice"]
    assert record["checkpoint"]["step"] == result["step"]


def test_plans_that_exist_are_used(run, found, tmp_path):
    result, out = found
    again = run_eval(run, tmp_path, "--plans", out / "plans")
    assert again["shots"] == result["shots"]
    assert not (tmp_path / "plans").exists()


def test_plans_that_are_missing_are_written_where_they_were_looked_for(run, tmp_path):
    plans = tmp_path / "plans"
    out = tmp_path / "out"
    run_eval(run, out, "--plans", plans, "--shots", "1", "--seeds", "3")
    assert [p.name for p in plans.iterdir()] == ["1way_1shot_seed3.npy"]
    assert not (out / "plans").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"protocol": "pannet"}, "config.eval.protocol='pannet': give one of panet"),
        ({"shot": 5}, "config.eval.shot is not a setting of episodes"),
        ({"way": 0}, "config.eval.way=0: give a whole number of at least 1"),
    ],
)
def test_settings_that_cannot_work(settings, message):
    with pytest.raises(UserError, match=message):
        fields.build(EpisodeSettings, settings, where="config.eval", what="episodes")


def test_no_class_held_out_is_said_before_anything_is_predicted():
    with pytest.raises(UserError, match="no class is held out"):
        evaluation.check(EpisodeSettings(), {}, ("background", "a"))
    evaluation.check(EpisodeSettings(classes="base"), {}, ("background", "a"))


def test_choice_is_the_best_on_classes_that_are_not_reported(run, found):
    choice = found[0]["choice"]
    assert set(choice["mean_iou"]) == {"1", "2"}
    best = max(choice["mean_iou"].values())
    assert choice["mean_iou"][str(choice["step"])] == best
    assert choice["classes"] and not set(choice["classes"]) & HELD_OUT
    assert not choice["held_out"]
    assert json.loads((run / "choice.json").read_text()) == choice


def test_choice_is_kept_until_there_are_other_checkpoints(run, found, tmp_path):
    choice = found[0]["choice"]
    assert open_run(run).step == choice["step"]
    for step in (1, 2):
        assert open_run(run / "checkpoints" / str(step)).step == step
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    note = json.loads((copy / "choice.json").read_text())
    for step in (1, 2):
        (copy / "choice.json").write_text(json.dumps(note | {"step": step}))
        assert open_run(copy).step == step
    (copy / "choice.json").write_text(json.dumps(note | {"step": 1}))
    third = copy / "checkpoints" / "3"
    shutil.copytree(copy / "checkpoints" / "2", third)
    sums = digests.read(third)
    digests.write(third, sums.run, 3)
    assert open_run(copy).step == 3


@pytest.mark.slow
def test_a_damaged_checkpoint_takes_no_part_in_the_choice(run, tmp_path, caplog):
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    (copy / "choice.json").unlink(missing_ok=True)
    (copy / "checkpoints" / "2" / "meta" / "metadata").unlink()
    options = "--shots 1 --seeds 0 --episodes 2 --choice_episodes 2".split()
    for place in ("one", "two"):
        caplog.clear()
        found = run_eval(copy, tmp_path / place, *options)
        assert found["step"] == 1 and found["choice"]["damaged"] == [2]
        assert "damaged" in caplog.text


def test_named_checkpoint_is_evaluated_without_a_choice(run, tmp_path):
    step = run / "checkpoints" / "1"
    found = run_eval(step, tmp_path, "--shots", "1", "--seeds", "0", "--episodes", "2")
    assert found["step"] == 1 and found["choice"] is None
