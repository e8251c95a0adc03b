"""One threshold: what a report shows at t is what --threshold t writes, or not there.

Looked at for every kind of evaluation that ends in masks, with and without a CRF.
"""

import json

import numpy as np
import pytest
from PIL import Image

from ppcjax.evaluate import EVALUATIONS
from ppcjax.evaluate.masks import gallery, summary
from ppcjax.types import UserError
from tests.evaluate.masks import kinds

AT = (0.0, 0.17, 0.3, 0.4321, 0.58)  # one is not in the sweep


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return kinds.write_photos(tmp_path_factory.mktemp("photos") / "data")


@pytest.fixture
def tiles(monkeypatch):
    """The tiles and thresholds of the reports that are written, newest last."""
    seen, page = [], gallery.page

    def watched(summary, tiles, thresholds, *rest):
        seen.append((list(tiles), list(thresholds)))
        return page(summary, tiles, thresholds, *rest)

    monkeypatch.setattr(gallery, "page", watched)
    return seen


def written(out):
    files = sorted((out / "masks").iterdir())
    return [np.asarray(Image.open(file)) for file in files]


def redrawn(tiles, thresholds, t):
    """What the slider shows at t, at the size of the photos."""
    place = summary.nearest(thresholds, t)
    for tile in tiles:
        _, level, best, _ = tile.planes
        mask = np.where(level > place, best, 0)
        factor = mask.shape[1] // 36
        yield mask[factor // 2 :: factor, factor // 2 :: factor]


def test_every_kind_that_ends_in_masks_is_looked_at():
    looked_at = {kind.name for kind in kinds.kinds()}
    assert {"maps", "logits", "affinity", "supports"} <= looked_at
    others = {name for name in EVALUATIONS if name not in looked_at}
    assert others == {"episodes", "features"}, "these have no gallery of masks"


def marked():
    """The kinds; two are looked at among the quick tests."""
    for kind in kinds.kinds():
        quick = kind.name == "maps" and set(kind.settings) <= {"crf"}
        marks = () if quick else (pytest.mark.slow,)
        yield pytest.param(kind, AT[-2:] if quick else AT, id=str(kind), marks=marks)


@pytest.mark.parametrize(("kind", "at"), list(marked()))
def test_report_and_option_mean_the_same(kind, at, root, tmp_path, tiles):
    if "alpha" in kind.settings and kind.name == "maps":
        with pytest.raises(
            UserError, match="comes from alpha 1.5, so that it would do"
        ):
            kinds.run_kind(kind, root, tmp_path / "refused", threshold=0.3)
        shown = kinds.run_kind(kind, root, tmp_path / "first")
        at = ()
    else:
        shown = kinds.run_kind(kind, root, tmp_path / "first", threshold=0.4321)
    page = (tmp_path / "first" / "report.html").read_text()
    swept = not shown["unswept"]
    assert ('id="threshold"' in page) == swept
    assert ("evaluate again with" in page) == (not swept)
    if shown["images_with_masks"]:
        assert (shown["curve"] is not None) == swept
        assert (shown["thresholds"]["oracle"] is not None) == swept
    first, same = tiles[-1], []
    masks = set()
    for t in at:
        metrics = kinds.run_kind(kind, root, tmp_path / f"{t}", threshold=t)
        files = written(tmp_path / f"{t}")
        drawn = list(redrawn(*first, t))
        same.append(all(map(np.array_equal, files, drawn)))
        masks.add(b"".join(mask.tobytes() for mask in files))
        if swept and shown["images_with_masks"]:
            place = shown["curve"]["threshold"].index(t)
            on_curve = shown["curve"]["mean_iou"][place]
            assert metrics["thresholds"]["fixed"]["mean_iou"] == on_curve
    if swept:
        assert 0.4321 in first[1]
    if at:
        assert all(same) == swept, "no slider needs a reason, and a slider is right"
        assert len(masks) > 1, "nothing was compared"


def test_the_masks_shown_first_are_those_written(root, tmp_path, tiles):
    """Also at a threshold that another evaluation chose and the sweep lacks."""
    run, kind = tmp_path / "run", kinds.Kind("maps", {})
    run.mkdir()
    record = {"threshold": 0.4321, "split": "val", "images": 9, "step": 1}
    (run / "threshold.json").write_text(json.dumps(record))
    found = kinds.run_kind(kind, root, run / "out", on_photos=True)
    assert found["exported"] == {"name": "chosen", "threshold": 0.4321}
    drawn = list(redrawn(*tiles[-1], 0.4321))
    assert all(map(np.array_equal, written(run / "out"), drawn))
    place = tiles[-1][1].index(0.4321)
    assert f'value="{place}"' in (run / "out" / "report.html").read_text()
