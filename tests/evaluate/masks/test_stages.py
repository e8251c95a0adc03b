"""From tags to a segmenter: every stage reads what the last one wrote."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from ppcjax.configs import affinity_folder, ppc_folder, segment_folder

import ppcjax
from ppcjax import data_pipelines
from ppcjax.evaluate.masks import files as export
from ppcjax.evaluate.masks.evaluation import evaluate, load_run, make_metric
from ppcjax.evaluate.masks.stages import Stages
from ppcjax.runs import provenance
from ppcjax.train import loop
from ppcjax.types import IGNORE, UserError

SIDE = 32
SMALL = {"backbone": "small_resnet", "backbone_settings": {"width": 4}}
NO_STAGE = dict.fromkeys(("alpha", "cams", "affinity_labels")) | {
    "crf": "",
    "workers": 0,
}


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Six photos with a square of their tag's colour, as a folder with a table."""
    root = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    rows = ["image,tags"]
    for i in range(6):
        pixels = rng.integers(0, 60, (28 + i, 40, 3), dtype=np.uint8)
        pixels[6:22, 8:30, i % 2] = 240
        Image.fromarray(pixels).save(root / f"p{i}.png")
        rows.append(f"p{i}.png,{('red', 'green')[i % 2]}")
    (root / "tags.csv").write_text("\n".join(rows))
    return root


def _train(config, folder, root, **data):
    config.steps, config.init_from = 2, ""
    config.data.update(root=str(root), batch_size=2, crop=SIDE, long_side=(SIDE, 40))
    config.data.update(data)
    config.method.update(SMALL)
    config.optim.frozen = ()
    loop.train(config, folder)
    return folder


def _export(folder, out, **stages):
    run = load_run(folder)
    stages = Stages.of(run, **{**NO_STAGE, **stages})
    data = dict(run.config["data"])
    source = data_pipelines.make_source(data, "all", classes=run.classes)
    evaluate(
        stages.predictions(
            run, data_pipelines.make_eval(data, source), background=0.3, out=out
        ),
        metric=make_metric(run.classes),
        uses=[lambda p: export.write_prediction(p, out, threshold=run.threshold)],
    )
    export.write_classes(out / "classes.txt", run.classes)
    exported = {"name": "fixed", "threshold": run.threshold}
    provenance.write(out, stages.record(run, "all", len(source), exported, 0.3))
    return run, stages


@pytest.fixture(scope="module")
def cams(photos, tmp_path_factory):
    """A run of maps, and its export with a CRF and labels for affinity."""
    folder = tmp_path_factory.mktemp("runs") / "maps"
    config = ppc_folder.get_config()
    config.method.update(small_view=24, projection=8, affinity=(8, 8, 8))
    _train(config, folder, photos)
    out = folder.parent / "cams"
    _export(folder, out, crf="k1", alpha=8.0, affinity_labels=("4", "24"))
    return folder, out


def test_export_says_what_made_it(cams):
    folder, out = cams
    record = json.loads((out / provenance.NAME).read_text())
    assert record["crf"] == "k1" and record["affinity_labels"] == [4.0, 24.0]
    assert record["checkpoint"] == {"run": str(folder), "step": 2}
    low, high, both = (
        np.asarray(Image.open(out / name / "p0.png"))
        for name in ("labels_low", "labels_high", "labels")
    )
    np.testing.assert_array_equal(both == IGNORE, (low == 0) & (high != 0))


def test_affinity_walks_and_a_segmenter_learns(photos, cams, tmp_path):
    _, out = cams
    config = affinity_folder.get_config()
    config.method.widths = (4, 4, 8)
    affinity = _train(config, tmp_path / "a", photos, masks=str(out / "labels"))
    walked = tmp_path / "walked"
    run, stages = _export(affinity, walked, cams=str(out))
    assert "random walk" in stages.describe(0.3)
    record = json.loads((walked / provenance.NAME).read_text())
    assert record["cams"]["crf"] == "k1"

    config = segment_folder.get_config()
    config.method.head_settings = {"width": 8, "rate": 2}
    segmenter = _train(config, tmp_path / "s", photos, masks=str(walked))
    predictor = ppcjax.load(segmenter)
    assert predictor.classes == run.classes == ("background", "green", "red")
    for size in ((1, 1), (30, 45)):
        found = predictor.predict(np.full((*size, 3), 99, np.uint8))
        assert found.mask.shape == size and found.scores.shape == (*size, 3)
    for image, message in (
        (np.zeros((4, 4)), "float64"),
        (np.zeros((0, 4, 3), np.uint8), "empty"),
    ):
        with pytest.raises(UserError, match=message):
            predictor.predict(image)
    with pytest.raises(UserError, match="needs the scores"):
        ppcjax.load(affinity)


def test_tags_restrict_what_a_photo_can_show(cams):
    predictor = ppcjax.load(cams[0])
    image = np.zeros((20, 20, 3), np.uint8)
    assert predictor.predict(image, tags="red").tags == ("red",)
    with pytest.raises(UserError, match="unknown tag 'blue'; the classes are"):
        predictor.predict(image, tags=["blue"])


@pytest.mark.parametrize(
    ("stage", "message"),
    [
        ({"crf": "k9"}, "choose one of k1"),
        ({"alpha": 8.0}, "--alpha=8.0: give"),
        ({"affinity_labels": ["24", "4"]}, "give a low and a high alpha"),
        ({"affinity_labels": ["4"]}, "give a low and a high alpha"),
        ({"cams": "somewhere"}, "--cams is for runs of the method 'affinity'"),
    ],
)
def test_stages_that_do_not_fit(cams, stage, message):
    with pytest.raises(UserError, match=message):
        Stages.of(load_run(cams[0]), **{**NO_STAGE, **stage})


def test_masks_of_other_classes_or_none(photos, cams, tmp_path):
    _, out = cams
    data = {"source": "folder", "root": str(photos)}
    with pytest.raises(UserError, match="export masks into it"):
        data_pipelines.make_source({**data, "masks": str(tmp_path / "no")}, "all")
    with pytest.raises(UserError, match="none of the 6 images has a mask there"):
        data_pipelines.make_source({**data, "masks": str(tmp_path)}, "all")
    (tmp_path / "masks").mkdir()
    (tmp_path / "classes.txt").write_text("background\ncat\n")
    with pytest.raises(UserError, match="are of the classes background, cat, but"):
        data_pipelines.make_source({**data, "masks": str(tmp_path)}, "all")
    assert Path(out / "scores/p0.npz").is_file()
    with pytest.raises(UserError, match="p9.npz is not there: export the scores"):
        export.read_scores(out, "p9")
