"""A frozen network of random weights under the commands, from photos to masks."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import ppcjax
from tests import folder_photos
from tests.frozen.networks import SETTINGS, network

ROOT = Path(__file__).parents[2]
SIDE = 32
CONFIG = """
from ppcjax.configs import {name}, voc

def get_config(variant=""):
    c = {name}.get_config(variant)
    c.frozen.backbone_settings = {settings}
    if "folder" not in c.name:
        voc.to_folder(c)
        c.init_from, c.method.backbone = "", "frozen"
    return c
"""
PPC = [
    "--config.steps=4",
    "--config.checkpoint_every=2",
    "--config.method.contrast_start=2",
    "--config.method.small_view=16",
    f"--config.data.crop={SIDE}",
    f"--config.data.long_side=({SIDE}, {SIDE})",
    "--config.data.batch_size=2",
    "--config.data.train_split=all",
    "--config.data.val_split=",
    f"--config.eval.max_side={SIDE}",
]


def _run(*words, code=0):
    environment = {
        **os.environ,
        "JAX_PLATFORMS": "cpu",
        "JAX_NUM_CPU_DEVICES": "1",
        "JAX_COMPILATION_CACHE_DIR": str(ROOT / ".cache" / "jax"),
    }
    found = subprocess.run(
        [sys.executable, *map(str, words)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert found.returncode == code, found.stderr
    return found.stdout + found.stderr


@pytest.fixture(scope="module")
def there(tmp_path_factory):
    """Photos with masks, and weights under their published names."""
    folder = tmp_path_factory.mktemp("frozen")
    (folder / "photos").mkdir()
    folder_photos.write(folder / "photos")
    (folder / "photos" / "masks").mkdir()
    for file in (folder / "photos").glob("*.png"):
        pixels = np.asarray(Image.open(file))
        mask = (pixels == 240).any(-1) * (1 + (pixels[..., 0] < 240))
        Image.fromarray(mask.astype(np.uint8)).save(folder / "photos/masks" / file.name)
    (folder / "photos/classes.txt").write_text("background\nred\ngreen\n")
    from ppcjax.weights.arrays import backbone_arrays

    variables = network().variables
    arrays, _ = backbone_arrays({"backbone": variables["params"]}, {})
    np.savez(folder / "vit.npz", **arrays)
    return folder


def _frozen(there, name="ppc_dino_folder", variant=""):
    file = there / f"{name}.py"
    settings = SETTINGS["backbone_settings"]
    file.write_text(CONFIG.format(name=name, settings=settings))
    return [
        f"--config={file}:{variant}",
        f"--config.data.root={there / 'photos'}",
        f"--config.frozen.weights={there / 'vit.npz'}",
        f"--config.frozen.cache={there / 'cache'}",
    ]


@pytest.fixture(scope="module")
def trained(there):
    folder = there / "run"
    said = _run("train.py", *_frozen(there), *PPC, f"--workdir={folder}")
    return folder, said


def test_each_photo_is_looked_at_once(there, trained):
    folder, said = trained
    assert "looking at photos: 6/6 photos" in said
    # Six photos, each at two sizes.
    assert len(list((there / "cache").rglob("*.features"))) == 12
    config = json.loads((folder / "config.json").read_text())
    assert config["frozen"]["digest"] == network().digest
    layout = {"width": 12, "stride": 8, "class_attention": True}
    assert config["method"]["backbone_settings"] == layout


def test_evaluation_looks_up_what_training_saw(there, trained):
    folder, _ = trained
    _run("eval.py", f"--ckpt={folder}")
    assert len(list((there / "cache").rglob("*.features"))) == 12
    metrics = json.loads((folder / "eval-all/metrics.json").read_text())
    assert metrics["images"] == 6


def test_a_run_segments_photos_without_its_cache(there, trained, monkeypatch):
    folder, _ = trained
    photo = np.asarray(Image.open(there / "photos" / "p0.png"))
    kept = ppcjax.load(folder).predict(photo)
    monkeypatch.setattr("ppcjax.frozen.network.Frozen.cache", None)
    fresh = ppcjax.load(folder).predict(photo)
    np.testing.assert_array_equal(kept.mask, fresh.mask)
    np.testing.assert_allclose(kept.scores, fresh.scores, atol=1e-5)


def test_what_a_run_learnt_is_opened_by_itself(there, trained, tmp_path):
    """Its file of weights, alone and under a config that makes other maps of it."""
    folder, _ = trained
    file = tmp_path / "learnt.safetensors"
    _run("eval.py", f"--ckpt={folder}", f"--export_weights={file}")
    shared = ("--split=all", f"--root={there / 'photos'}")
    found = []
    for name, words in (
        ("run", (f"--ckpt={folder}",)),
        ("file", (f"--ckpt={file}",)),
        ("config", (*_frozen(there), *PPC, f"--ckpt={file}")),
        ("plain", (*_frozen(there, variant="plain"), *PPC, f"--ckpt={file}")),
    ):
        _run("eval.py", *words, *shared, f"--export={tmp_path / name}")
        metrics = json.loads((tmp_path / name / "metrics.json").read_text())
        found.append(metrics["thresholds"]["fixed"]["mean_iou"])
    assert found[0] == found[1] == found[2] != found[3]


def test_a_run_goes_on_as_it_began(there, trained):
    folder, _ = trained
    said = _run("train.py", *_frozen(there), *PPC, f"--workdir={folder}")
    assert "finished" in said
    command = ("train.py", *_frozen(there), *PPC, f"--workdir={folder}")
    for free in ("batch_size=2", "cache_gib=1.0", f"cache={there / 'elsewhere'}"):
        assert "finished" in _run(*command, f"--config.frozen.{free}")
    for other in ("dtype=bfloat16", "weights=other.npz"):
        said = _run(*command, f"--config.frozen.{other}", code=1)
        assert f"frozen.{other.partition('=')[0]} (there" in said


def test_what_a_run_kept_that_never_began_is_not_taken(there, trained, tmp_path):
    """Killed before its first checkpoint, it starts with what is named now."""
    shutil.copy(trained[0] / ".ppcjax.jsonl", tmp_path)
    (tmp_path / "frozen.f32").write_bytes(b"of other weights")
    _run("train.py", *_frozen(there), *PPC, f"--workdir={tmp_path}")
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["frozen"]["digest"] == network().digest


def test_an_export_for_any_size_is_refused_as_of_every_transformer(trained, tmp_path):
    folder, _ = trained
    words = (f"--ckpt={folder}", f"--export_model={tmp_path / 'out'}")
    said = _run("eval.py", *words, code=1)
    assert "cannot be exported for images of any size" in said
    assert "Traceback" not in said


def test_a_network_that_is_missing_is_said(trained, tmp_path):
    folder, _ = trained
    file = folder / "frozen.f32"
    content = file.read_bytes()
    file.unlink()
    try:
        said = _run("eval.py", f"--ckpt={folder}", code=1)
    finally:
        file.write_bytes(content)
    assert "frozen.f32 is missing" in said and "Traceback" not in said


def test_what_has_nothing_to_learn_is_not_trained(there):
    narrow = "--config.frozen.debias=0"  # of twelve channels
    said = _run("train.py", *_frozen(there, "panet_dino"), narrow, code=1)
    assert "nothing to train" in said and "Traceback" not in said


def test_examples_teach_classes_without_training(there):
    said = _run(
        *("eval.py", *_frozen(there, "panet_dino")),
        "--config.data.novel=('green',)",
        "--config.frozen.debias=2",
        *("--split=all", "--episodes=2", "--seeds=0", "--shots=1", f"--size={SIDE}"),
        "--min_pixels=1",
        f"--export={there / 'few'}",
    )
    assert "mean IoU" in said
