"""Settings of evaluations that end in masks: what is refused, before anything runs."""

import numpy as np
import pytest

from ppcjax import fields
from ppcjax.evaluate.masks import evaluation
from ppcjax.evaluate.masks.settings import LogitSettings, MapSettings
from ppcjax.types import UserError

KINDS = (MapSettings, LogitSettings)
NAN = float("nan")


def build(kind, **settings):
    return fields.build(kind, settings, where="config.eval", what="evaluation")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"threshold": -0.1}, "config.eval.threshold=-0.1: give a number"),
        ({"threshold": 1.0}, "config.eval.threshold=1.0: give a number"),
        ({"threshold": NAN}, "config.eval.threshold=nan: give a number"),
        ({"scales": ()}, r"config.eval.scales=\(\): give a list of at least one"),
        ({"absent": "drop"}, "config.eval.absent='drop': give one of skip, zero"),
        ({"crf": "k9"}, "config.eval.crf='k9': give one of"),
        ({"workers": -1}, "config.eval.workers=-1: give a whole number"),
        ({"pixel_refine": -1}, "config.eval.pixel_refine=-1: give a whole number"),
        ({"pixel_refine_scale": 0.5}, "pixel_refine_scale=0.5: give pixel_refine, too"),
        (
            {"pixel_refine": 1, "pixel_refine_scale": 2.0},
            "config.eval.pixel_refine_scale=2.0: give a number",
        ),
        ({"treshold": 0.3}, "config.eval.treshold is not a setting of evaluation"),
    ],
)
def test_settings_of_both_kinds_are_checked(kind, settings, message):
    with pytest.raises(UserError, match=message):
        build(kind, **settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"alpha": 8.0}, "eval.alpha=8.0: give crf, too"),
        ({"affinity_labels": (24.0, 4.0)}, "give a low and a high alpha"),
        ({"affinity_labels": (4.0, 4.0)}, "give a low and a high alpha"),
        ({"affinity_labels": (4.0,)}, "config.eval.affinity_labels=.*give 2 values"),
        ({"window": 32}, "config.eval.window is not a setting"),
    ],
)
def test_settings_of_maps_go_together(settings, message):
    with pytest.raises(UserError, match=message):
        build(MapSettings, **settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"window_stride": 8}, "eval.window_stride=8: give eval.window as well"),
        ({"window": 16, "window_stride": 20}, "pixels between would not be seen"),
        ({"alpha": 8.0, "crf": "k1"}, "config.eval.alpha is not a setting"),
    ],
)
def test_settings_of_logits_go_together(settings, message):
    with pytest.raises(UserError, match=message):
        build(LogitSettings, **settings)


@pytest.mark.parametrize("kind", KINDS)
def test_report_classes_must_be_classes(kind):
    settings = build(kind, report_classes=("red", "horse"))
    with pytest.raises(UserError, match="eval.report_classes: .* no class 'horse'"):
        evaluation.check(settings, {}, ("background", "red"))
    evaluation.check(settings, {}, ("background", "red", "horse"))


@pytest.mark.parametrize("data", [{}, {"val_split": "a", "eval_split": "a"}])
def test_training_is_not_steered_by_what_is_reported(data):
    with pytest.raises(UserError, match="needs a validation split other than"):
        evaluation.trial(MapSettings(), data)


def test_training_is_steered_by_the_network_alone():
    settings = build(
        MapSettings,
        crf="k1",
        alpha=8.0,
        affinity_labels=(4.0, 24.0),
        pixel_refine=10,
        scales=(1.0,),
    )
    short, split = evaluation.trial(settings, {"val_split": "val", "eval_split": "a"})
    assert split == "val" and short == build(MapSettings, scales=(1.0,))


def test_auto_labels_are_those_of_affinitynet_at_its_threshold():
    tried = np.linspace(0.001, 0.999, 999)
    auto = build(MapSettings, affinity_labels="auto").labelled(0.2755)
    published = build(MapSettings, affinity_labels=(4.0, 24.0)).labelled(0.5)
    for one, other in zip(auto, published, strict=True):
        wins = [(1 - tried) ** of.exponent > tried for of in (one, other)]
        assert abs(int(wins[0].sum()) - int(wins[1].sum())) <= 3  # thousandths
    with pytest.raises(UserError, match="in the place of the threshold"):
        build(MapSettings, affinity_labels="auto", alpha=8.0, crf="k1")
    above, below = build(MapSettings, affinity_labels="auto").labelled(0.6)
    assert (above.threshold, below.threshold) == (0.6, pytest.approx(0.2))
