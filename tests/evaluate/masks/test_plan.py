"""The plan that all evaluations of masks become: counts, files and tiles of photos."""

from pathlib import Path

import numpy as np
import pytest

from ppcjax.data_pipelines.sources.base import Source
from ppcjax.evaluate.masks import evaluation
from ppcjax.evaluate.masks.evaluation import Photos, masks_plan, probabilities_plan
from ppcjax.evaluate.masks.settings import MapSettings, Output, Scoring
from ppcjax.evaluate.masks.summary import Scored
from ppcjax.evaluate.protocol import Request, count_all
from ppcjax.evaluate.results import results
from ppcjax.predict import tta
from ppcjax.predict.prediction import Prediction, predict_mask
from ppcjax.refine import stream as crf_stream
from ppcjax.refine.stream import Background
from ppcjax.report.text import as_json
from ppcjax.runs import Run
from ppcjax.types import IGNORE, UserError
from tests.evaluate.masks.toy import CLASSES, colour_method, make_example


def make_run(classes=CLASSES):
    config = {"name": "colours", "method": {"name": "colours"}, "data": {}}
    return Run(Path("run"), 3, config, classes, colour_method(), None, None)


def photos(examples):
    ids = tuple(example.id for example in examples)
    return Photos({}, Source("toy", CLASSES, ids, examples.__getitem__), "val")


def make_plan(examples, *, output=None, threshold=0.26, **scaling):
    scaling = tta.Scaling(scales=(1.0,), **scaling)
    scored = Scored(
        classes=CLASSES,
        background=True,
        threshold=threshold,
        chosen=None,
        exported={"name": "fixed", "threshold": threshold},
    )
    return masks_plan(
        make_run(),
        photos(examples),
        tta.predict(colour_method(), None, None, examples, scaling=scaling),
        scored,
        output or Output(),
        Background(threshold),
        {"more": 1},
    )


def test_counts_are_those_of_the_masks_that_were_handed_on():
    examples = [make_example(i, masked=i < 4) for i in range(6)]
    handed = {}
    plan = make_plan(examples, batch_size=4)
    counts = count_all(plan, uses=[lambda p: handed.__setitem__(p.example.id, p)])
    found = plan.summarize(counts)
    assert (found["images"], found["images_with_masks"], len(handed)) == (6, 4, 6)
    hit = np.zeros(3)
    union = np.zeros(3)
    for example in examples[:4]:
        keep = example.mask != IGNORE
        predicted = predict_mask(handed[example.id].scores, 0.26)[keep]
        for c in range(3):
            hit[c] += ((predicted == c) & (example.mask[keep] == c)).sum()
            union[c] += ((predicted == c) | (example.mask[keep] == c)).sum()
    fixed = found["thresholds"]["fixed"]
    np.testing.assert_allclose(fixed["class_iou"], hit / union)
    assert fixed["mean_iou"] > 0.7


def test_tiles_come_in_the_order_of_the_photos():
    sizes = [(40, 48), (90, 60), (40, 48), (90, 60), (40, 48)]
    examples = [make_example(i, size=size) for i, size in enumerate(sizes)]
    plan = make_plan(examples, output=Output(gallery=3), batch_size=2)
    predictions = list(plan.predictions)
    order = [one.example.id for one in predictions]
    assert order != sorted(order)  # photos of one size are predicted together
    tiles = [tile for tile in map(plan.tile, predictions) if tile is not None]
    assert {tile.id for tile in tiles} == {"photo0", "photo2", "photo4"}
    counts = count_all(plan._replace(predictions=predictions))
    head = {"config": "c", "method": "m", "step": 3, "split": "val", "skipped": {}}
    metrics = as_json(head | plan.summarize(counts))
    text = "".join(plan.page(metrics, tiles[::-1]).sections)
    places = [text.index(f"Photo {name}:") for name in ("photo0", "photo2", "photo4")]
    assert places == sorted(places)


def test_files_follow_the_output(tmp_path):
    plan = make_plan([make_example(0)], output=Output(scores=False))
    (prediction,) = plan.predictions
    plan.write(prediction, results(tmp_path))
    assert {p.name for p in tmp_path.glob("[!.]*")} == {"masks", "overlays"}
    assert plan.files == {"classes.txt": b"background\nred\ngreen\n"}
    assert plan.record["more"] == 1 and plan.record["crf"] is None


def test_crf_gives_probabilities():
    plan = make_plan([make_example(0)], output=Output(crf="k1"))
    (prediction,) = plan.predictions
    np.testing.assert_allclose(prediction.probabilities.sum(-1), 1, atol=1e-5)
    assert plan.record["crf"] == "k1"


@pytest.mark.parametrize("crf", ["", "k1"])
def test_pixels_are_refined_before_the_crf(crf, monkeypatch):
    """Predictions of the CRF are of refined ones; words and record say both."""
    seen, refine = [], crf_stream.crf.refine
    monkeypatch.setattr(
        crf_stream.crf, "refine", lambda *a: seen.append(a[1]) or refine(*a)
    )
    output = Output(pixel_refine=3, pixel_refine_scale=0.5, crf=crf)
    plan = of_probabilities(CLASSES, Scoring(), output, uneven=True)
    plain = of_probabilities(CLASSES, Scoring(), uneven=True)
    (found,), (before,) = plan.predictions, plain.predictions
    refined = seen[0] if crf else found.probabilities
    assert np.abs(refined - before.probabilities).max() > 0.01
    np.testing.assert_allclose(refined.sum(-1), 1, atol=1e-5)
    assert plan.record["pixel_refine"] == 3 and plan.record["pixel_refine_scale"] == 0.5
    stages = plan.summarize(count_all(plan._replace(predictions=[found])))["stages"]
    wanted = "pixel refinement, 3 turns at 0.5 of the size"
    assert stages == wanted + ("; dense CRF k1" if crf else "")


def of_probabilities(classes, scoring, output=None, *, uneven=False):
    example = make_example(0)
    p = np.full((*example.mask.shape, len(classes)), 1 / len(classes), np.float32)
    if uneven:
        p[: len(p) // 2] = 0.8, 0.1, 0.1
    found = iter([Prediction.of_probabilities(example, p)])
    run = make_run(classes)
    run = run._replace(method=run.method._replace(gives="logits"))
    output = output or Output()
    return probabilities_plan(run, photos([example]), found, scoring, output)


def test_without_background_no_threshold_counts():
    classes = ("sky", "red", "green")
    with pytest.raises(UserError, match="threshold 0.3: the classes of this run have"):
        of_probabilities(classes, Scoring(threshold=0.3))
    plan = of_probabilities(classes, Scoring())
    found = plan.summarize(count_all(plan))
    assert found["background"] is False and found["curve"] is None
    assert found["thresholds"]["chosen"] is found["thresholds"]["oracle"] is None
    fixed = found["thresholds"]["fixed"]
    assert plan.score(found) == {"mean_iou": fixed["mean_iou"]}


def test_with_background_a_threshold_may_be_set():
    plan = of_probabilities(CLASSES, Scoring(threshold=0.3))
    assert plan.record["threshold"] == 0.3
    assert plan.summarize(count_all(plan))["arg_max"] is True


def test_no_threshold_is_chosen_where_the_crf_has_another_background(monkeypatch):
    for name in ("choose_threshold", "recorded_threshold"):
        monkeypatch.setattr(evaluation, name, lambda *_, **__: pytest.fail("chooses"))
    settings = MapSettings(output=Output(crf="k1"), alpha=8.0)
    for request in (Request(), Request(images="photos")):
        assert evaluation._chosen(None, settings, 0.26, request) is None
