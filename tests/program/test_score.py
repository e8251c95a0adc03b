"""`ppcjax score`: folders of masks of every kind, in and out of step."""

import json
import re
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest

from ppcjax import program
from ppcjax.data_pipelines.formats import WRITERS, Exported
from ppcjax.evaluate.scoring.comparing import Comparing, open_pair
from ppcjax.evaluate.scoring.scoring import compare
from ppcjax.runs.files import write_file
from tests.program.mask_folders import LAYOUTS, export, folder, masks

# Formats of annotation tools that need no photo beside them; YOLO looks for one.
FORMATS = [name for name in WRITERS if name != "yolo"]


@pytest.fixture
def score(capsys, tmp_path):
    """Runs the command; gives the figures, or the line on stderr where it fails."""

    def run(*argv):
        out = tmp_path / "figures.json"
        try:
            program.main("score", *map(str, argv), f"--json={out}")
        except SystemExit as stop:
            assert stop.code == 1
            error = capsys.readouterr().err.strip().splitlines()
            assert "Traceback" not in "".join(error)
            return error[-1]
        found = json.loads(out.read_text())
        said = capsys.readouterr()
        return found | {"out": said.out, "err": said.err}

    return run


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_agrees_with_plain_masks(score, tmp_path, name):
    LAYOUTS[name](tmp_path / "there")
    truth = folder(tmp_path / "truth", names="background\ncat\ndog\n")
    found = score(tmp_path / "there", truth)
    assert found["mean_iou"] == found["mean_boundary_f"] == 1, found
    assert found["photos"] == 2
    assert list(found["classes"]) == ["background", "cat", "dog"]
    other = score(truth, tmp_path / "there")
    assert other["mean_iou"] == 1 and other["photos"] == 2


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_that_is_written_agrees_with_its_masks(score, tmp_path, name):
    photos = [Exported(k, f"{k}.jpg", lambda m=m: m) for k, m in masks().items()]
    for path, content in WRITERS[name](photos, {1: "cat", 2: "dog"}):
        write_file(tmp_path / "there" / path, content)
    found = score(tmp_path / "there", folder(tmp_path / "t", names="cat\ndog\n"))
    assert found["mean_iou"] == 1 and found["photos"] == 2, found


def test_figures_are_shown_and_written(score, tmp_path):
    pred = folder(tmp_path / "p", {**masks(), "a": masks()["b"], "c": masks()["a"]})
    truth = folder(tmp_path / "t")
    found = score(pred, truth, "--classes=cat,dog", "--out", tmp_path / "out")
    assert 0.8 < found["mean_iou"] < 1 and found["worst"][0]["id"] == "a"
    assert "1 of 3 masks of PRED have no partner, such as c" in found["err"]
    rows = found["out"].splitlines()
    head = next(row for row in rows if "bound. IoU" in row)
    cat = next(row for row in rows if row.startswith("cat"))
    assert len(head) == len(cat) and "87.5 %" in cat
    assert not any("\x1b" in row for row in rows)
    table = (tmp_path / "out" / "photos.csv").read_text().splitlines()
    assert table[0] == "photo,iou" and len(table) == 3
    assert json.loads((tmp_path / "out" / "metrics.json").read_text())["photos"] == 2


def test_lists_that_differ_are_matched_by_name(score, tmp_path):
    order = np.array([0, 2, 1], np.uint8)
    swapped = {key: order[mask] for key, mask in masks().items()}
    pred = folder(tmp_path / "p", swapped, names="background\nDog\ncat\nbird\n")
    truth = folder(tmp_path / "t", names="cat\ndog\n")
    found = score(pred, truth)
    assert found["mean_iou"] == 1
    assert "matched by name: only PRED has bird" in found["err"]
    truth = folder(tmp_path / "other", names="Katze\nHund\n")
    assert "no name is in common" in score(pred, truth)
    assert score(pred, truth, "--classes=dog,cat")["mean_iou"] < 1
    lone = folder(tmp_path / "lone", swapped)
    assert "which counts for both" in score(pred, lone)["out"]


def test_masks_of_0_and_255_are_of_one_class(score, tmp_path):
    white = {k: ((m > 0) * 255).astype(np.uint8) for k, m in masks().items()}
    ones = {k: (m > 0).astype(np.uint8) for k, m in masks().items()}
    pred, truth = folder(tmp_path / "p", white), folder(tmp_path / "t", ones)
    found = score(pred, truth)
    assert found["mean_iou"] == 1 and "255 is read as 1" in found["err"]
    assert "0 and 255 only" in score(pred, folder(tmp_path / "two"))


def test_classes_without_background(score, tmp_path):
    export(tmp_path / "p")
    (tmp_path / "p" / "classes.txt").write_text("road\ncar\nsky\n")
    (tmp_path / "p" / "metrics.json").write_text('{"background": false}')
    truth = folder(tmp_path / "t", names="sky\nroad\ncar\n")
    found = score(tmp_path / "p", truth, "--background=false")
    assert list(found["classes"]) == ["sky", "road", "car"] and found["mean_iou"] == 0
    found = score(tmp_path / "p", folder(tmp_path / "bare"))
    assert list(found["classes"]) == ["road", "car", "sky"] and found["mean_iou"] == 1


def test_void_is_255_and_what_is_said(score, tmp_path):
    truth = folder(tmp_path / "t", {"a": np.array([[0, 1, 9, 255]], np.uint8)})
    pred = folder(tmp_path / "p", {"a": np.array([[0, 1, 1, 0]], np.uint8)})
    assert score(pred, truth, "--void=9")["mean_iou"] == 1


def damaged(root):
    folder(root)
    (root / "a.png").write_bytes((root / "a.png").read_bytes()[:70])


def twice(root):
    folder(root / "masks")
    folder(root / "SegmentationClass")


WRONG = {
    "none": (lambda root: None, "no such folder"),
    "file": (lambda root: root.write_text("x"), "is a file"),
    "empty": (lambda root: root.mkdir(), "holds no mask"),
    "texts": (lambda root: write_file(root / "a.docx", b""), "holds no mask.*1 .docx"),
    "jpeg": (lambda root: folder(root, suffix=".jpg"), r"a\.jpg: is a JPEG picture"),
    "damaged": (damaged, r"a\.png: cannot be read as a mask"),
    "twice": (twice, "are masks of the same photo"),
    "strangers": (lambda root: folder(root, {"z": masks()["a"]}), "no mask in common"),
    "size": (
        lambda root: folder(root, {"a": masks()["a"][:9]}),
        "a: its mask in PRED is 40x9 pixels, in TRUTH 40x30",
    ),
    "ids": (
        lambda root: folder(root, {"a": masks()["a"] * np.uint16(900)}),
        r"a\.png: holds class id 900.*--void",
    ),
    "photos": (
        lambda root: folder(
            root, {"a": np.arange(3600, dtype=np.uint8).reshape(30, 40, 3)}
        ),
        r"a\.png: is a RGB picture",
    ),
    "list": (lambda root: folder(root, names="background\n"), "classes.txt: names no"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_folder_of_masks_is_one_line(score, tmp_path, name):
    make, message = WRONG[name]
    make(tmp_path / "there")
    error = score(tmp_path / "there", folder(tmp_path / "truth"))
    assert isinstance(error, str), error["out"]
    assert error.startswith("error: ")
    assert re.search(message, error), error


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "compares two folders, and 0 are given"),
        (["p", "t", "u"], "compares two folders, and 3 are given"),
        (["p", "t", "--nope=1"], "--nope is no option of score; its options are"),
        (["p", "t", "--absent=never"], "--absent='never': give one of skip, zero"),
        (["p", "t", "--void=x"], "--void='x': give a list"),
        (["p", "t", "--resize"], "--resize needs a value"),
        (["p", "t", "--classes=names.txt"], "--classes=names.txt: no such file"),
        (["p", "t", "--classes=a,a"], "give names that are distinct"),
    ],
)
def test_mistakes_in_the_command_are_one_line(
    score, tmp_path, monkeypatch, argv, message
):
    monkeypatch.chdir(tmp_path)
    folder(tmp_path / "p"), folder(tmp_path / "t")
    assert message in score(*argv)


def test_help_names_every_option(capsys):
    program.main("score", "--help")
    said = capsys.readouterr().out
    for option in ("classes", "void", "absent", "resize", "json", "out", "background"):
        assert f"--{option}=" in said


def test_memory_does_not_grow_with_the_photos(tmp_path):
    """Masks of ten photos more, in 16 bits, are 3.6 megabytes."""
    mask = np.zeros((300, 300), np.uint8)
    for count in (2, 12):
        folder(tmp_path / f"p{count}", {str(i): mask for i in range(count)})
    how = Comparing()

    def peak(count):
        opened = open_pair(tmp_path / f"p{count}", tmp_path / f"p{count}", how)
        tracemalloc.start()
        compare(opened, how)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    few = peak(2)
    assert peak(12) < few + 500_000


@pytest.mark.slow
def test_needs_neither_tensorflow_nor_a_model(tmp_path):
    pred, truth = folder(tmp_path / "p"), folder(tmp_path / "t")
    script = f"""
import sys
for name in ("tensorflow", "tensorflow_datasets"):
    sys.modules[name] = None
from ppcjax import program
program.main("score", {str(pred)!r}, {str(truth)!r})
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "100.0 %" in done.stdout
