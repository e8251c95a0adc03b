"""The wheel in an empty environment: tests that a file of each Python takes from here.

First with the base alone, then with the extra for training: the order is that of this
file. A file is what one worker gets, so that two Pythons are tried side by side.
"""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import ppcjax
from ppcjax import program
from tests.install import environments, pythons
from tests.install.building import ROOT, built

# Imported by these programs alone, which say so when they are started.
NEEDS_MORE = {
    "ppcjax.data_pipelines.imagenet_builder": "tensorflow_datasets",
    "ppcjax.data_pipelines.voc_builder": "tensorflow_datasets",
}
# What the extra `label` brings: the server of the page of labels.
NEEDS_LABEL = {
    "ppcjax.label.app": "starlette",
    "ppcjax.label.guard": "starlette",
    "ppcjax.label.serving": "uvicorn",
}
SMALL = [
    "--config.steps=2",
    "--config.log_every=1",
    "--config.data.size=48",
    "--config.data.crop=48",
    "--config.data.long_side=(48, 56)",
    "--config.data.batch_size=2",
    "--config.method.small_view=32",
    "--config.method.backbone_settings.width=4",
]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return built(ROOT, tmp_path_factory.mktemp("built")).wheel


@pytest.fixture(scope="module")
def empty(request, wheel, tmp_path_factory):
    """An environment with nothing but the wheel and what it needs."""
    found = pythons.find()
    version = list(found)[request.module.PLACE]
    if request.module.PLACE and len(found) == 1:
        pytest.skip(f"Python {version} is the only one of {pythons.supported()} here")
    folder = tmp_path_factory.mktemp(f"python{version}")
    made = environments.make(version, found[version], folder)
    made.install(wheel)
    yield made
    # Gigabytes, of which pytest would keep those of its last runs.
    shutil.rmtree(made.folder)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run that was made elsewhere: in the checkout, with its libraries."""
    folder = tmp_path_factory.mktemp("elsewhere") / "run"
    words = ["--config=ppc_shapes:cam", *SMALL, f"--workdir={folder}"]
    cache = {"JAX_COMPILATION_CACHE_DIR": str(ROOT / ".cache" / "jax")}
    done = subprocess.run(
        [sys.executable, "train.py", *words],
        cwd=ROOT,
        env=os.environ | cache,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Two photos in a folder per tag."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for tag in ("cat", "dog"):
        (folder / tag).mkdir()
        for index in range(4):
            pixels = rng.integers(0, 256, (48, 56, 3), np.uint8)
            Image.fromarray(pixels).save(folder / tag / f"{tag}{index}.png")
    return folder


def done(finished):
    """What a command that went well printed."""
    assert finished.returncode == 0, finished.stderr
    assert "Traceback" not in finished.stderr
    return finished.stdout


def error_of(finished):
    """The one line with which a command failed."""
    assert finished.returncode == 1, finished.stdout + finished.stderr
    assert finished.stderr.startswith("error: "), finished.stderr
    assert finished.stderr.count("\n") == 1, finished.stderr
    return finished.stderr


def test_it_is_whole_and_small(empty, capsys):
    assert "tensorflow" not in " ".join(empty.distributions()).lower()
    assert "No broken" in (said := empty.check()) or "compatible" in said
    size = empty.megabytes()
    with capsys.disabled():
        print(f"\nPython {empty.version}: base {size:,.0f} MB")
    assert size < 850


def test_every_module_is_imported_with_what_is_declared(empty):
    found = empty.scan()
    assert found["failed"] == NEEDS_MORE | NEEDS_LABEL
    assert found["count"] > 200 and not found["heavy"]
    assert str(empty.folder) in found["file"]


@pytest.mark.parametrize("word", program.COMMANDS)
def test_every_command_says_what_it_does(empty, word):
    said = done(empty.ppcjax(word, "--help"))
    assert f"ppcjax {word}" in said and ".py " not in said


def test_the_version(empty):
    assert done(empty.ppcjax("--version")) == f"ppcjax {ppcjax.__version__}\n"
    assert done(empty.ppcjax()) == done(empty.ppcjax("--help"))


def test_weights_are_listed(empty):
    assert "efficientnet_lite0" in done(empty.ppcjax("weights", "list"))


def test_a_folder_is_inspected_and_training_it_says_what_to_install(empty, photos):
    said = done(empty.ppcjax("inspect", photos))
    assert "cat" in said and "contact sheet" in said
    for words in ([], ["--config=ppc_folder"], ["--config=nope"]):
        assert 'pip install "ppcjax[train]"' in error_of(empty.ppcjax("train", *words))


def test_extras_are_said_in_one_line(empty, run, photos):
    # HTTP is never reached: what reads it is not installed.
    fetched = empty.ppcjax("weights", "fetch", "hf://nobody/nothing/x.safetensors")
    assert 'pip install "ppcjax[weights]"' in error_of(fetched)
    options = ["--export_model=exported", "--onnx"]
    exported = empty.ppcjax("eval", "--ckpt", run, *options)
    assert 'pip install "ppcjax[onnx]"' in error_of(exported)
    for name in NEEDS_MORE:
        started = empty.module(name, "--root=x", "--tfds_dir=y")
        assert 'pip install "ppcjax[train]"' in error_of(started)


def test_photos_are_evaluated_by_a_run_made_elsewhere(empty, run, photos, tmp_path):
    out = tmp_path / "out"
    words = ["--ckpt", run, "--images", photos, "--export", out]
    assert str(out / "report.html") in done(empty.ppcjax("eval", *words))
    assert len(list((out / "masks").rglob("*.png"))) == 8
    record = json.loads((out / "provenance.json").read_text())
    assert record["command"].startswith("ppcjax eval --ckpt ")
    assert record["version"] == ppcjax.__version__


def test_photos_are_predicted_and_masks_scored(empty, run, photos, tmp_path):
    out = tmp_path / "out"
    words = [run, photos, "--out", out]
    done(empty.ppcjax("predict", *words))
    masks, figures = out / "masks", tmp_path / "figures.json"
    assert len(list(masks.rglob("*.png"))) == 8
    assert len(list((out / "overlays").rglob("*.jpg"))) == 8
    assert len((out / "photos.csv").read_text().splitlines()) == 9
    assert (out / "report.html").stat().st_size > 1000
    done(empty.ppcjax("score", masks, masks, "--json", figures))
    assert json.loads(figures.read_text())["mean_iou"] == 1


def test_from_python(empty, run, photos):
    photo = photos / "cat" / "cat0.png"
    call = f"ppcjax.load({str(run)!r}).predict({str(photo)!r})"
    assert (
        empty.code(f"import ppcjax; print({call}.mask.shape)").split("\n")[-2]
        == "(48, 56)"
    )


def test_networks_are_exported(empty, run, tmp_path):
    """What jax.export needs beside JAX is declared, too."""
    out = tmp_path / "exported"
    done(empty.ppcjax("eval", "--ckpt", run, f"--export_model={out}"))
    assert (out / "model.jaxexp").stat().st_size > 1000
    file = tmp_path / "network.safetensors"
    done(empty.ppcjax("eval", "--ckpt", run, f"--export_weights={file}"))
    assert file.stat().st_size > 1000


def test_a_config_of_ones_own_beside_names_that_clash(empty, run):
    """Its `from configs import base` means those of ppcjax."""
    text = "from configs import ppc_shapes\nget_config = ppc_shapes.get_config\n"
    (empty.home / "mine.py").write_text(text)
    assert "classes" in done(empty.ppcjax("inspect", "--config=mine.py"))
    near = error_of(empty.ppcjax("inspect", "--config=configs/ppc_voc.py"))
    assert "--config ppc_voc\n" in near


@pytest.fixture(scope="module")
def training(empty, wheel):
    """The same environment with the extra for training."""
    empty.install(wheel, "train")
    return empty


def test_with_the_extra_it_trains(training, tmp_path, capsys):
    with capsys.disabled():
        print(f"\nPython {training.version}: train {training.megabytes():,.0f} MB")
    training.check()
    words = ["--config", "ppc_shapes:cam", *SMALL, "--workdir", tmp_path / "run"]
    trained = training.ppcjax("train", *words)
    assert trained.returncode == 0, trained.stderr
    assert "finished: 2 steps" in trained.stderr
    kept = (tmp_path / "run" / "checkpoints" / "2").rglob("metadata")
    versions = [json.loads(file.read_text())["versions"] for file in kept]
    assert [found["ppcjax"] for found in versions] == [ppcjax.__version__]


def test_with_the_extra_every_module_is_imported(training):
    """What requirements.txt names is the base and this extra, and all is there."""
    found = training.scan()
    assert found["failed"] == NEEDS_LABEL and found["count"] > 200


@pytest.mark.parametrize("word", program.COMMANDS)
def test_with_the_extra_every_command_says_what_it_does(training, word):
    assert f"ppcjax {word}" in done(training.ppcjax(word, "--help"))


def test_with_the_extra_records_are_prepared_and_read(training, tmp_path):
    """The library of data sets imports much that it does not declare, and late."""
    root, records = tmp_path / "VOC2012", tmp_path / "records"
    for folder in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (root / folder).mkdir(parents=True)
    mask = np.zeros((24, 32), np.uint8)
    mask[4:12, 4:20] = 8  # a cat
    Image.fromarray(mask + 20).convert("RGB").save(root / "JPEGImages" / "a.jpg")
    Image.fromarray(mask).save(root / "SegmentationClass" / "a.png")
    (root / "ImageSets/Segmentation/train.txt").write_text("a\n")
    words = ["--root", root, "--tfds_dir", records]
    done(training.module("ppcjax.data_pipelines.voc_builder", *words))
    words = [f"--config.data.{n}_split=train" for n in ("train", "val", "eval")]
    read = [f"--config.data.tfds_dir={records}", "--config.data.root=", *words]
    assert "1 photo" in done(training.ppcjax("inspect", "--config=ppc_voc", *read))
    started = training.module("ppcjax.data_pipelines.imagenet_builder", "--help")
    assert "--tfds_dir" in done(started)


def test_with_the_extra_configs_are_listed(training):
    listed = training.ppcjax("train")
    assert "--config=CONFIG is missing" in error_of(listed)
    assert "ppc_folder" in listed.stdout and "shapes" in listed.stdout
