"""Scores that walk: their background is the threshold that they were cut at before."""

import json

import numpy as np
import pytest

from ppcjax.runs import provenance
from tests.evaluate.masks import kinds


@pytest.mark.parametrize(
    ("noted", "as_if"),
    [({"threshold": 0.5}, 0.5), ({"threshold": 0}, 0.0), ({"threshold": "?"}, 0.27)],
)
def test_an_export_says_its_threshold(tmp_path, noted, as_if):
    """Behind a CRF it is 0.5: at 0.27 half of what the CRF left out would come back."""
    root = kinds.write_photos(tmp_path / "data")
    cams = kinds.write_cams(tmp_path / "cams", root)
    (cams / provenance.NAME).write_text(json.dumps(noted))

    def curve(name, **settings):
        kind = kinds.Kind("affinity", {})
        found = kinds.run_kind(kind, root, tmp_path / name, limit=1, **settings)
        assert f"background {as_if:.2f}" in found["stages"]
        return found["curve"]["mean_iou"]

    given = curve("given", background=as_if)
    np.testing.assert_array_equal(curve("noted", background=None), given)
