"""From shapes to masks through the two command lines, on the real method."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
STEPS = 6
SMALL = [
    "--config=configs/ppc_shapes.py",
    f"--config.steps={STEPS}",
    "--config.checkpoint_every=2",
    "--config.log_every=1",
    "--config.data.size=48",
    "--config.data.crop=48",
    "--config.data.long_side=(48, 56)",
    "--config.data.batch_size=2",
    "--config.method.small_view=32",
    "--config.method.backbone_settings.width=4",
]


def _environment():
    return {
        **os.environ,
        "JAX_PLATFORMS": "cpu",
        "JAX_NUM_CPU_DEVICES": "1",
        "JAX_COMPILATION_CACHE_DIR": str(ROOT / ".cache" / "jax"),
    }


def _run(*words):
    return subprocess.run(
        [sys.executable, *words],
        cwd=ROOT,
        env=_environment(),
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "unbroken"
    result = _run("train.py", *SMALL, f"--workdir={folder}")
    assert result.returncode == 0, result.stderr
    return folder


def _parameters(folder):
    from ppcjax.runs import checkpoint

    restored = checkpoint.restore(folder)
    assert restored.step == STEPS
    return restored.params


@pytest.mark.slow
def test_interrupted_run_ends_where_the_unbroken_one_does(run_folder, tmp_path):
    import chex

    command = [sys.executable, "train.py", *SMALL, f"--workdir={tmp_path}"]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    log = tmp_path / "metrics.jsonl"
    deadline = time.monotonic() + 300
    while not (log.exists() and log.read_text()) and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=120) == 143
    result = _run("train.py", *SMALL, f"--workdir={tmp_path}")
    assert result.returncode == 0, result.stderr
    chex.assert_trees_all_equal(_parameters(tmp_path), _parameters(run_folder))


def test_eval_writes_masks_scores_and_a_report(run_folder, tmp_path):
    result = _run(
        "eval.py", f"--ckpt={run_folder}", "--limit=5", f"--export={tmp_path}"
    )
    assert result.returncode == 0, result.stderr
    from PIL import Image

    masks = sorted((tmp_path / "masks").glob("*.png"))
    assert len(masks) == 5
    with Image.open(masks[0]) as mask:
        assert mask.mode == "P" and mask.size == (48, 48)
        assert np.asarray(mask).max() < 6
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["split"] == "test" and metrics["step"] == STEPS
    page = (tmp_path / "report.html").read_text()
    assert "<script" in page and "http://" not in page.replace("http://www.w3.org/", "")


@pytest.mark.slow
def test_photos_without_tags_get_masks(run_folder, tmp_path):
    from PIL import Image

    photos = tmp_path / "photos"
    photos.mkdir()
    rng = np.random.default_rng(0)
    for name, size in (("wide", (61, 33)), ("dot", (1, 1))):
        pixels = rng.integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
        Image.fromarray(pixels).save(photos / f"{name}.png")
    out = tmp_path / "out"
    result = _run(
        "eval.py", f"--ckpt={run_folder}", f"--images={photos}", f"--export={out}"
    )
    assert result.returncode == 0, result.stderr
    with Image.open(out / "masks" / "wide.png") as mask:
        assert mask.size == (61, 33)


def test_another_config_does_not_resume(run_folder):
    result = _run(
        "train.py", *SMALL, "--config.method.intra=0.5", f"--workdir={run_folder}"
    )
    assert result.returncode == 1
    assert result.stderr.count("error:") == 1 and "intra" in result.stderr
