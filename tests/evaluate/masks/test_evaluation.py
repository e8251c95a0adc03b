"""The command line on a split and on photos, with a network that maps."""

import json
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

from ppcjax import methods
from ppcjax.runs.checkpoint import Checkpoints
from ppcjax.types import TrainState
from tests.evaluate.masks.toy import write_photos

ROOT = Path(__file__).resolve().parents[3]


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


@pytest.mark.slow
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
    assert (out / "report.html").read_text().count('class="tile"') == 2

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
