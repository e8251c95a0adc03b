"""config.eval is checked at launch; networks are scored while they train."""

import dataclasses
import json

import numpy as np
import pytest

from ppcjax import data_pipelines, fields, methods
from ppcjax.configs import panet_shapes, segment_shapes
from ppcjax.data_pipelines.sources.base import Record, Source
from ppcjax.evaluate import EVALUATIONS, fitting, training
from ppcjax.runs import open_run
from ppcjax.train import loop
from ppcjax.types import Method, UserError
from tests.evaluate.conftest import DATA, MORE_DATA
from tests.wrong_values import wrong_values

CLASSES = ("background", "cross", "rings", "checker", "stripes", "dots")
MADE = [methods.make({"name": name}, 6) for name in methods.METHODS]
# What methods of each default evaluation read and give.
DEFAULTS = {fitting(one)[0]: (one.reads, one.gives) for one in MADE}
FIELDS = [
    (name, field)
    for name in DEFAULTS
    for field in fields.fields_of(EVALUATIONS[name].settings)
]


def launch(name, tmp_path, **settings):
    """What train.py does before the first step."""
    reads, gives = DEFAULTS[name]
    config = {"name": "x", "data": DATA | MORE_DATA[reads], "eval": settings}
    method = Method(None, None, None, reads, gives)
    return training.scorer(config, tmp_path, method, CLASSES)


def test_every_method_has_an_evaluation():
    assert all(DEFAULTS.values())
    gives = {gives for _, gives in DEFAULTS.values()}
    assert gives == {one.gives for one in MADE} <= set(DEFAULTS)


@pytest.mark.parametrize(("kind", "name"), FIELDS)
def test_wrong_settings_fail_at_launch(kind, name, tmp_path):
    hint = fields.fields_of(EVALUATIONS[kind].settings)[name].hint
    wrong = wrong_values(hint)
    assert wrong
    for value in wrong:
        with pytest.raises(UserError) as caught:
            launch(kind, tmp_path, **{name: value})
        assert str(caught.value).startswith(f"config.eval.{name}")
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", DEFAULTS)
def test_right_settings_and_none_pass(kind, tmp_path):
    assert launch(kind, tmp_path) is None
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        ("maps", {"report_classes": ["horse"]}, "no class 'horse'"),
        ("maps", {"alpha": 8.0}, "give crf"),
        ("logits", {"window_stride": 8}, "give eval.window as well"),
        ("logits", {"convention": "eps"}, "convention is not a setting of the eval"),
        ("episodes", {"protocol": "pannet"}, "panet, pfenet, mlc, hsnet, own"),
        ("features", {"crf": "k1"}, "config.eval.crf is not a setting of"),
    ],
)
def test_settings_that_do_not_fit_fail_at_launch(kind, settings, message, tmp_path):
    with pytest.raises(UserError, match=message):
        launch(kind, tmp_path, **settings)


def test_episodes_need_classes_that_are_held_out(tmp_path):
    config = {"name": "x", "eval": {}, "data": DATA | {"way": 1}}
    method = Method(None, None, None, gives="episodes")
    with pytest.raises(UserError, match="no class is held out"):
        training.scorer(config, tmp_path, method, CLASSES)


@pytest.mark.parametrize("split", ["", "test"])
def test_scores_need_a_split_that_is_not_reported(split, tmp_path):
    data = DATA | {"val_split": split}
    config = {"name": "x", "eval": {}, "data": data, "eval_every": 1}
    method = Method(None, None, None, gives="maps")
    with pytest.raises(UserError, match="config.data.val_split="):
        training.scorer(config, tmp_path, method, CLASSES)


def test_an_affinity_network_cannot_be_scored_alone(tmp_path):
    config = {"name": "x", "eval": {}, "data": DATA, "eval_every": 1}
    method = Method(None, None, None, gives="affinity")
    with pytest.raises(UserError, match="config.eval_every=1: the evaluation 'aff"):
        training.scorer(config, tmp_path, method, CLASSES)


def _small(config):
    config.steps, config.log_every, config.eval_every = 4, 1, 2
    config.keep_best = True
    config.method.backbone_settings.width = 4
    config.data.update(size=32, crop=32, batch_size=2, long_side=(32, 40))
    return config


@pytest.mark.slow
def test_a_segmenter_is_scored_and_its_best_checkpoint_is_opened(tmp_path):
    config = _small(segment_shapes.get_config())
    config.method.head_settings.width = 4
    config.data.update(val_split="val", val_size=4, train_size=16)
    loop.train(config, tmp_path, scorer=training.scorer)
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    scores = {r["step"]: r["val/mean_iou"] for r in rows if "val/mean_iou" in r}
    assert set(scores) == {2, 4} and all(0 <= x <= 1 for x in scores.values())
    run = open_run(tmp_path)
    assert run.step == max(sorted(scores), key=scores.get)
    # The score is that of an evaluation of the same checkpoint on that split.
    entry = EVALUATIONS["logits"]
    settings = dataclasses.replace(entry.settings(), scaling=_scaling(run))
    request = training.Request(split="val", trial=True)
    plan = entry.plan(run, settings, request, frozenset())
    found = plan.score(plan.summarize(training.count_all(plan)))
    np.testing.assert_allclose(found["mean_iou"], scores[run.step], rtol=1e-6)


def _scaling(run):
    settings = training.settings_of(EVALUATIONS["logits"], run.evaluation, "it")
    return settings.scaling


@pytest.mark.slow
def test_a_few_shot_network_is_scored_on_classes_nobody_reports(tmp_path):
    config = _small(panet_shapes.get_config())
    config.data.update(train_size=60, test_size=40, shot=1, least_shot=0, query=1)
    config.eval.update(episodes=3, seeds=(0,), size=32, choice_episodes=3)
    loop.train(config, tmp_path, scorer=training.scorer)
    text = (tmp_path / "log.txt").read_text()
    assert text.count("val/mean_iou") == 2 and "best mean_iou" in text


def test_what_scoring_needs_most_memory_for_is_tried_before_training(
    tmp_path, monkeypatch
):
    """A whole batch of the largest photo, of those whose header tells their size."""
    seen, sizes = [], {3: (40, 90), 5: (50, 60)}

    def record(index):
        size = sizes.get(index, (30, 30))
        return Record(f"{index}", None, None, None, size=lambda: size)

    source = Source("photos", CLASSES, tuple(map(str, range(9))), record)
    monkeypatch.setattr(data_pipelines, "make_source", lambda *_, **__: source)
    monkeypatch.setattr(data_pipelines, "make_eval", lambda _, source: source)
    monkeypatch.setattr(
        training, "predict_photos", lambda _, source, __: seen.append(source) or []
    )
    keep = Method._field_defaults["keep"]
    method = Method(None, None, None, gives="logits", keep=keep)
    config = {"name": "x", "data": DATA, "eval": {"batch_size": 3}, "eval_every": 1}
    made = training.scorer(config, tmp_path, method, CLASSES)
    made.rehearse({}, {})
    (taken,) = seen
    assert [taken.record(i).id for i in range(len(taken))] == ["3"] * 3


def test_scoring_that_lacks_memory_names_the_setting(tmp_path, monkeypatch):
    def lack(*_, **__):
        raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 4096 bytes.")

    monkeypatch.setattr(training, "_of_largest", lack)
    method = Method(None, None, None, gives="maps")
    config = {"name": "x", "data": DATA, "eval": {"batch_size": 3}, "eval_every": 1}
    made = training.scorer(config, tmp_path, method, CLASSES)
    with pytest.raises(
        UserError, match=r"4 KiB asked for.*lower config.eval.batch_size \(3"
    ):
        made.rehearse({}, {})
