"""CVAT, Label Studio, labelme and VOC XML: what their fields mean."""

import json

import numpy as np
import pytest

from ppcjax.data_pipelines import formats
from ppcjax.types import IGNORE, UserError
from tests.data.formats.test_coco import image, photos, shape, write

CVAT = """<annotations><meta><task><labels>{labels}</labels></task></meta>
<image id="0" name="{name}" width="8" height="6" {more}>{shapes}</image>
</annotations>"""
POLYGON = '<polygon label="{}" points="1,1;5,1;5,4;1,4" z_order="{}"/>'


def refused(root, there):
    with pytest.raises(UserError) as caught:
        found = formats.find(root, there)
        [draw() for draw in found.masks.values()]
    assert "\n" not in str(caught.value)
    return str(caught.value)


def cvat(root, *shapes, labels=("ox", "cow"), name="a.jpg", more=""):
    listed = "".join(f"<label><name>{label}</name></label>" for label in labels)
    text = CVAT.format(labels=listed, name=name, shapes="".join(shapes), more=more)
    (root / "annotations.xml").write_text(text)


def test_cvat(tmp_path):
    there = photos(tmp_path, "a.jpg")
    box = '<box label="cow" xtl="6" ytl="0" xbr="8" ybr="2" z_order="0"/>'
    mask = (
        '<mask label="ox" rle="1, 2, 1" left="0" top="4" width="2" height="2" '
        'z_order="0"/>'
    )
    line = '<polyline label="ox" points="0,0;7,5" z_order="0"/>'
    more = 'subset="Train"'
    cvat(tmp_path, POLYGON.format("ox", 2), POLYGON.format("cow", 1), box, mask, line,
         more=more)  # fmt: skip
    found = formats.find(tmp_path, there)
    expected = np.zeros((6, 8), int)
    expected[1:4, 1:5], expected[:2, 6:] = 1, 2
    expected[4, 1], expected[5, 0] = 1, 1
    np.testing.assert_array_equal(found.masks["a"](), expected)
    assert found.classes == ("ox", "cow") and found.splits == {"Train": ("a",)}
    assert found.passed == {"polyline of CVAT, which has no area": 1}
    assert "1 boxes are filled" in found.mask_warnings[0]
    cvat(tmp_path, POLYGON.format("ox", 0), '<tag label="cow"/>')
    found = formats.find(tmp_path, there)
    assert found.tags == {"a": ("ox", "cow")} and found.masks == {}


def test_cvat_in_one_line(tmp_path):
    there = photos(tmp_path, "a.jpg")
    cvat(tmp_path, POLYGON.format("hen", 0))
    assert "annotations.xml: image 'a.jpg'" in refused(tmp_path, there)
    cvat(tmp_path, POLYGON.format("ox", 0), name="b.jpg")
    assert "none of them is below" in refused(tmp_path, there)
    cvat(tmp_path, '<mask label="ox" rle="9" left="7" top="0" width="3" height="3"/>')
    assert "lies outside of its photo" in refused(tmp_path, there)
    (tmp_path / "annotations.xml").write_text("<annotations><track/></annotations>")
    assert "of a video" in refused(tmp_path, there)


def test_cvat_turns_boxes_clockwise(tmp_path):
    there = photos(tmp_path, "a.jpg")
    turned = '<box label="ox" xtl="2" ytl="2" xbr="6" ybr="4" rotation="90.0"/>'
    cvat(tmp_path, POLYGON.format("cow", 0), turned)
    mask = formats.find(tmp_path, there).masks["a"]()
    expected = np.zeros((6, 8), int)
    expected[1:4, 1:5], expected[1:5, 3:5] = 2, 1
    np.testing.assert_array_equal(mask, expected)


def result(kind, value, **more):
    row = {"type": kind, "value": value, "original_width": 8, "original_height": 6}
    return row | {"image_rotation": 0} | more


def polygon(*names):
    corners = [[12.5, 100 / 6], [62.5, 100 / 6], [62.5, 400 / 6], [12.5, 400 / 6]]
    return result("polygonlabels", {"points": corners, "polygonlabels": list(names)})


def studio(root, *annotations, name="/data/upload/2/0123abcd-my_a.jpg", **more):
    task = {"id": 1, "data": {"image": name}, "annotations": list(annotations)}
    (root / "tasks.json").write_text(json.dumps([task | more]))


@pytest.mark.parametrize(
    "name",
    [
        "/data/upload/2/0123abcd-my_a.jpg",
        "/data/local-files/?d=photos%2Fmy%20a.jpg",
        "s3://bucket/my a.jpg",
        "https://x.org/my%20a.jpg?token=3",
    ],
)
def test_label_studio_names(tmp_path, name):
    there = photos(tmp_path, "photos/my a.jpg")
    studio(tmp_path, {"result": [polygon("cow")]}, name=name)
    assert formats.find(tmp_path, there).tags == {"photos/my a": ("cow",)}


def test_label_studio_annotations(tmp_path):
    there = photos(tmp_path, "my a.jpg", "b.jpg")
    old = {"id": 9, "updated_at": "2024-01-01", "result": [polygon("cow")]}
    new = {"id": 1, "updated_at": "2024-02-01", "result": [polygon("ox")]}
    cancelled = {"id": 10, "updated_at": "2025", "was_cancelled": True, "result": []}
    studio(tmp_path, new, old, cancelled)
    found = formats.find(tmp_path, there)
    assert (
        found.tags == {"my a": ("ox",)} and "several annotations" in found.warnings[0]
    )
    mask = found.masks["my a"]()
    assert (mask[1:4, 1:5] == 1).all() and mask.sum() == 12
    studio(tmp_path, new, old | {"ground_truth": True}, cancelled)
    assert formats.find(tmp_path, there).tags == {"my a": ("cow",)}
    studio(tmp_path, {"result": [polygon("ox", "cow")]})
    found = formats.find(tmp_path, there)
    assert (found.masks["my a"]()[1:4, 1:5] == IGNORE).all()
    assert found.tags == {"my a": ("cow", "ox")}
    studio(tmp_path, {"result": []})
    assert formats.find(tmp_path, there).tags == {"my a": ()}
    turned = polygon("ox") | {"image_rotation": 90}
    studio(tmp_path, {"result": [turned]})
    assert "turned in Label Studio" in refused(tmp_path, there)
    studio(tmp_path, {"result": [polygon("ox") | {"original_width": 9}]})
    assert "was made for 9x6 pixels, but" in refused(tmp_path, there)


def test_label_studio_choices_boxes_and_labels_of_their_own(tmp_path):
    there = photos(tmp_path, "my a.jpg")
    choices = result("choices", {"choices": ["cow", "ox"]})
    leaves = result("taxonomy", {"taxonomy": [["animal", "hen"]]})
    studio(tmp_path, {"result": [choices, leaves]})
    found = formats.find(tmp_path, there)
    assert found.tags == {"my a": ("cow", "hen", "ox")} and not found.masks
    place = {"x": 25, "y": 0, "width": 50, "height": 50, "rotation": 90}
    apart = [
        result("polygon", {"points": [[0, 0], [50, 0], [50, 100]]}, id="r"),
        result("labels", {"labels": ["cow"]}, id="r"),
        result("rectanglelabels", place | {"rectanglelabels": ["ox"]}),
        result("keypointlabels", {"x": 1, "y": 1, "keypointlabels": ["ox"]}),
        choices,
    ]
    studio(tmp_path, {"result": apart})
    found = formats.find(tmp_path, there)
    assert found.passed == {
        "keypointlabels of Label Studio, which has no area": 1,
        "choices of Label Studio beside regions": 2,
    }
    mask = found.masks["my a"]()  # the box is turned about its upper left corner
    np.testing.assert_array_equal(np.argwhere(mask == 2)[[0, -1]], [[0, 0], [3, 1]])
    assert mask[0, 3] == 1


def labelme(file, *shapes, path="a.jpg", **more):
    rows = {"imagePath": path, "imageWidth": 8, "imageHeight": 6, "shapes": shapes}
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(rows | more))


def drawn(label, points, kind="polygon", **more):
    return {"label": label, "points": points, "shape_type": kind} | more


def test_labelme_special_names_and_lists(tmp_path):
    there = photos(tmp_path, "img/a.jpg")
    square = [[1, 1], [4, 1], [4, 3], [1, 3]]
    shapes = [drawn("ox", [[0, 0], [7, 0], [7, 5], [0, 5]]), drawn("cow", square)]
    shapes += [drawn("_background_", [[0, 0], [1, 1]], "rectangle")]
    shapes += [drawn("__ignore__", [[6, 4], [7, 5]], "rectangle")]
    labelme(tmp_path / "json/a.json", *shapes, path="..\\img\\a.jpg")
    found = formats.find(tmp_path, there)
    assert found.classes == ("cow", "ox") and found.tags == {"img/a": ("cow", "ox")}
    expected = np.full((6, 8), 2)
    expected[1:4, 1:5], expected[:2, :2], expected[4:, 6:] = 1, 0, IGNORE
    np.testing.assert_array_equal(found.masks["img/a"](), expected)
    (tmp_path / "labels.txt").write_text("__ignore__\n_background_\nox\ncow\n")
    assert formats.find(tmp_path, there).classes == ("ox", "cow")


def test_labelme_in_one_line(tmp_path):
    there = photos(tmp_path, "a.jpg", "b.jpg")
    file = tmp_path / "a.json"
    labelme(file, drawn("ox", [[0, 0], [1, 1]]))
    assert "a.json: shape 0: a polygon of 2 points" in refused(tmp_path, there)
    labelme(file, drawn("ox", [[0, 0], [1, 1], [2, 0]], "star"))
    assert "'star' is not known" in refused(tmp_path, there)
    labelme(file, drawn("ox", [[0, 0], [1, 1]], "mask", mask="x"))
    assert "no PNG in base 64" in refused(tmp_path, there)
    labelme(file, drawn("ox", [[0, 0], [5, 1], [2, 4]]), imageWidth=9)
    assert "was made for 9x6 pixels, but" in refused(tmp_path, there)
    file.unlink()
    labelme(tmp_path / "c.json", path="z.jpg")
    assert "c.json: names 1 photos" in refused(tmp_path, there)


def test_voc_xml(tmp_path):
    there = photos(tmp_path, "JPEGImages/a.jpg", "JPEGImages/b.jpg", "JPEGImages/c.jpg")
    names = {"a": ("nut", "bolt"), "b": (), "gone": ("nut",)}
    (tmp_path / "Annotations").mkdir()
    for key, found in names.items():
        rows = "".join(f"<object><name> {name} </name></object>" for name in found)
        text = f"<annotation><filename>c.jpg</filename>{rows}</annotation>"
        (tmp_path / f"Annotations/{key}.xml").write_text(text)
    (tmp_path / "Annotations/gone.xml").write_text(
        "<annotation><filename>gone.jpg</filename></annotation>"
    )
    found = formats.find(tmp_path, there)
    assert found.classes == ("bolt", "nut") and found.masks == {}
    assert found.tags == {"JPEGImages/a": ("bolt", "nut"), "JPEGImages/b": ()}
    assert found.passed == {"annotated photos that are not there": 1}
    (tmp_path / "Annotations/a.xml").write_text("<annotation><object>")
    assert "a.xml: cannot be read as XML" in refused(tmp_path, there)


def test_the_first_format_counts_and_the_others_are_said(tmp_path):
    there = photos(tmp_path, "a.jpg")
    write(tmp_path / "x.json", [image(1, "a.jpg")], [shape(1)])
    cvat(tmp_path, POLYGON.format("ox", 0))
    found = formats.find(tmp_path, there)
    assert found.text == "COCO x.json"
    assert found.warnings == (
        "CVAT annotations.xml: not read, as COCO x.json is there",
    )
    write(tmp_path / "x.json", [image(1, "z.jpg")], [shape(1)])
    found = formats.find(tmp_path, there)
    assert (
        found.text == "CVAT annotations.xml" and "names 1 photos" in found.warnings[0]
    )
