"""From tags to a segmenter: every stage reads what the last one wrote."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

import ppcjax
from ppcjax.configs import affinity_folder, ppc_folder, segment_folder
from ppcjax.evaluate import command
from ppcjax.evaluate.masks import files
from ppcjax.runs import provenance
from ppcjax.train import loop
from ppcjax.types import IGNORE, UserError
from tests import folder_photos

pytestmark = pytest.mark.slow  # three networks are trained

SIDE = 32
SMALL = {"backbone": "small_resnet", "backbone_settings": {"width": 4}}
CLASSES = ("background", "green", "red")


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return folder_photos.write(tmp_path_factory.mktemp("photos"))


def train(config, folder, root, **data):
    config.steps, config.init_from = 2, ""
    config.data.update(root=str(root), batch_size=2, crop=SIDE, long_side=(SIDE, 40))
    config.data.update(data)
    config.method.update(SMALL)
    config.optim.frozen = ()
    loop.train(config, folder)
    return folder


def export(run, out, *words):
    """Evaluates all photos; what metrics.json and provenance.json hold."""
    command.main(["--ckpt", str(run), "--split=all", "--export", str(out), *words])
    return [
        json.loads((out / name).read_text())
        for name in ("metrics.json", provenance.NAME)
    ]


@pytest.fixture(scope="module")
def maps(photos, tmp_path_factory):
    """A run that gives activation maps."""
    config = ppc_folder.get_config()
    config.method.update(small_view=24, projection=8, affinity=(8, 8, 8))
    return train(config, tmp_path_factory.mktemp("runs") / "maps", photos)


@pytest.fixture(scope="module")
def cams(maps):
    """Its export with a CRF and labels for affinity."""
    out = maps.parent / "cams"
    export(maps, out, "--crf=k1", "--alpha=8", "--affinity_labels=4,24")
    return out


@pytest.fixture(scope="module")
def affinity(photos, cams):
    """A run that learnt affinities from these labels."""
    config = affinity_folder.get_config()
    config.method.widths = (4, 4, 8)
    return train(config, cams.parent / "a", photos, masks=str(cams / "labels"))


def test_export_says_what_made_it(maps, cams):
    record = json.loads((cams / provenance.NAME).read_text())
    assert record["crf"] == "k1" and record["affinity_labels"] == [4.0, 24.0]
    assert record["alpha"] == 8.0 and record["evaluation"] == "maps"
    assert record["checkpoint"] == {"run": str(maps), "step": 2}
    assert record["classes"] == list(CLASSES) and record["images"] == 6
    low, high, both = (
        np.asarray(Image.open(cams / name / "p0.png"))
        for name in ("labels_low", "labels_high", "labels")
    )
    np.testing.assert_array_equal(both == IGNORE, (low == 0) & (high != 0))
    assert (cams / "scores/p0.npz").is_file()


def test_auto_labels_are_cut_at_the_threshold_of_the_masks(maps, tmp_path, capsys):
    metrics, _ = export(maps, tmp_path, "--affinity_labels=auto", "--threshold=0.6")
    assert "foreground above 0.60, background below 0.20" in capsys.readouterr().err
    masks, low, high = (
        np.asarray(Image.open(tmp_path / name / "p0.png"))
        for name in ("masks", "labels_low", "labels_high")
    )
    np.testing.assert_array_equal(low, masks)
    assert ((high != 0) | (low == 0)).all()


def test_masks_behind_a_crf_are_its_arg_max(cams):
    """The threshold was for the CRF; what it gives are probabilities."""
    metrics = json.loads((cams / "metrics.json").read_text())
    assert metrics["stages"] == "dense CRF k1, background (1 - best)^8"
    assert metrics["arg_max"] and metrics["exported"]["threshold"] == 0.5


def test_affinity_walks_and_a_segmenter_learns(photos, cams, affinity, tmp_path):
    walked = tmp_path / "walked"
    metrics, record = export(affinity, walked, f"--cams={cams}")
    assert "random walk" in metrics["stages"] and metrics["evaluation"] == "affinity"
    assert record["cams"]["crf"] == "k1" and record["walk_background"] == 0.5
    assert metrics["classes"] == list(CLASSES) and metrics["images"] == 6
    assert len(list((walked / "masks").glob("*.png"))) == 6

    config = segment_folder.get_config()
    config.method.head_settings = {"width": 8, "rate": 2}
    segmenter = train(config, tmp_path / "s", photos, masks=str(walked))
    predictor = ppcjax.load(segmenter)
    assert predictor.classes == CLASSES
    for size in ((1, 1), (30, 45)):
        found = predictor.predict(np.full((*size, 3), 99, np.uint8))
        assert found.mask.shape == size and found.scores.shape == (*size, 3)
    for image, message in (
        (np.zeros((4, 4)), "float64"),
        (np.zeros((0, 4, 3), np.uint8), "empty"),
    ):
        with pytest.raises(UserError, match=message):
            predictor.predict(image)
    _, record = export(segmenter, tmp_path / "segmented", "--crf=k1", "--noscores")
    assert record["masks"] == str(walked)
    assert not (tmp_path / "segmented/scores").exists()


def test_affinity_network_does_not_segment_by_itself(affinity):
    with pytest.raises(UserError, match="needs the scores"):
        ppcjax.load(affinity)


def test_tags_restrict_what_a_photo_can_show(maps):
    predictor = ppcjax.load(maps)
    image = np.zeros((20, 20, 3), np.uint8)
    assert predictor.predict(image, tags="red").tags == ("red",)
    with pytest.raises(UserError, match="unknown tag 'blue'; the classes are"):
        predictor.predict(image, tags=["blue"])


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--crf=k9", "--crf='k9': give one of .*k1"),
        ("--alpha=8.0", "eval.alpha=8.0: give crf, too"),
        ("--affinity_labels=24,4", "give a low and a high alpha"),
        ("--affinity_labels=4", "--affinity_labels='4': give 2 values"),
        ("--cams=somewhere", "--cams is no option of the evaluation 'maps'"),
    ],
)
def test_stages_that_do_not_fit_are_refused(maps, tmp_path, option, message):
    with pytest.raises(UserError, match=message):
        export(maps, tmp_path / "out", option)
    assert not (tmp_path / "out").exists()


def test_affinity_network_asks_for_scores(affinity, cams, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(UserError, match="give the scores that are to walk, --cams"):
        export(affinity, out)
    with pytest.raises(UserError, match="there is no folder .*no/scores; export"):
        export(affinity, out, f"--cams={tmp_path / 'no'}")
    copy = tmp_path / "cams"
    shutil.copytree(cams, copy)
    (copy / "scores/p3.npz").unlink()
    with pytest.raises(UserError, match="p3.npz is not there: export the scores"):
        export(affinity, out, f"--cams={copy}")
    record = json.loads((copy / provenance.NAME).read_text())
    for changed, message in (
        (record | {"classes": ["a", "b"]}, "its scores are of the classes a, b, but"),
        (record | {"classes": 5}, "its scores are of the classes 5, but"),
        ([1], "provenance.json holds no names and values; export that folder again"),
        # A record of another program says nothing of classes: the files count.
        ({"made by": "hand"}, "p3.npz is not there"),
    ):
        (copy / provenance.NAME).write_text(json.dumps(changed))
        with pytest.raises(UserError, match=message):
            export(affinity, out, f"--cams={copy}")


def test_scores_of_an_export_lie_within_0_and_1(cams):
    classes, scores = files.read_scores(cams, "p0", num_classes=3)
    assert set(classes) <= {1, 2} and scores.shape[1:] == (28, 40)
    assert 0 <= scores.min() and scores.max() <= 1
