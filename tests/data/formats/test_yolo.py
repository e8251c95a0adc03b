"""YOLO segmentation: outlines, boxes, names and splits."""

import pytest

from ppcjax.data_pipelines import formats
from tests.data.formats.test_coco import photos
from tests.data.formats.test_tools import refused


def yolo(root, texts, yaml="train: images\nnames: [ox, cow]\n", split=""):
    for name, text in texts.items():
        file = root / "labels" / split / f"{name}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    (root / "data.yaml").write_text(yaml)


def below_images(found):
    return {key.removeprefix("images/"): file for key, file in found.items()}


SQUARE = "0.125 0.1666667 0.625 0.1666667 0.625 0.6666667 0.125 0.6666667"


def test_yolo(tmp_path):
    names = [f"images/{name}.jpg" for name in ("train/a", "train/b", "train/c", "d")]
    there = below_images(photos(tmp_path, *names))
    texts = {"a": f"1 {SQUARE}\n0 0.9 0 1.1 0 1 0.3\n", "b": "\n"}
    yaml = "path: .\ntrain: images/train\ntest:\nnames:\n  0: ox\n  1: 'black cow'\n"
    yolo(tmp_path, texts, yaml, "train")
    found = formats.find(tmp_path, there)
    assert found.classes == ("ox", "black cow")
    assert found.tags == {"train/a": found.classes, "train/b": (), "train/c": ()}
    assert (found.masks["train/a"]()[1:4, 1:5] == 2).all()
    assert not found.masks["train/c"]().any()
    assert found.splits == {"train": ("train/a", "train/b", "train/c")}
    said = " ".join(found.warnings)
    assert "1 photos have no text" in said and "1 rows reach out" in said


def test_yolo_boxes_and_names(tmp_path):
    there = below_images(photos(tmp_path, "images/a.jpg"))
    yolo(tmp_path, {"a": "1 0.5 0.5 0.5 0.5\n"})
    found = formats.find(tmp_path, there)
    assert found.tags == {"a": ("cow",)} and found.masks == {}
    (tmp_path / "data.yaml").unlink()
    assert "have no names; write data.yaml" in refused(tmp_path, there)
    (tmp_path / "classes.txt").write_text("background\ncow\n")
    assert "begins with 'background'" in refused(tmp_path, there)
    (tmp_path / "labels/classes.txt").write_text("ox\ncow\n")
    assert formats.find(tmp_path, there).tags == {"a": ("cow",)}
    (tmp_path / "labels/a.txt").write_text("a cow on the grass behind a gate")
    assert formats.find(tmp_path, there) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"2 {SQUARE}", "a.txt: holds class id 2, which"),
        ("0.5 0.1 0.1 0.2 0.2", "is not a class id and numbers"),
        ("0 0.1 0.1 0.2 0.2 0.3", "has 5 numbers after the class id"),
        ("0 1 1 40 1 40 30", "a.txt line 1: holds 40; divide by the size"),
        ("0 nan 1 1 1 1 1", "is not a class id and numbers"),
    ],
)
def test_yolo_in_one_line(tmp_path, text, message):
    there = below_images(photos(tmp_path, "images/a.jpg"))
    yolo(tmp_path, {"a": text})
    assert message in refused(tmp_path, there)
    for yaml, why in (
        ("train: x\nnames: [ox, ox]", "names 'ox' twice"),
        ("train: x\nnames: 3", "neither a list nor a table"),
        ("train: x\nnc: 3\nnames: [ox]", "nc is 3, but there are 1"),
        ("names: [a\n", "cannot be read as YAML"),
        ("train: x\nkpt_shape: [3, 2]\nnames: [ox]", "key points"),
    ):
        yolo(tmp_path, {"a": f"0 {SQUARE}"}, yaml)
        assert why in refused(tmp_path, there)
