"""Files of predictions: what they hold, and what is said of those that cannot be."""

import numpy as np
import pytest
from PIL import Image

from ppcjax.data_pipelines import make_source
from ppcjax.evaluate.masks import files
from ppcjax.evaluate.results import results
from ppcjax.predict.prediction import Prediction, predict_mask
from ppcjax.report.palette import voc_palette
from ppcjax.runs.files import write_file
from ppcjax.runs.there import LIST
from ppcjax.types import IGNORE, UserError
from tests.data import fake_data
from tests.evaluate.masks.toy import make_example


def make_prediction(name):
    example = make_example(0)
    scores = np.zeros((*example.mask.shape, 3), np.float32)
    scores[8:28, 8:32, 1], scores[0, 0, 1] = 0.75, -1.0
    tags = np.array([True, True, False])
    return Prediction(example._replace(id=name), scores, tags)


def test_prediction_becomes_a_mask_scores_and_an_overlay(tmp_path):
    prediction = make_prediction("sub/a.b")
    scores = prediction.scores
    files.write_prediction(prediction, results(tmp_path), threshold=0.26)
    with Image.open(tmp_path / "masks/sub/a.b.png") as mask:
        assert mask.mode == "P"
        np.testing.assert_array_equal(np.asarray(mask), predict_mask(scores, 0.26))
        assert mask.getpalette()[3:6] == voc_palette()[1].tolist()
    with np.load(tmp_path / "scores/sub/a.b.npz") as file:
        assert file["classes"].tolist() == [1] and file["scores"].dtype == np.float16
        np.testing.assert_allclose(file["scores"][0], np.maximum(scores[..., 1], 0))
    with Image.open(tmp_path / "overlays/sub/a.b.jpg") as overlay:
        assert overlay.size == scores.shape[1::-1]
    names = {p.name for p in tmp_path.iterdir()}
    assert names == {"masks", "scores", "overlays", LIST}
    assert not list(tmp_path.rglob("*.tmp"))


def test_scores_are_left_out_where_they_are_not_wanted(tmp_path):
    files.write_prediction(
        make_prediction("a"), results(tmp_path), threshold=0.26, scores=False
    )
    assert (tmp_path / "masks/a.png").is_file()
    assert not (tmp_path / "scores").exists()


def test_labels_are_written_where_there_are_any(tmp_path):
    low, high = np.zeros((2, 40, 48), np.uint8)
    low[:20], high[10:] = 1, 1
    labelled = make_prediction("a")._replace(labels=(low, high))
    files.write_prediction(labelled, results(tmp_path), threshold=0.26, scores=False)
    found = {
        name: np.asarray(Image.open(tmp_path / name / "a.png"))
        for name in ("labels_low", "labels_high", "labels")
    }
    np.testing.assert_array_equal(found["labels_low"], low)
    np.testing.assert_array_equal(found["labels_high"], high)
    unsure = (low == 0) & (high != 0)
    np.testing.assert_array_equal(found["labels"] == IGNORE, unsure)


def test_scores_come_back(tmp_path):
    prediction = make_prediction("sub/a")
    files.write_prediction(prediction, results(tmp_path), threshold=0.26)
    classes, scores = files.read_scores(tmp_path, "sub/a", num_classes=3)
    assert classes.tolist() == [1] and scores.dtype == np.float32
    np.testing.assert_allclose(scores[0], np.maximum(prediction.scores[..., 1], 0))


def test_scores_that_are_not_there_are_named(tmp_path):
    with pytest.raises(UserError, match="p9.npz is not there: export the scores"):
        files.read_scores(tmp_path, "p9", num_classes=3)


@pytest.mark.parametrize("seed", range(40))
def test_damaged_scores_are_named(tmp_path, seed):
    """One byte in a hundred is wrong, or the file ends early."""
    path = tmp_path / "scores/a.npz"
    rng = np.random.default_rng(seed)
    write_file(path, files.scores_bytes(rng.random((20, 30, 3)), np.ones(3, bool)))
    content = np.frombuffer(path.read_bytes(), np.uint8).copy()
    if seed % 4 == 0:
        content = content[: rng.integers(len(content))]
    else:
        places = rng.integers(0, len(content), len(content) // 100)
        content[places] = rng.integers(0, 256, places.size)
    path.write_bytes(content.tobytes())
    with pytest.raises(UserError, match="a.npz is damaged .*; export it again"):
        files.read_scores(tmp_path, "a", num_classes=3)


def test_scores_of_a_photo_that_shows_nothing_come_back(tmp_path):
    tags = np.array([True, False, False])
    content = files.scores_bytes(np.zeros((4, 5, 3)), tags)
    write_file(tmp_path / "scores/a.npz", content)
    classes, scores = files.read_scores(tmp_path, "a", num_classes=3)
    assert classes.shape == (0,) and scores.shape == (0, 4, 5)


@pytest.mark.parametrize(
    ("classes", "scores", "message"),
    [
        (np.int64(1), np.zeros(3), r"scores \[3\] of classes \[\]"),
        ([1, 2], np.zeros((1, 4, 5)), r"scores \[1, 4, 5\] of classes \[2\]"),
        ([1], np.zeros((1, 0, 5)), r"scores \[1, 0, 5\]"),
        ([1], np.full((1, 4, 5), np.nan), "give finite"),
        ([1, 3], np.zeros((2, 4, 5)), r"holds classes \[1, 3\]; the run has 1 to 2"),
        ([0], np.zeros((1, 4, 5)), r"holds classes \[0\]"),
        ([0.5], np.zeros((1, 4, 5)), r"holds classes \[0.5\]"),
    ],
)
def test_scores_of_something_else_are_named(tmp_path, classes, scores, message):
    (tmp_path / "scores").mkdir()
    np.savez(tmp_path / "scores/a.npz", classes=classes, scores=scores)
    with pytest.raises(UserError, match=f"a.npz.*{message}") as caught:
        files.read_scores(tmp_path, "a", num_classes=3)
    assert "\n" not in str(caught.value)


def test_classes_are_lines():
    assert files.class_list(("background", "red")) == b"background\nred\n"


def test_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot write .*file/masks/a.png"):
        write_file(tmp_path / "file/masks/a.png", b"")


@pytest.mark.parametrize("name", ["a", "sub/a", "train/a", "größe", "a [1]"])
@pytest.mark.parametrize("count", [1, 2, 254])
def test_an_export_goes_back_in_unchanged(tmp_path, name, count):
    """Masks and class list of an export, learnt from by `config.data.masks`."""
    classes = ("background", *(f"class {i}" for i in range(1, count + 1)))
    mask = np.arange(20 * 30).reshape(20, 30) % len(classes)
    fake_data.write_image(tmp_path / f"photos/{name}.jpg")
    (tmp_path / "photos/classes.txt").write_bytes(files.class_list(classes))
    split = "train" if name.startswith("train") else "all"
    data = {"source": "folder", "root": str(tmp_path / "photos")}
    data["masks"] = str(tmp_path / "out")
    write_file(tmp_path / f"out/masks/{name}.png", files.mask_bytes(mask))
    (tmp_path / "out/classes.txt").write_bytes(files.class_list(classes))
    source = make_source(data, split)
    assert source.ids == (name,) and source.classes == classes
    np.testing.assert_array_equal(source.record(0).mask(), mask)
