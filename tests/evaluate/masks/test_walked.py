"""Scores that walk: their background is the threshold that they were cut at before."""

import json
from typing import Any, NamedTuple

import numpy as np
import pytest

from ppcjax.evaluate.masks import walked
from ppcjax.predict.prediction import Prediction
from ppcjax.runs import provenance
from ppcjax.types import UserError
from tests.evaluate.masks import kinds

AFFINITY = kinds.Kind("affinity", {})


class Example(NamedTuple):
    """A photo of which nothing is known."""

    tags: Any


@pytest.mark.parametrize(
    ("noted", "as_if"),
    [
        ({"threshold": 0.5, "crf": "k1"}, 0.5),
        ({"threshold": 0}, 0.0),
        ({"threshold": "?"}, 0.27),
    ],
)
def test_an_export_says_its_threshold(tmp_path, capsys, noted, as_if):
    """Behind a CRF it is 0.5: at 0.27 half of what the CRF left out would come back."""
    root = kinds.write_photos(tmp_path / "data")
    cams = kinds.write_cams(tmp_path / "cams", root)
    (cams / provenance.NAME).write_text(json.dumps(noted))

    def curve(name, **settings):
        found = kinds.run_kind(AFFINITY, root, tmp_path / name, limit=1, **settings)
        assert f"background {as_if:.2f}" in found["stages"]
        return found["curve"]["mean_iou"]

    given = curve("given", background=as_if)
    np.testing.assert_array_equal(curve("noted", background=None), given)
    warned = "maps walk better: export them without --crf" in capsys.readouterr().out
    assert warned == ("crf" in noted)


def test_held_out_photos_choose_the_background(tmp_path):
    """Of any start the same: it is the best, and told in the export's record."""
    root = kinds.write_photos(tmp_path / "data")
    cams = kinds.write_cams(tmp_path / "cams", root)
    found = []
    for start in (0.3, 0.5):
        noted = {"threshold": start, "split": "val"}
        (cams / provenance.NAME).write_text(json.dumps(noted))
        more = {"background": None, "val_cams": str(cams), "val_split": "val"}
        kinds.run_kind(AFFINITY, root, tmp_path / str(start), limit=1, **more)
        record = provenance.read(tmp_path / str(start))
        assert record["val_cams"]["split"] == "val"
        found.append(record["walk_background"])
    assert found[0] == pytest.approx(found[1], abs=0.02)
    assert 0 < found[0] != 0.3


@pytest.mark.parametrize(
    ("noted", "background", "said"),
    [
        ({}, None, "an export of split None, but it takes one beside 'all'"),
        ({"split": "all"}, None, "an export of split 'all', but it takes one beside"),
        ({"split": "val"}, 0.3, "which is given; set eval.background"),
    ],
)
def test_nothing_to_choose_by_is_an_error(tmp_path, noted, background, said):
    root = kinds.write_photos(tmp_path / "data")
    cams = kinds.write_cams(tmp_path / "cams", root)
    (cams / provenance.NAME).write_text(json.dumps(noted))
    more = {"background": background, "val_cams": str(cams)}
    with pytest.raises(UserError, match=said):
        kinds.run_kind(AFFINITY, root, tmp_path / "out", **more)


def test_a_crf_gets_walked_scores_as_it_gets_maps():
    """The masks stay; where a score exceeds the background it is told more surely."""
    rng = np.random.default_rng(0)
    probabilities = rng.uniform(0, 0.6, (9, 11, 3)).astype(np.float32)
    probabilities[..., 0] = 0.27
    flat = Prediction.of_probabilities(Example(None), probabilities)
    told = walked.for_crf(flat, 0.27)
    np.testing.assert_array_equal(
        told.probabilities.argmax(-1), flat.probabilities.argmax(-1)
    )
    np.testing.assert_array_equal(
        told.probabilities[..., 1:], flat.probabilities[..., 1:]
    )
    best = probabilities[..., 1:].max(-1)
    margin, before = (
        np.abs(np.log(best) - np.log(p.probabilities[..., 0])) for p in (told, flat)
    )
    assert np.all(margin >= before - 1e-6) and np.median(margin / before) > 1.2
    assert walked.for_crf(flat, 0.0) is flat
