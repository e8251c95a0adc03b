"""voc_animals: made of archives as they are, with photos that show animals alone."""

import csv
import io
import tarfile

import numpy as np
import pytest
import scipy.io
from PIL import Image

from benchmarks import voc_animals
from ppcjax.data_pipelines.sources.voc import CLASSES, voc

CAT, CAR = CLASSES.index("cat"), CLASSES.index("car")


def packed(path, files, mode):
    with tarfile.open(path, mode) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return str(path)


def png(mask):
    file = io.BytesIO()
    Image.fromarray(mask).save(file, "PNG")
    return file.getvalue()


def jpeg(size):
    file = io.BytesIO()
    Image.new("RGB", size, (90, 140, 60)).save(file, "JPEG")
    return file.getvalue()


def mat(mask):
    file = io.BytesIO()
    scipy.io.savemat(file, {"GTcls": {"Segmentation": mask, "Boundaries": 0}})
    return file.getvalue()


def mask_of(value, shape=(375, 500)):
    mask = np.zeros(shape, np.uint8)
    mask[100:200, 100:300] = value
    mask[0, 0] = 255
    return mask


@pytest.fixture
def archives(tmp_path):
    folder = "VOCdevkit/VOC2012"
    own = {"own_cat": CAT, "own_car": CAR, "validated": CAT}
    theirs = {"more_cat": CAT, "more_car": CAR, "validated": CAT, "own_cat": CAR}
    lists = {"train": "own_cat\nown_car\n", "val": "validated\n"}
    files = {
        **{f"{folder}/ImageSets/Segmentation/{k}.txt": t for k, t in lists.items()},
        f"{folder}/Annotations/own_cat.xml": "<annotation/>",
    }
    files = {name: text.encode() for name, text in files.items()}
    for name in {*own, *theirs}:
        files[f"{folder}/JPEGImages/{name}.jpg"] = jpeg((500, 375))
    for name, value in own.items():
        files[f"{folder}/SegmentationClass/{name}.png"] = png(mask_of(value))
    mats = {
        f"benchmark_RELEASE/dataset/cls/{name}.mat": mat(mask_of(value))
        for name, value in theirs.items()
    }
    return (
        files,
        packed(tmp_path / "voc.tar", files, "w"),
        packed(tmp_path / "sbd.tgz", mats, "w:gz"),
    )


def make(archives, out):
    _, of_voc, of_sbd = archives
    voc_animals.main(["--voc", of_voc, "--sbd", of_sbd, "--out", str(out)])


def test_photos_with_animals_are_kept_and_none_that_is_validated_with(
    archives, tmp_path
):
    out = tmp_path / "out"
    make(archives, out)
    made = {p.relative_to(out).as_posix() for p in out.rglob("*.*")}
    assert {"JPEGImages/own_cat.jpg", "JPEGImages/more_cat.jpg"} < made
    assert not any("car" in name or "validated" in name for name in made)
    assert list(voc("train", root=str(out)).ids) == ["own_cat"]
    every = voc("train_aug", root=str(out))
    assert list(every.ids) == ["more_cat", "own_cat"]
    for index in range(2):
        record = every.record(index)
        mask = record.mask()
        # VOC's own mask wins where SBD has one, too.
        assert set(np.unique(mask)) == {0, CAT, 255} and mask.shape == (288, 384)
        assert record.tags()[CAT]
        with Image.open(out / "JPEGImages" / f"{every.ids[index]}.jpg") as photo:
            assert photo.size == (384, 288)
    rows = list(csv.reader((out / "tags.csv").open()))
    assert rows == [["image", "tags"], ["more_cat.jpg", "cat"], ["own_cat.jpg", "cat"]]


def test_what_is_not_as_it_should_be_is_said(archives, tmp_path):
    files, of_voc, of_sbd = archives
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    with pytest.raises(SystemExit, match="not empty"):
        make(archives, tmp_path / "full")
    text = tmp_path / "text.tar"
    text.write_text("no archive")
    for broken in ((files, str(text), of_sbd), (files, of_voc, str(text))):
        with pytest.raises(SystemExit, match="cannot be read as an archive"):
            make(broken, tmp_path / "out")
    fewer = {n: c for n, c in files.items() if "Images/more_cat" not in n}
    lacking = packed(tmp_path / "lacking.tar", fewer, "w")
    with pytest.raises(SystemExit, match="lacks 1 photos, such as more_cat"):
        make((files, lacking, of_sbd), tmp_path / "lacking")
    unlisted = {n: c for n, c in files.items() if not n.endswith("val.txt")}
    without = packed(tmp_path / "without.tar", unlisted, "w")
    with pytest.raises(SystemExit, match="no list .*val.txt"):
        make((files, without, of_sbd), tmp_path / "without")
    assert voc_animals.reduced((10, 4000)) == (1, 384)
