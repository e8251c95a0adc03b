import json
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from ppcjax.data_pipelines.sources.photos import photos
from ppcjax.data_pipelines.sources.subset import evenly_spaced, part

from ppcjax import methods
from ppcjax.evaluate.masks import evaluation as evaluate
from ppcjax.evaluate.masks import files as export
from ppcjax.evaluate.masks import summary
from ppcjax.evaluate.masks.metric import predict_mask
from ppcjax.predict import tta
from ppcjax.report import progress
from ppcjax.report.palette import voc_palette
from ppcjax.runs.checkpoint import Checkpoints
from ppcjax.types import IGNORE, Method, TrainState, UserError

ROOT = Path(__file__).resolve().parent.parent
CLASSES = ("background", "red", "green")


class Masked(NamedTuple):
    id: str
    image: np.ndarray
    tags: np.ndarray | None
    mask: np.ndarray | None


def make_example(index, *, masked=True, size=(40, 48)):
    """A dark image with a square of the colour that is its class."""
    label = 1 + index % 2
    image = np.full((*size, 3), 20, np.uint8)
    mask = np.zeros(size, np.int32)
    image[8:28, 8:32, label - 1] = 250
    mask[8:28, 8:32], mask[0] = label, IGNORE
    tags = np.eye(3, dtype=np.float32)[label] + np.eye(3, dtype=np.float32)[0]
    return Masked(f"photo{index}", image, tags, mask if masked else None)


def colour_method():
    """Scores are how red and how green a cell of 4 x 4 pixels is."""

    def predict(params, model_state, batch):
        x = batch["image"].astype(jnp.float32) / 255
        b, height, width, _ = x.shape
        x = x.reshape(b, height // 4, 4, width // 4, 4, 3).mean((2, 4))
        scores = jnp.pad(x[..., :2], [(0, 0)] * 3 + [(1, 0)])
        return {"scores": scores, "tag_logits": scores.mean((1, 2)) - 0.1}

    return Method(None, None, predict, gives="maps")


def predict(examples, **settings):
    return tta.predict(colour_method(), None, None, examples, **settings)


def test_counts_are_those_of_the_masks_that_were_handed_on():
    examples = [make_example(i, masked=i < 4) for i in range(6)]
    handed = {}
    found = evaluate.evaluate(
        predict(examples, scales=(1.0,), batch_size=4),
        metric=evaluate.make_metric(CLASSES, (0.26, 0.4)),
        uses=[lambda p: handed.__setitem__(p.example.id, p)],
    )
    assert (found.images, found.masked, len(handed)) == (6, 4, 6)
    hit = np.zeros(3)
    union = np.zeros(3)
    for example in examples[:4]:
        keep = example.mask != IGNORE
        predicted = predict_mask(handed[example.id].scores, 0.26)[keep]
        for c in range(3):
            hit[c] += ((predicted == c) & (example.mask[keep] == c)).sum()
            union[c] += ((predicted == c) | (example.mask[keep] == c)).sum()
    np.testing.assert_allclose(found.result["class_iou"][0], hit / union)
    assert found.result["mean_iou"][0] > 0.7


def test_no_masks_no_result():
    metric = evaluate.make_metric(CLASSES)
    examples = [make_example(0, masked=False)]
    found = evaluate.evaluate(predict(examples, scales=(1.0,)), metric=metric)
    assert found == evaluate.Evaluation(1, 0, None)
    table = summary.compare_thresholds(None, threshold=0.26)
    assert table == {"fixed": {"threshold": 0.26}, "chosen": None, "oracle": None}


def test_thresholds_are_told_apart():
    metric = evaluate.make_metric(CLASSES, evaluate.sweep_with(0.265))
    examples = [make_example(i) for i in range(2)]
    found = evaluate.evaluate(predict(examples), metric=metric)
    chosen = {"threshold": 0.1, "split": "val", "images": 9}
    table = summary.compare_thresholds(found.result, threshold=0.265, chosen=chosen)
    assert table["oracle"]["mean_iou"] == max(found.result["mean_iou"])
    assert table["fixed"]["mean_iou"] <= table["oracle"]["mean_iou"]
    at = evaluate.sweep_with(0.265).index(0.1)
    assert table["chosen"]["mean_iou"] == found.result["mean_iou"][at]
    assert (table["chosen"]["split"], table["chosen"]["images"]) == ("val", 9)
    assert "mean_iou" not in chosen


def test_settings_that_cannot_work():
    with pytest.raises(UserError, match="no class 'horse'"):
        evaluate.make_metric(CLASSES, report_classes=("red", "horse"))
    for threshold in (-0.1, 1.0):
        with pytest.raises(UserError, match="threshold"):
            evaluate.sweep_with(threshold)


def test_numbers_as_text_and_json():
    assert [summary.threshold_text(t) for t in (0.3, 0.265)] == ["0.30", "0.265"]
    assert [summary.percent(x) for x in (0.5, np.nan, None)] == ["50.0 %", "-", "-"]
    value = {"a": np.array([0.5, np.nan]), 1: (np.int64(3), float("nan"))}
    assert summary.as_json(value) == {"a": [0.5, None], "1": [3, None]}


def test_files_of_a_prediction(tmp_path):
    example = make_example(0)
    scores = np.zeros((*example.mask.shape, 3), np.float32)
    scores[8:28, 8:32, 1], scores[0, 0, 1] = 0.75, -1.0
    tags = np.array([True, True, False])
    prediction = tta.Prediction(example._replace(id="sub/a.b"), scores, tags)
    export.write_prediction(prediction, tmp_path, threshold=0.26)
    with Image.open(tmp_path / "masks/sub/a.b.png") as mask:
        assert mask.mode == "P"
        np.testing.assert_array_equal(np.asarray(mask), predict_mask(scores, 0.26))
        assert mask.getpalette()[3:6] == voc_palette()[1].tolist()
    with np.load(tmp_path / "scores/sub/a.b.npz") as file:
        assert file["classes"].tolist() == [1] and file["scores"].dtype == np.float16
        np.testing.assert_allclose(file["scores"][0], np.maximum(scores[..., 1], 0))
    with Image.open(tmp_path / "overlays/sub/a.b.jpg") as overlay:
        assert overlay.size == example.mask.shape[::-1]
    assert not list(tmp_path.rglob("*.tmp"))
    export.write_prediction(prediction, tmp_path / "b", threshold=0.26, scores=False)
    assert not (tmp_path / "b/scores").exists()


def test_output_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot write .*file/masks/a.png"):
        export.write_mask(tmp_path / "file/masks/a.png", np.zeros((2, 2), np.uint8))


def test_progress_in_a_log_is_plain_lines(capsys):
    assert list(progress.show_progress(range(3), 3, "val")) == [0, 1, 2]
    text = capsys.readouterr().err
    assert text.startswith("val: 3/3 images") and "\r" not in text


def write_photos(folder, *, count=3):
    folder.mkdir(parents=True)
    for i in range(count):
        Image.fromarray(make_example(i).image).save(folder / f"p{i}.png")


def test_photos_of_a_folder_or_pattern(tmp_path):
    write_photos(tmp_path / "a/b")
    assert photos(str(tmp_path), CLASSES).ids == ("a/b/p0", "a/b/p1", "a/b/p2")
    source = photos(str(tmp_path / "a/*/p[01].png"), CLASSES)
    assert source.ids == ("p0", "p1") and source.record(0).tags() is None
    assert source.record(1).photo(0).pixels.shape == (40, 48, 3)
    assert photos(str(tmp_path / "a/b/p2.png"), CLASSES).ids == ("p2",)
    with pytest.raises(UserError, match="no image there"):
        photos(str(tmp_path / "*.jpg"), CLASSES)
    (tmp_path / "a/b/p0.jpg").write_bytes(b"")
    with pytest.raises(UserError, match="only by suffix"):
        photos(str(tmp_path / "a/b/*"), CLASSES)


def test_photos_with_a_table_keep_their_tags(tmp_path):
    write_photos(tmp_path / "photos", count=2)
    (tmp_path / "photos/tags.csv").write_text("p0.png,red\np1.png,green\n")
    source = photos(str(tmp_path / "photos"), CLASSES)
    assert source.record(1).tags().tolist() == [1, 0, 1]
    (tmp_path / "photos/tags.csv").write_text("p0.png,blue\np1.png,green\n")
    with pytest.raises(UserError, match="unknown tag 'blue'"):
        photos(str(tmp_path / "photos"), CLASSES)


def test_part_is_evenly_spaced(tmp_path):
    assert evenly_spaced("abcdefghi", 3) == ["a", "e", "i"]
    assert evenly_spaced("ab", 5) == ["a", "b"]
    write_photos(tmp_path / "photos", count=5)
    source = photos(str(tmp_path / "photos"), CLASSES)
    some = part(source, 3)
    assert some.ids == ("p0", "p2", "p4") and some.record(1).id == "p2"
    assert part(source, None).ids == source.ids


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    """A run of a small network that was never trained."""
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    settings = {
        "name": "ppc",
        "backbone": "small_resnet",
        "backbone_settings": {"width": 8},
    }
    data = {"source": "shapes", "size": 48, "val_size": 3, "test_size": 4}
    data |= {"train_split": "train", "eval_split": "test", "val_split": "val"}
    config = {"name": "tiny", "method": settings, "data": data}
    config["eval"] = {"threshold": 0.3, "scales": [0.5, 1.0], "gallery": 2}
    from ppcjax.data_pipelines import make_source

    classes = make_source(data, "val").classes
    batch = {
        "image": np.zeros((1, 48, 48, 3), np.uint8),
        "valid": np.array([[0, 0, 48, 48]], np.int32),
        "tags": np.zeros((1, len(classes)), np.float32),
    }
    method = methods.make(settings, len(classes))
    params, model_state = method.init(jax.random.key(0), batch)
    state = TrainState(np.int32(7), params, model_state, {})
    checkpoints = Checkpoints(folder, keep=1, config=config, classes=classes)
    checkpoints.save(jax.device_put(state), 7)
    checkpoints.wait()
    checkpoints.close()
    (folder / "metrics.jsonl").write_text('{"step": 7, "train/loss/total": 1.5}\n')
    return folder


def run_eval(*arguments):
    return subprocess.run(
        [sys.executable, "eval.py", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_eval_of_a_split_then_of_photos(run_folder, tmp_path):
    done = run_eval("--ckpt", run_folder)
    assert done.returncode == 0, done.stderr
    out = run_folder / "eval-test"
    assert str(out / "report.html") in done.stdout
    written = json.loads((out / "metrics.json").read_text())
    assert (written["step"], written["images"], written["split"]) == (7, 4, "test")
    assert written["thresholds"]["chosen"]["images"] == 3
    assert written["thresholds"]["fixed"]["threshold"] == 0.3
    classes = (out / "classes.txt").read_text().split()
    assert classes == written["classes"]
    for folder, suffix in (("masks", "png"), ("scores", "npz"), ("overlays", "jpg")):
        assert len(list((out / folder).glob(f"*.{suffix}"))) == 4
    assert (out / "report.html").read_text().count("class='tile'") == 2

    write_photos(tmp_path / "photos")
    Image.fromarray(np.zeros((1, 70, 3), np.uint8)).save(tmp_path / "photos/thin.png")
    (tmp_path / "photos/broken.jpg").write_bytes(b"not an image")
    photo_flags = ("--images", tmp_path / "photos", "--export", tmp_path / "out")
    done = run_eval("--ckpt", run_folder / "checkpoints/7", *photo_flags)
    assert done.returncode == 1 and "broken.jpg" in done.stderr
    assert "Traceback" not in done.stderr
    skip = ("--on_bad_image=skip", "--noscores")
    done = run_eval("--ckpt", run_folder, *photo_flags, *skip)
    assert done.returncode == 0, done.stderr
    assert "(chosen)" in done.stdout and "nothing is scored" in done.stdout
    with Image.open(tmp_path / "out/masks/thin.png") as mask:
        assert mask.size == (70, 1)
    written = json.loads((tmp_path / "out/metrics.json").read_text())
    assert written["images"] == 4 and list(written["skipped"]) == ["broken"]


def test_eval_without_a_checkpoint_is_one_line(tmp_path):
    done = run_eval("--ckpt", tmp_path)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "error: " in done.stderr.splitlines()[-1]
    assert str(tmp_path) in done.stderr.splitlines()[-1]
