"""Masks of a folder of their own, such as an export, in place of those of a source."""

import numpy as np
import pytest
from PIL import Image

from ppcjax import data_pipelines
from ppcjax.data_pipelines.sources import replaced
from ppcjax.types import IGNORE, UserError
from tests import folder_photos
from tests.data import mask_files

IDS = [f"p{i}" for i in range(6)]


def make_source(root, masks, **settings):
    data = {"source": "folder", "root": str(root), "masks": str(masks), **settings}
    return data_pipelines.make_source(data, "all")


@pytest.fixture
def photos(tmp_path):
    """Photos of the classes green and red, 40 pixels wide."""
    (tmp_path / "photos").mkdir()
    return folder_photos.write(tmp_path / "photos")


def size_of(photos, key):
    width, height = Image.open(photos / f"{key}.png").size
    return {"width": width, "height": height}


def write(photos, folder, name="{}.png", writer=mask_files.grey, values=(0, 1, 2, 255)):
    """A mask of each photo; returns them by id."""
    masks = {}
    for key in IDS:
        masks[key] = mask_files.stripes(*values, **size_of(photos, key))
        writer(folder / name.format(key), masks[key])
    return masks


def check(source, masks):
    for i, key in enumerate(source.ids):
        np.testing.assert_array_equal(source.record(i).mask(), masks[key])


def test_masks_of_other_classes_or_none_are_refused(photos, tmp_path):
    export = tmp_path / "export"
    export.mkdir()
    with pytest.raises(UserError, match="export masks into it"):
        make_source(photos, export / "no")
    with pytest.raises(
        UserError, match="none of the 6 images has a mask there.*no mas"
    ):
        make_source(photos, export)
    (export / "masks").mkdir()
    (export / "classes.txt").write_text("background\ncat\n")
    with pytest.raises(UserError, match="are of the classes background, cat, but"):
        make_source(photos, export)


@pytest.mark.parametrize("inside", ["", "masks"])
@pytest.mark.parametrize(
    "name, writer",
    [
        ("{}.png", mask_files.grey),
        ("{}.PNG", mask_files.palette),
        ("{}.tif", mask_files.grey),
        ("{}.bmp", mask_files.palette),
        ("{}.npy", mask_files.array),
        ("{}_mask.png", mask_files.grey),
        ("mask_{}.tif", mask_files.palette),
    ],
)
def test_every_form_and_place(photos, tmp_path, inside, name, writer):
    masks = write(photos, tmp_path / "out" / inside, name, writer)
    source = make_source(photos, tmp_path / "out")
    check(source, masks)
    assert source.reading.masks.startswith("6 of 6 images have one in ")
    assert ("names" in source.reading.masks) or "class ids" in source.reading.masks


LISTS = {
    "whole": b"background\ngreen\nred\n",
    "no last newline": b"background\ngreen\nred",
    "no background": b"green\nred\n",
    "byte-order mark": b"\xef\xbb\xbfbackground\ngreen\nred\n",
    "CRLF": b"background\r\ngreen\r\nred\r\n",
    "case": b"Background\nGreen\nRED\n",
    "blank lines and spaces": b"\nbackground\n green \n\nred\n\n",
    "UTF-16": "background\ngreen\nred\n".encode("utf-16"),
}


@pytest.mark.parametrize("form", LISTS)
@pytest.mark.parametrize("beside", [True, False])
def test_class_lists_that_say_the_same(photos, tmp_path, form, beside):
    out = tmp_path / "out"
    masks = write(photos, out / "masks")
    (out / ("" if beside else "masks") / "classes.txt").write_bytes(LISTS[form])
    source = make_source(photos, out)
    check(source, masks)
    guessed = any("id 0 is read as that" in line for line in source.reading.warnings)
    assert guessed == (form == "no background")


@pytest.mark.parametrize(
    "text",
    ["red\ngreen\n", "background\nred\ngreen\n", "green\n", "green\nred\nblue\n"],
)
def test_class_lists_that_say_another_thing(photos, tmp_path, text):
    write(photos, tmp_path / "out")
    (tmp_path / "out" / "classes.txt").write_text(text)
    with pytest.raises(UserError, match="are of the classes .*background, green, red"):
        make_source(photos, tmp_path / "out")


def test_colours_of_a_list_in_any_order(photos, tmp_path):
    table = ((0, 0, 0), (250, 50, 83), (61, 61, 245))

    def writer(path, ids):
        return mask_files.colour(path, ids, table)

    masks = write(photos, tmp_path / "out", writer=writer)
    lines = "red:61,61,245::\nbackground:0,0,0::\ngreen:250,50,83::\n"
    (tmp_path / "out" / "labelmap.txt").write_text(f"# label:color_rgb\n{lines}")
    check(make_source(photos, tmp_path / "out"), masks)


def test_two_masks_of_one_image(photos, tmp_path):
    masks = write(photos, tmp_path / "out")
    # A photo beside its mask is not a second one.
    (tmp_path / "out" / "p1.jpg").write_bytes(b"\xff\xd8\xff")
    check(make_source(photos, tmp_path / "out"), masks)
    mask_files.grey(tmp_path / "out" / "p1.tif", masks["p1"])
    with pytest.raises(UserError, match="masks of one image; keep one"):
        make_source(photos, tmp_path / "out")


def test_names_of_nothing_and_kinds_that_change_ids(photos, tmp_path):
    write(photos, tmp_path / "out", "x{}.png")
    line = "such as .*p0.png; there are 6 others, such as xp0.png, xp1.png, xp2.png;"
    with pytest.raises(UserError, match=line):
        make_source(photos, tmp_path / "out")
    write(photos, tmp_path / "jpg", "{}.jpg")
    with pytest.raises(UserError, match="p0.jpg: is a JPEG picture, and JPEG changes"):
        make_source(photos, tmp_path / "jpg")


def test_some_masks_in_other_folders_are_of_other_images(photos, tmp_path):
    write(photos, tmp_path / "out", "dog/{}.png")
    with pytest.raises(UserError, match="none of the 6 images.*such as dog/p0.png"):
        make_source(photos, tmp_path / "out")
    masks = write(photos, tmp_path / "some")
    for key in IDS[2:]:
        (tmp_path / "some" / f"{key}.png").unlink()
    source = make_source(photos, tmp_path / "some")
    assert [source.record(i).mask() is None for i in range(6)] == [False] * 2 + [
        True
    ] * 4
    np.testing.assert_array_equal(source.record(1).mask(), masks["p1"])


def test_the_rules_of_a_set_hold(photos, tmp_path):
    write(photos, tmp_path / "out", values=(0, 255))
    with pytest.raises(UserError, match="all 6 masks hold 0 and 255 only"):
        make_source(photos, tmp_path / "out")
    source = make_source(photos, tmp_path / "out", void=(255,))
    assert set(np.unique(source.record(0).mask())) == {0, IGNORE}


def write_splits(photos, out, name, writer, of_train):
    """Photos of one class in two splits; masks of val hold 0 and 255 only."""
    (photos / "tags.csv").write_text("".join(f"{key},green\n" for key in IDS))
    (photos / "splits").mkdir()
    for split, ids in {"train": IDS[:4], "val": IDS[4:]}.items():
        (photos / f"splits/{split}.txt").write_text("\n".join(ids))
        for key in ids:
            values = of_train if split == "train" else (0, 255)
            ids_of = mask_files.stripes(*values, **size_of(photos, key))
            writer(out / name.format(key), ids_of)


def first_mask(photos, out, split):
    data = {"source": "folder", "root": str(photos), "masks": str(out)}
    source = data_pipelines.make_source(data, split)
    return set(np.unique(source.record(0).mask())), source.reading


@pytest.mark.parametrize("name", ["{}.png", "{}_mask.png", "mask_{}.png", "{}.npy"])
@pytest.mark.parametrize("of_train", [(0, 1), (0, 1, 255), (0, 255)])
def test_all_splits_are_read_alike(photos, tmp_path, name, of_train):
    writer = mask_files.array if name.endswith("npy") else mask_files.grey
    write_splits(photos, tmp_path / "out", name, writer, of_train)
    train, reading = first_mask(photos, tmp_path / "out", "train")
    val, of_val = first_mask(photos, tmp_path / "out", "val")
    if of_train == (0, 255):
        assert train == val == {0, 1}
        assert "255 is read as green" in reading.masks
    else:
        assert val == {0, IGNORE} and train == set(of_train)
        assert "255 is read as" not in of_val.masks


def test_pictures_beside_masks_do_not_count(photos, tmp_path):
    out = tmp_path / "out"
    write_splits(photos, out, "{}.png", mask_files.grey, (0, 255))
    picture = np.arange(40 * 30 * 3, dtype=np.uint8).reshape(40, 30, 3)
    Image.fromarray(picture).save(out / "contact sheet.png")
    Image.fromarray(picture[..., 0]).save(out / "p0_preview.png")
    Image.fromarray(picture).save(out / "p9.jpg")
    assert first_mask(photos, out, "val")[0] == {0, 1}


@pytest.mark.parametrize("inside", ["", "val/"])
def test_images_in_the_folder_of_their_split(tmp_path, inside):
    found = {f"{inside}a_mask": tmp_path / "a", f"{inside}b_mask": tmp_path / "b"}
    matched, text = replaced.match(["val/a", "val/b", "val/c"], found)
    assert matched == {"val/a": tmp_path / "a", "val/b": tmp_path / "b"} and text
    exact = {f"{inside}a": tmp_path / "a", "c": tmp_path / "c"}
    matched, _ = replaced.match(["val/a", "val/b"], exact)
    assert matched == {"val/a": tmp_path / "a"}
    # A folder that is a tag tells images apart; two of them could be meant.
    assert replaced.match(["cat/a"], {"a": tmp_path / "a"}) == ({}, "")
    assert replaced.match(["val/a", "train/a"], {"a": tmp_path / "a"}) == ({}, "")
