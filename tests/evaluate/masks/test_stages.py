"""From tags to a segmenter: every stage reads what the last one wrote."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from ppcjax.configs import affinity_folder, ppc_folder, segment_folder

import ppcjax
from ppcjax import data_pipelines
from ppcjax.evaluate import command
from ppcjax.evaluate.masks import files
from ppcjax.runs import provenance
from ppcjax.train import loop
from ppcjax.types import IGNORE, UserError

SIDE = 32
SMALL = {"backbone": "small_resnet", "backbone_settings": {"width": 4}}


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


def _export(folder, out, *words):
    words = ("--split=all", "--threshold=0.3", f"--export={out}", *words)
    command.main([f"--ckpt={folder}", *words])


@pytest.fixture(scope="module")
def cams(photos, tmp_path_factory):
    """A run of maps, and its export with a CRF and labels for affinity."""
    folder = tmp_path_factory.mktemp("runs") / "maps"
    config = ppc_folder.get_config()
    config.method.update(small_view=24, projection=8, affinity=(8, 8, 8))
    _train(config, folder, photos)
    out = folder.parent / "cams"
    _export(folder, out, "--crf=k1", "--alpha=8", "--affinity_labels=4,24")
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
    _export(affinity, walked, f"--cams={out}")
    metrics = json.loads((walked / "metrics.json").read_text())
    assert "random walk of the scores in" in metrics["stages"]
    record = json.loads((walked / provenance.NAME).read_text())
    assert record["cams"]["crf"] == "k1"

    config = segment_folder.get_config()
    config.method.head_settings = {"width": 8, "rate": 2}
    segmenter = _train(config, tmp_path / "s", photos, masks=str(walked))
    predictor = ppcjax.load(segmenter)
    assert predictor.classes == ("background", "green", "red")
    for size in ((1, 1), (30, 45)):
        found = predictor.predict(np.full((*size, 3), 99, np.uint8))
        assert found.mask.shape == size and found.scores.shape == (*size, 3)
    for image, message in (
        (np.zeros((4, 4)), "float64"),
        (np.zeros((0, 4, 3), np.uint8), "empty"),
    ):
        with pytest.raises(UserError, match=message):
            predictor.predict(image)
    with pytest.raises(UserError, match="needs the scores of another run"):
        ppcjax.load(affinity)


def test_tags_restrict_what_a_photo_can_show(cams):
    predictor = ppcjax.load(cams[0])
    image = np.zeros((20, 20, 3), np.uint8)
    assert predictor.predict(image, tags="red").tags == ("red",)
    with pytest.raises(UserError, match="unknown tag 'blue'; the classes are"):
        predictor.predict(image, tags=["blue"])


def test_the_crf_is_what_alpha_or_the_threshold_say(cams, tmp_path):
    folder, out = cams
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["stages"] == "dense CRF k1, background (1 - best)^8"
    assert metrics["arg_max"] and metrics["exported"]["threshold"] == 0.5
    _export(folder, tmp_path, "--crf=k1")
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert "background as likely as a score of 0.3" in metrics["stages"]


def test_affinity_needs_scores_of_its_own_classes(photos, cams, tmp_path):
    config = affinity_folder.get_config()
    config.method.widths = (4, 4, 8)
    affinity = _train(config, tmp_path / "a", photos, masks=str(cams[1] / "labels"))
    with pytest.raises(UserError, match="give the scores that are to walk, --cams"):
        _export(affinity, tmp_path / "out")
    with pytest.raises(UserError, match="export the activation maps into it first"):
        _export(affinity, tmp_path / "out", f"--cams={tmp_path}")
    (tmp_path / "scores").mkdir()
    record = {"classes": ["background", "cat"]}
    (tmp_path / provenance.NAME).write_text(json.dumps(record))
    with pytest.raises(UserError, match="its scores are of the classes background, c"):
        _export(affinity, tmp_path / "out", f"--cams={tmp_path}")


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
        files.read_scores(out, "p9")
