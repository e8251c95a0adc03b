"""Counts over a stream of photos, and what a summary says of them."""

import numpy as np
import pytest

from ppcjax.evaluate.masks import page, summary
from ppcjax.evaluate.masks.metric import sweep_with
from ppcjax.evaluate.masks.summary import Scored
from ppcjax.evaluate.protocol import added
from ppcjax.predict import tta
from ppcjax.report.text import as_json, percent
from tests.evaluate.masks.toy import CLASSES, colour_method, make_example


def predict(examples, **scaling):
    method, scaling = colour_method(), tta.Scaling(**scaling)
    return list(tta.predict(method, None, None, examples, scaling=scaling))


def count(predictions, metric):
    total = {"predicted": len(predictions)}
    for one in predictions:
        if one.example.mask is not None:
            total = added(total, metric.count({"scores": one.scores}, one.example))
    return total


def make_scored(**changes):
    scored = Scored(
        classes=CLASSES,
        background=True,
        threshold=0.265,
        chosen=None,
        exported={"name": "fixed", "threshold": 0.265},
    )
    return scored._replace(**changes)


def test_photos_without_masks_give_no_result():
    scored = make_scored()
    predictions = predict([make_example(0, masked=False)], scales=(1.0,))
    found = summary.summarize(count(predictions, scored.metric()), scored)
    assert (found["images"], found["images_with_masks"]) == (1, 0)
    assert found["curve"] is None
    table = {"fixed": {"threshold": 0.265}, "chosen": None, "oracle": None}
    assert found["thresholds"] == table
    assert np.isnan(summary.scores(found)["mean_iou"])


def test_thresholds_are_told_apart():
    chosen = {"threshold": 0.1, "split": "val", "images": 9}
    scored = make_scored(chosen=chosen)
    counts = count(predict([make_example(i) for i in range(2)]), scored.metric())
    found = summary.summarize(counts, scored)
    table, means = found["thresholds"], found["curve"]["mean_iou"]
    assert found["curve"]["threshold"] == list(sweep_with(0.265))
    assert table["oracle"]["mean_iou"] == max(means)
    assert table["fixed"]["mean_iou"] <= table["oracle"]["mean_iou"]
    at = sweep_with(0.265).index(0.1)
    assert table["chosen"]["mean_iou"] == means[at]
    assert (table["chosen"]["split"], table["chosen"]["images"]) == ("val", 9)
    assert "mean_iou" not in chosen
    assert summary.scores(found) == {"mean_iou": table["oracle"]["mean_iou"]}


def test_masks_of_background_alone_say_why_there_is_no_mean():
    examples = [make_example(i) for i in range(2)]
    empty = [e._replace(mask=np.zeros_like(e.mask)) for e in examples]
    scored = make_scored()
    found = summary.summarize(count(predict(empty), scored.metric()), scored)
    assert "no mean IoU" in found["undefined"] and found["curve"] is None
    assert np.isnan(summary.scores(found)["mean_iou"])
    head = {"config": "toy", "method": "toy", "step": 1, "split": "val", "skipped": {}}
    written = as_json(head | found)
    assert {row and row["mean_iou"] for row in written["thresholds"].values()} == {None}
    text = summary.format_summary(written)
    assert found["undefined"] in text and "100.0 %" not in text.split("IoU  ")[0]
    assert found["undefined"] in page.headline(written) and not page.curve(written)
    ordinary = summary.summarize(count(predict(examples), scored.metric()), scored)
    assert ordinary["undefined"] == "" and ordinary["curve"] is not None


def test_arg_max_is_scored_at_one_threshold():
    scored = make_scored(threshold=0.5, arg_max=True)
    counts = count(predict([make_example(i) for i in range(2)]), scored.metric())
    found = summary.summarize(counts, scored)
    assert found["thresholds"]["fixed"]["arg_max"] is True
    assert summary.scores(found) == {
        "mean_iou": found["thresholds"]["fixed"]["mean_iou"]
    }


@pytest.mark.parametrize(
    ("threshold", "text"), [(0.3, "0.30"), (0.265, "0.265"), (0.0, "0.00")]
)
def test_threshold_as_text_has_the_decimals_it_needs(threshold, text):
    assert summary.threshold_text(threshold) == text


def test_numbers_as_text_and_json():
    assert [percent(x) for x in (0.5, np.nan, None)] == ["50.0 %", "-", "-"]
    value = {"a": np.array([0.5, np.nan]), 1: (np.int64(3), float("nan"))}
    assert as_json(value) == {"a": [0.5, None], "1": [3, None]}
