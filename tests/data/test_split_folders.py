"""Splits in folders of their own, maps of label ids, Cityscapes, frames of CamVid."""

import re

import numpy as np
import pytest

from ppcjax.data_pipelines import make_eval, make_source
from ppcjax.types import IGNORE, UserError
from tests.data import fake_data

CLASSES = ("sky", "building", "pole")
LAYOUTS = {
    "camvid": ("{}/images/{}.jpg", "{}/masks/{}.png"),
    "released": ("{}/image/{}.jpg", "{}/label/{}.png"),
    "ade20k": ("images/{}/{}.jpg", "annotations/{}/{}.png"),
    "segnet": ("{}/{}.png", "{}annot/{}.png"),
}


def write(root, layout="camvid", ids=(0, 1, 2, 3), splits=("train", "val")):
    image, mask = LAYOUTS[layout]
    for number, split in enumerate(splits):
        for i in range(2 - number):
            name = f"seq/{split}_{i}"
            fake_data.write_image(root / image.format(split, name), seed=i)
            fake_data.write_mask(
                root / mask.format(split, name), fake_data.striped_mask(ids)
            )
    return root


def config(root, **fields):
    base = {"source": "folder", "root": str(root), "classes": CLASSES}
    return base | {"background": False, "void": (3,)} | fields


def masks(source):
    return [example.mask for example in make_eval({}, source)]


def refuses(message, split="train", **fields):
    with pytest.raises(UserError, match=re.escape(message)) as caught:
        masks(make_source(config(**fields), split))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(tmp_path, layout):
    root = write(tmp_path, layout)
    source = make_source(config(root), "train")
    assert source.classes == CLASSES
    assert source.ids == ("train/seq/train_0", "train/seq/train_1")
    assert len(make_source(config(root), "val")) == 1
    (first, _), tags = masks(source), source.record(0).tags()
    np.testing.assert_array_equal(np.unique(first), [0, 1, 2, IGNORE])
    assert tags.tolist() == [1, 1, 1]


def test_a_split_that_is_not_there(tmp_path):
    there = "there is no split 'test'; there are train, val, all"
    refuses(there, split="test", root=write(tmp_path))


def test_a_background_of_its_own_and_a_file_of_classes(tmp_path):
    root = write(tmp_path, ids=(0, 1, 2))
    names = tmp_path / "names.txt"
    names.write_text("building\npole\n")
    source = make_source(config(root, background=True, classes=str(names)), "train")
    assert source.classes == ("background", "building", "pole")
    (root / "classes.txt").write_text("void\nbuilding\n")
    source = make_source(config(root, background=False, classes=()), "train")
    assert source.classes == ("void", "building")
    refuses("no such file", root=root, classes="nowhere.txt")


def test_label_ids_say_which_class_a_number_is(tmp_path):
    root = write(tmp_path, ids=(7, 0, 11, 33))
    settings = {"label_ids": (7, 33, 11), "void": (0,)}
    found = masks(make_source(config(root, **settings), "train"))[0]
    np.testing.assert_array_equal(found, fake_data.striped_mask([0, IGNORE, 2, 1]))
    # A checkpoint's classes are the data's, and exported masks hold classes.
    source = make_source(
        config(root, masks=str(tmp_path / "val/masks"), **settings), "val",
        classes=CLASSES,
    )  # fmt: skip
    with pytest.raises(UserError, match="holds class id 7, but there are 3 classes"):
        masks(source)


def test_one_line_names_the_file_and_the_id(tmp_path):
    root = write(tmp_path)
    where = f"{root}/train/masks/seq/train_0.png: holds class id"
    refuses(f"{where} 3, but there are 3 classes (0..2", root=root, void=())
    refuses(f"{where} 2, but there are 2 classes", root=root, classes=("a", "b"))
    ids = {"label_ids": (0, 1, 4), "root": root}
    refuses(f"{where} 2, but there are 3 classes (those of label_ids", **ids)
    refuses("label_ids has 2 ids for the 3 classes sky", root=root, label_ids=(0, 1))
    refuses(
        "label_ids: 3 is there twice, or means void", root=root, label_ids=(0, 1, 3)
    )
    refuses("label_ids: 1 is there twice", root=root, label_ids=(0, 1, 1))


def test_an_image_without_a_mask(tmp_path):
    root = write(tmp_path)
    (root / "train/masks/seq/train_1.png").unlink()
    source = make_source(config(root), "train")
    assert source.record(0).mask() is not None and source.record(1).mask() is None


def test_cityscapes(tmp_path):
    name = "aachen/aachen_000000_000019"
    images, labels = tmp_path / "leftImg8bit/train", tmp_path / "gtFine/train"
    fake_data.write_image(images / f"{name}_leftImg8bit.png")
    mask = fake_data.striped_mask([7, 8, 33, 0, 1])
    fake_data.write_mask(labels / f"{name}_gtFine_labelIds.png", mask)
    fake_data.write_mask(labels / f"{name}_gtFine_instanceIds.png", mask)
    source = make_source({"source": "cityscapes", "root": str(tmp_path)}, "train")
    assert source.ids == (name,) and len(source.classes) == 19
    found = masks(source)[0]
    expected = fake_data.striped_mask([0, 1, 18, IGNORE, IGNORE])
    np.testing.assert_array_equal(found, expected)
    with pytest.raises(UserError, match="no folders of a split 'dev'; .* of train"):
        make_source({"source": "cityscapes", "root": str(tmp_path)}, "dev")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="holds no leftImg8bit/train"):
        make_source({"source": "cityscapes", "root": str(tmp_path / "empty")}, "train")
