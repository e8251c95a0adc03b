"""What is said of annotations: in the account, and where they say nothing."""

import re

import numpy as np
import pytest
from PIL import Image

from ppcjax.data_pipelines import formats, make_source, survey
from ppcjax.types import UserError
from tests.data.formats.test_coco import image, photos, shape, write

OBJECT = "<object><name>{}</name>{}</object>"
BOX = "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>4</xmax><ymax>4</ymax></bndbox>"
POLYGON = "<polygon><pt><x>1</x><y>1</y></pt></polygon>"


def xml(file, *objects):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"<annotation>{''.join(objects)}</annotation>")


def read(root, split="all"):
    return make_source({"source": "folder", "root": str(root)}, split)


def test_polygons_of_voc_xml_are_counted(tmp_path):
    there = photos(tmp_path, "a.jpg", "b.jpg")
    xml(tmp_path / "a.xml", OBJECT.format("cow", BOX + POLYGON))
    xml(tmp_path / "b.xml", OBJECT.format("cow", POLYGON), OBJECT.format("ox", BOX))
    assert formats.find(tmp_path, there).passed == {"polygon in VOC XML": 2}


def test_boxes_are_not_warned_of_beside_masks(tmp_path):
    photos(tmp_path, "images/a.jpg", "images/b.jpg")
    for name, label in (("a", "cow"), ("b", "ox")):
        xml(tmp_path / f"Annotations/{name}.xml", OBJECT.format(label, BOX))
    assert any("no outline" in line for line in read(tmp_path).reading.warnings)
    for number, name in enumerate("ab", 1):
        mask = Image.fromarray(np.full((6, 8), number, np.uint8))
        (tmp_path / "masks").mkdir(exist_ok=True)
        mask.save(tmp_path / f"masks/{name}.png")
    assert not any("no outline" in line for line in read(tmp_path).reading.warnings)


def test_errors_say_where_tags_were_looked_for(tmp_path):
    photos(tmp_path, "train/a.jpg", "valid/b.jpg")
    write(tmp_path / "valid/_annotations.coco.json", [image(1, "b.jpg")], [shape(1)])
    account = survey.survey(read(tmp_path, "train"), needs="tags")
    with pytest.raises(UserError, match=re.escape("(tags: COCO valid/_annotations.c")):
        account.raise_first()


@pytest.mark.parametrize("name", ["annotations.json", "set/other.xml"])
def test_files_that_nobody_reads_are_named(tmp_path, name):
    photos(tmp_path, "a.jpg", "b.jpg")
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("{}")
    with pytest.raises(UserError, match=f"neither tags nor classes.txt .{name}: of no"):
        read(tmp_path)
