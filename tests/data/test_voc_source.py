import re

import numpy as np
import pytest
import tensorflow_datasets as tfds

from ppcjax.data_pipelines import make_eval, make_source, survey, voc_builder
from ppcjax.data_pipelines.sources.voc import CLASSES
from ppcjax.types import UserError
from tests.data import fake_data


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return fake_data.write_voc(tmp_path_factory.mktemp("voc"))


def config(root, **fields):
    return {"source": "voc", "root": str(root), **fields}


def names(source):
    return {
        key: [CLASSES[c] for c in np.flatnonzero(source.record(n).tags())[1:]]
        for n, key in enumerate(source.ids)
    }


TRUTH = {
    "2007_000000": ["aeroplane"],
    "2007_000001": ["bicycle", "person"],
    "2007_000002": ["bird"],
    "2007_000003": ["boat", "person"],
}


def test_tags_come_from_masks(root):
    source = make_source(config(root), "train_aug")
    assert names(source) == TRUTH
    mask = source.record(1).mask()
    np.testing.assert_array_equal(mask, fake_data.striped_mask([0, 255, 2, 15]))


@pytest.mark.parametrize("kind", ["csv", "xml"])
def test_tags_come_from_tables_and_annotations(tmp_path, kind):
    root = fake_data.write_voc(tmp_path)
    if kind == "csv":
        rows = [f"{key}.jpg,{' '.join(row)}" for key, row in TRUTH.items()]
        (root / "tags.csv").write_text("\n".join(rows))
    else:
        (root / "Annotations").mkdir()
        for key, row in TRUTH.items():
            objects = "".join(
                f"<object><name>{n}</name></object>" for n in [*row, row[0]]
            )
            file = root / "Annotations" / f"{key}.xml"
            file.write_text(f"<annotation>{objects}</annotation>")
    assert names(make_source(config(root, tags=kind), "train_aug")) == TRUTH
    assert names(make_source(config(root, tags="auto"), "train_aug")) == TRUTH


def test_published_list_lines_and_names(tmp_path):
    root = fake_data.write_voc(tmp_path)
    key = "2007_000002"
    line = f"/JPEGImages/{key}.jpg /SegmentationClassAug/{key}.png\n"
    (root / "ImageSets/Segmentation/train_aug.txt").rename(
        root / "ImageSets/Segmentation/trainaug.txt"
    ).write_text(line)
    assert make_source(config(root), "train_aug").ids == (key,)
    assert make_source(config(root), "trainaug").ids == (key,)


def test_missing_parts_say_what_to_do(tmp_path):
    def refuses(message, split="train_aug", **fields):
        with pytest.raises(UserError, match=re.escape(message)):
            make_source(config(tmp_path / "V", **fields), split)

    refuses("no such directory; download VOCtrainval_11-May-2012.tar")
    (tmp_path / "V").mkdir()
    refuses("has no folder JPEGImages; download")
    root = fake_data.write_voc(tmp_path / "V")
    refuses("train.txt is missing; there are train_aug, val", split="train")
    refuses("tags.csv: is missing", tags="csv")
    refuses("Annotations: is missing", tags="xml")
    refuses("config.data.tags='text': give one of auto, csv", tags="text")
    refuses("holds no prepared data set; make it", tfds_dir=str(tmp_path))
    (root / "ImageSets/Segmentation/val.txt").write_text("\n")
    refuses("split val is empty", split="val")
    (root / "ImageSets/Segmentation/val.txt").write_text("2009_000001\n")
    refuses("no image", split="val")


@pytest.mark.parametrize("folder", ["SegmentationClassAug", "SegmentationClass", ""])
@pytest.mark.parametrize("tags", ["", "csv", "xml"])
@pytest.mark.parametrize("kept", [0, 1])
def test_masks_of_sbd_that_are_missing_are_named(tmp_path, folder, tags, kept):
    root = fake_data.write_voc(tmp_path)
    place = root / (folder or "no")
    (root / "SegmentationClassAug").rename(place)
    for key in list(TRUTH)[kept:]:
        (place / f"{key}.png").unlink()
    kept = kept if folder else 0
    message = f"SegmentationClassAug (the masks of SBD) .* {4 - kept} of the 4 images"
    message = re.compile(message.replace("(", r"\(").replace(")", r"\)"))
    if tags == "csv":
        rows = [f"{key},{' '.join(row)}\n" for key, row in TRUTH.items()]
        (root / "tags.csv").write_text("".join(rows))
    elif tags == "xml":
        (root / "Annotations").mkdir()
    else:
        with pytest.raises(UserError, match=message):
            make_source(config(root), "train_aug")
        return
    source = make_source(config(root), "train_aug")
    assert message.search(source.reading.mask_advice)
    if tags == "csv":
        found = survey.survey(source, needs="masks").problems.errors
        assert any(message.search(line) for line in found), found


def test_the_table_is_in_the_account(root, tmp_path):
    root = fake_data.write_voc(tmp_path)
    rows = [f"{key};{', '.join(row).title()}\n" for key, row in TRUTH.items()]
    (root / "tags.csv").write_bytes("".join(rows).encode("utf-16"))
    source = make_source(config(root), "train_aug")
    assert names(source) == TRUTH and source.reading.mask_advice == ""
    assert "UTF-16" in source.reading.tags and "semicolons" in source.reading.tags
    (root / "tags.csv").write_text("".join(rows) + rows[0])
    assert "there twice" in make_source(config(root), "train_aug").reading.warnings[0]


def test_damaged_annotation_is_named(tmp_path):
    root = fake_data.write_voc(tmp_path)
    (root / "Annotations").mkdir()
    (root / "Annotations/2007_000000.xml").write_text("<annotation>")
    source = make_source(config(root), "train_aug")
    with pytest.raises(UserError, match="2007_000000.xml: cannot be read"):
        source.record(0).tags()


def test_prepared_records_equal_the_folder(root, tmp_path):
    voc_builder.prepare(str(root), str(tmp_path))
    for split in ("train_aug", "val"):
        prepared = make_source(config("", tfds_dir=str(tmp_path)), split)
        plain = make_source(config(root), split)
        assert prepared.ids == plain.ids and prepared.classes == plain.classes
        for a, b in zip(make_eval({}, prepared), make_eval({}, plain), strict=True):
            for left, right in zip(a[1:], b[1:], strict=True):
                np.testing.assert_array_equal(left, right)
    with pytest.raises(UserError, match="no split 'test'"):
        make_source(config("", tfds_dir=str(tmp_path)), "test")


def test_records_without_random_access_are_refused(root, tmp_path):
    voc_builder.prepare(str(root), str(tmp_path), file_format="tfrecord")
    with pytest.raises(UserError, match="file_format=array_record"):
        make_source(config("", tfds_dir=str(tmp_path)), "val")


class TestBuilder(tfds.testing.DatasetBuilderTestCase):
    DATASET_CLASS = voc_builder.PascalVocMasks
    SPLITS = {"train_aug": 4, "val": 2}

    @classmethod
    def setUpClass(cls):
        import pathlib
        import tempfile

        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.EXAMPLE_DIR = str(fake_data.write_voc(pathlib.Path(folder.name)))
        super().setUpClass()
