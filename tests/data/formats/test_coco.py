"""COCO JSON: what its fields mean, and what is refused in one line."""

import json
import re

import numpy as np
import pytest
from PIL import Image

from ppcjax.data_pipelines import formats
from ppcjax.types import IGNORE, UserError

SQUARE = [[1, 1, 5, 1, 5, 4, 1, 4]]
CATEGORIES = ({"id": 3, "name": "cow"}, {"id": 1, "name": "ash tree"})


def photos(root, *names, size=(8, 6)):
    found = {}
    for name in names:
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size).save(file)
        found[file.relative_to(root).with_suffix("").as_posix()] = file
    return found


def image(number, name, **more):
    return {"id": number, "file_name": name, "width": 8, "height": 6} | more


def shape(image_id, category_id=3, segmentation=SQUARE, **more):
    row = {"image_id": image_id, "category_id": category_id, "iscrowd": 0}
    return row | {"segmentation": segmentation, "bbox": [1, 1, 4, 3]} | more


def write(file, images, annotations, categories=CATEGORIES):
    file.parent.mkdir(parents=True, exist_ok=True)
    rows = {"images": images, "annotations": annotations, "categories": categories}
    file.write_text(json.dumps(rows))
    return file


def refuses(root, there, message):
    with pytest.raises(UserError, match=re.escape(message)) as caught:
        found = formats.find(root, there)
        [draw() for draw in found.masks.values()]
    assert "\n" not in str(caught.value)
    assert ".json" in str(caught.value)


def test_classes_are_in_the_order_of_ids_and_empty_photos_show_nothing(tmp_path):
    there = photos(tmp_path, "val2017/a.jpg", "val2017/b.jpg", "val2017/c.jpg")
    images = [image(7, "a.jpg"), image("x", "b.jpg"), image(9, "gone.jpg")]
    write(tmp_path / "annotations/instances_val2017.json", images, [shape(7)])
    found = formats.find(tmp_path, there)
    assert found.classes == ("ash tree", "cow")
    assert found.tags == {"val2017/a": ("cow",), "val2017/b": ()}
    assert found.splits == {"val2017": ("val2017/a", "val2017/b")}
    assert found.passed == {"annotated photos that are not there": 1}
    mask = found.masks["val2017/a"]()
    assert mask.dtype == np.int32 and (mask == 2).sum() == 12
    assert (mask[1:4, 1:5] == 2).all() and not found.masks["val2017/b"]().any()


def test_parts_runs_holes_and_overlap(tmp_path):
    there = photos(tmp_path, "a.jpg")
    hole = np.ones((6, 8), np.uint8)
    hole[2:4, 2:4] = 0
    bounds = np.flatnonzero(np.diff(np.r_[0, hole.T.ravel(), 0]))
    counts = np.diff(np.r_[0, bounds, 48]).tolist()
    counts = counts if counts[-1] else counts[:-1]
    rows = [
        shape(1, 1, {"size": [6, 8], "counts": counts}, iscrowd=1),
        shape(1, 3, [[0, 0, 1, 0, 1, 1, 0, 1], [6, 4, 8, 4, 8, 6, 6, 6]]),
        shape(1, 1, [[7, 5, 8, 5, 8, 6, 7, 6]]),
    ]
    write(tmp_path / "any name.json", [image(1, "a.jpg")], rows)
    expected = hole.astype(int)
    expected[0, 0], expected[4:, 6:], expected[5, 7] = 2, 2, 1
    found = formats.find(tmp_path, there)
    np.testing.assert_array_equal(found.masks["a"](), expected)
    assert found.splits == {} and "1 regions marked as crowds" in found.warnings[0]


def test_boxes_alone_give_tags_and_beside_outlines_are_void(tmp_path):
    there = photos(tmp_path, "a.jpg", "b.jpg")
    images = [image(1, "a.jpg"), image(2, "b.jpg")]
    boxes = [shape(1, 1, []), shape(2, 3, None, bbox=[0, 0, 2, 2])]
    file = write(tmp_path / "boxes.json", images, boxes)
    found = formats.find(tmp_path, there)
    assert found.masks == {} and found.tags == {"a": ("ash tree",), "b": ("cow",)}
    assert "2 boxes and no outline" in found.mask_warnings[0]
    write(file, images, [*boxes, shape(2, 1, [[1, 1, 8, 1, 8, 6, 1, 6]])])
    found = formats.find(tmp_path, there)
    assert set(np.unique(found.masks["a"]())) == {0, IGNORE}
    mask = found.masks["b"]()
    assert mask[0, 0] == IGNORE and mask[1, 1] == 1
    assert "void inside" in found.mask_warnings[0]


def test_roboflow(tmp_path):
    there = photos(tmp_path, "train/a.jpg", "valid/a.jpg")
    categories = [
        {"id": 0, "name": "farm", "supercategory": "none"},
        {"id": 1, "name": "cow", "supercategory": "farm"},
    ]
    for split in ("train", "valid"):
        file = tmp_path / split / "_annotations.coco.json"
        write(file, [image(0, "a.jpg")], [shape(0, 1)], categories)
    found = formats.find(tmp_path, there)
    assert found.classes == ("cow",)
    assert found.splits == {"train": ("train/a",), "valid": ("valid/a",)}


def test_files_of_the_same_photos(tmp_path):
    there = photos(tmp_path, "a.jpg")
    for name in ("instances_train2017", "captions_train2017", "image_info_test2017"):
        write(tmp_path / f"annotations/{name}.json", [image(1, "a.jpg")], [shape(1)])
    write(tmp_path / "again.json", [image(4, "a.jpg")], [shape(4)])
    assert formats.find(tmp_path, there).tags == {"a": ("cow",)}
    write(tmp_path / "again.json", [image(4, "a.jpg")], [shape(4, 1)])
    refuses(tmp_path, there, "says something else of that photo; remove one")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": [image(1, "z.jpg")]}, "names 1 photos, such as 'z.jpg', and none"),
        ({"images": [image(1, "a.jpg"), image(1, "b.jpg")]}, "id 1 is there twice"),
        ({"images": [image(1, "a.jpg"), image(2, "a.jpg")]}, "is there twice"),
        ({"images": [image(1, "a.jpg", width=6, height=8)]}, "6x8 pixels, but"),
        ({"rows": [shape(2)]}, "image_id 2 is no image of that file"),
        ({"rows": [shape(1, 9)]}, "category_id 9 is no category there"),
        ({"rows": [shape(1, True)]}, "True is not a usable number"),
        ({"rows": [shape(1, 3, [[1, 1, 2, 2]])]}, "fewer than three corners"),
        ({"rows": [shape(1, 3, [[1, 1, 2, 2, 3]])]}, "not pairs x, y"),
        ({"rows": [shape(1, 3, [[1, 1, 2, 2, 9e9, 1]])]}, "far outside"),
        ({"rows": [shape(1, 3, {"size": [6, 8], "counts": [1]})]}, "cover 1 pix"),
        ({"rows": [shape(1, 3, {"size": [8, 6], "counts": [48]})]}, "runs are of"),
        ({"rows": [shape(1, 3, {"size": [6, 8], "counts": "é"})]}, "no run-length"),
        ({"rows": [shape(1, 3, "polygon")]}, "neither polygons nor runs"),
        ({"rows": [{"segments_info": []}]}, "a panoptic file of COCO, is not read"),
        ({"names": [f"c{i}" for i in range(255)]}, "has 255 classes; masks hold"),
        ({"names": ["", "a", "b", "c"]}, "is no name of a class"),
    ],
)
def test_one_line(tmp_path, changes, message):
    there = photos(tmp_path, "a.jpg")
    names = changes.get("names", ["hen", "cow", "ox", "yak"])
    categories = [{"id": i, "name": name} for i, name in enumerate(names)]
    images = changes.get("images", [image(1, "a.jpg")])
    write(tmp_path / "x.json", images, changes.get("rows", [shape(1)]), categories)
    refuses(tmp_path, there, message)


def test_photos_of_one_name_are_told_apart_by_their_folder(tmp_path):
    there = photos(tmp_path, "x/a.jpg", "y/a.jpg", "sub/dir/b.jpg")
    file = write(tmp_path / "c.json", [image(1, "a.jpg")], [shape(1)])
    refuses(tmp_path, there, "'a' is the name of several photos, such as x/a and y/a")
    names = {"y\\a.jpg": "y/a", "/home/me/x/a.png": "x/a", "./dir/b.jpg": "sub/dir/b"}
    for name, key in names.items():
        write(file, [image(1, name)], [shape(1)])
        assert list(formats.find(tmp_path, there).tags) == [key]
    write(file, [image(1, "z/b.jpg")], [shape(1)])  # another folder: another photo
    refuses(tmp_path, there, "none of them is below")


def test_other_json_is_not_coco(tmp_path):
    there = photos(tmp_path, "a.jpg")
    (tmp_path / "package.json").write_text('{"name": "x", "images": 3}')
    (tmp_path / "broken.json").write_text('{"name": ')
    (tmp_path / "empty.json").write_text("")
    assert formats.find(tmp_path, there) is None
