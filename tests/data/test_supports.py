"""Folders of masked examples, in every layout and form."""

import numpy as np
import pytest
from PIL import Image

from ppcjax.data_pipelines.episodes import boxes
from ppcjax.data_pipelines.episodes.supports import read_supports
from ppcjax.types import IGNORE, UserError
from tests.data import fake_data
from tests.few_shot import write_supports

HEAD = "image,class,x0,y0,x1,y1\n"


def photo(root, name="images/p0.jpg", seed=0):
    fake_data.write_image(root / name, seed=seed)


def grey(root, name, ids):
    """A grey mask of stripes."""
    file = root / name
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(fake_data.striped_mask(ids)).save(file)


def read(root):
    return read_supports(str(root))


def test_masks_scribbles_and_boxes_are_read(tmp_path):
    found = read(write_supports(tmp_path))
    assert found.ids == ("p0", "p1", "p2") and found.names == ("cat", "dog")
    assert set(np.unique(found.masks[1])) == {0, 2, 255}
    assert (found.masks[2] == 2).sum() == 8 * 9
    expected = boxes.fill([(2, 2, 3, 10, 12)], (20, 30))
    np.testing.assert_array_equal(found.masks[2], expected)
    told = "\n".join(found.text)
    for part in ("photos   3", "cat in 1", "dog in 3", "1 in scribbles/", "1 boxes of"):
        assert part in told


@pytest.mark.parametrize(
    ("place", "mask"),
    [
        ("images/p0.jpg", "masks/p0.png"),
        ("images/p0.jpg", "labels/p0_mask.png"),
        ("p0.jpg", "masks/p0.png"),
        ("p0.jpg", "p0_mask.png"),
        ("p0.jpg", "p0.png"),
        ("JPEGImages/p0.jpg", "SegmentationClassPNG/p0.png"),
        ("images/p0.jpg", "masks/p0.tif"),
        ("images/p0.jpg", "masks/p0.bmp"),
    ],
)
def test_photos_and_masks_lie_as_people_put_them(tmp_path, place, mask):
    photo(tmp_path, place)
    grey(tmp_path, mask, [0, 1])
    found = read(tmp_path)
    assert found.ids == ("p0",)
    np.testing.assert_array_equal(found.masks[0], fake_data.striped_mask([0, 1]))


@pytest.mark.parametrize(
    "content",
    [
        "background\nbolt\n",
        "\ufeffbackground\nbolt",
        "bolt",
        "0: background\n1: bolt\n",
    ],
)
def test_class_list_may_name_the_background(tmp_path, content):
    photo(tmp_path)
    grey(tmp_path, "masks/p0.png", [0, 1])
    (tmp_path / "classes.txt").write_text(content, encoding="utf-8")
    found = read(tmp_path)
    assert found.names == ("bolt",) and "bolt in 1" in "\n".join(found.text)
    assert set(np.unique(found.masks[0])) == {0, 1}


@pytest.mark.parametrize("listed", [True, False])
def test_white_is_the_class_where_one_is_there_over_all_examples(tmp_path, listed):
    for i, ids in enumerate(([0, 255], [0, 0, 255], [255])):
        photo(tmp_path, f"images/p{i}.jpg")
        grey(tmp_path, f"masks/p{i}.png", ids)
    if listed:
        (tmp_path / "classes.txt").write_text("bolt\n")
    found = read(tmp_path)
    assert [set(np.unique(m)) for m in found.masks] == [{0, 1}, {0, 1}, {1}]
    assert any("255 is read as" in line for line in found.warnings)


def test_white_is_unknown_beside_ids(tmp_path):
    for i, ids in enumerate(([0, 255], [0, 1, 255])):
        photo(tmp_path, f"images/p{i}.jpg")
        grey(tmp_path, f"masks/p{i}.png", ids)
    found = read(tmp_path)
    assert found.ids == ("p1",) and set(np.unique(found.masks[0])) == {0, 1, IGNORE}
    assert any("p0" in line and "passed over" in line for line in found.warnings)


@pytest.mark.parametrize(
    ("ids", "classes", "message"),
    [
        ([0], None, "shows no class but the background"),
        ([255], None, "shows only unknown pixels"),
        ([0, 1], "cat\ndog\n", "no example shows class 2 .dog."),
        ([0, 2], None, "no example shows class 1, but there is a class 2"),
        ([0, 3], "cat\ndog\n", "p0.png"),
        ([0, 255], "cat\ndog\n", "p0.png"),
    ],
)
def test_examples_that_show_nothing_are_one_line(tmp_path, ids, classes, message):
    photo(tmp_path)
    grey(tmp_path, "masks/p0.png", ids)
    if classes:
        (tmp_path / "classes.txt").write_text(classes)
    with pytest.raises(UserError, match=message) as caught:
        read(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "ids", [[0, 255], [255, 255, 0], [255]], ids=["both", "much", "void"]
)
def test_scribbles_of_white_are_refused_by_name(tmp_path, ids):
    photo(tmp_path)
    grey(tmp_path, "scribbles/p0.png", ids)
    with pytest.raises(UserError, match="p0.png: scribbles of 0 and 255 only"):
        read(tmp_path)


def test_scribbles_of_the_background_may_stand_beside_others(tmp_path):
    for i, ids in enumerate(([255, 0, 255, 1], [255, 0])):
        photo(tmp_path, f"images/p{i}.jpg")
        grey(tmp_path, f"scribbles/p{i}.png", ids)
    found = read(tmp_path)
    assert set(np.unique(found.masks[0])) == {0, 1, IGNORE}


BOX = boxes.fill([(1, 2, 3, 10, 12)], (20, 30))


@pytest.mark.parametrize(
    "text",
    [
        HEAD + "p0.jpg,dog,2,3,10,12\n",
        HEAD + "images/p0.jpg,DOG,2.2,2.9,10.0,12\n",
        "image;class;x0;y0;x1;y1\np0.jpg;dog;2,2;3;10;12\n",
        "image\tclass\tx0\ty0\tx1\ty1\np0\tdog\t2\t3\t10\t12\n",
        "x0,y0,x1,y1,label,file name\n2,3,10,12,dog,p0.jpg\n",
        "filename,width,height,class,xmin,ymin,xmax,ymax\np0.jpg,30,20,dog,2,3,10,12\n",
        "image,class,x,y,w,h\np0.jpg,dog,2,3,8,9\n",
        "p0.jpg,dog,2,3,10,12\n",
        "Bild,Klasse,links,oben,rechts,unten\np0.jpg,dog,2,3,10,12\n",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_boxes_are_read_as_people_write_them(tmp_path, text, encoding):
    photo(tmp_path)
    (tmp_path / "boxes.csv").write_bytes(text.encode(encoding))
    (tmp_path / "classes.txt").write_text("dog\n")
    np.testing.assert_array_equal(read(tmp_path).masks[0], BOX)


def test_boxes_may_name_the_classes_or_number_them(tmp_path):
    for i in range(2):
        photo(tmp_path, f"images/p{i}.jpg")
    lines = "p0.jpg,{},2,3,10,12\np1.jpg,{},2,3,10,12\n"
    (tmp_path / "boxes.csv").write_text(HEAD + lines.format("dog", "cat"))
    found = read(tmp_path)
    assert found.names == ("cat", "dog") and found.masks[0].max() == 2
    (tmp_path / "boxes.csv").write_text(HEAD + lines.format(1, 2))
    found = read(tmp_path)
    assert found.names == () and found.masks[1].max() == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "boxes.csv: is empty"),
        (HEAD, "holds no box"),
        ("image,x0\n", "its first line must name"),
        (HEAD + "p2,cow,1,1,2,2\n", "line 2: class 'cow'"),
        (HEAD + "p2,dog,1,1,1,2\n", "line 2: the box .* is empty"),
        (HEAD + "p2,dog,1,1,b,2\n", "line 2: .* is no box"),
        (HEAD + "p2,dog,1,1,nan,2\n", "line 2: .* is no box"),
        (HEAD + "p2,dog,1\n", "line 2: .* is no box"),
        (HEAD + "p9,dog,1,1,3,2\n", "line 2: the photo 'p9' is not there"),
        (HEAD + "p2,dog,.1,.1,.3,.2\n", "line 2: .* are shares of the photo"),
        (HEAD + "p2,dog,70,1,80,2\n", "outside the photo of 30x20"),
        (HEAD + "p2,9,1,1,3,2\n", "line 2: class '9' is not one of cat, dog"),
    ],
)
def test_boxes_that_cannot_be_read_are_named(tmp_path, text, message):
    root = write_supports(tmp_path)
    (root / "boxes.csv").write_text(text)
    with pytest.raises(UserError, match=message) as caught:
        read(root)
    assert "\n" not in str(caught.value)


def test_boxes_that_name_classes_beside_numbered_masks_need_a_list(tmp_path):
    root = write_supports(tmp_path)
    (root / "classes.txt").unlink()
    with pytest.raises(UserError, match="write the names into classes.txt"):
        read(root)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ((), "no such directory"),
        (("readme.txt",), "holds no photo"),
        (("a.jpg",), "holds no photo with a mask"),
        (("a.jpg", "tags.csv"), "examples need masks/, scribbles/ or boxes.csv"),
    ],
)
def test_folder_without_examples_is_one_line(tmp_path, files, message):
    root = tmp_path / "examples"
    for name in files:
        if name.endswith(".jpg"):
            photo(root, name)
        else:
            root.mkdir(exist_ok=True)
            (root / name).write_text("image,tags\na.jpg,dog\n")
    with pytest.raises(UserError, match=message) as caught:
        read(root)
    assert "\n" not in str(caught.value)


def test_mask_of_another_size_is_named(tmp_path):
    photo(tmp_path)
    fake_data.write_mask(tmp_path / "masks/p0.png", np.eye(7, dtype=np.uint8))
    with pytest.raises(UserError, match="the mask of .*p0.jpg is 7x7 pixels"):
        read(tmp_path)
