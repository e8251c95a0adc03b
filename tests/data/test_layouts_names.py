"""What the names of folders say, and where they say nothing for sure."""

from pathlib import Path

import pytest

from ppcjax.data_pipelines.sources import layouts


def files(folder, *stems, end="jpg"):
    return [Path(folder, f"{stem}.{end}") for stem in stems]


def placed(paths, asked="train"):
    """Photos and masks as "role key", sorted, and splits."""
    found, _ = layouts.place(paths)
    found = layouts.strip_wrapper(found)
    keys = sorted(f"{one.role} {one.key.as_posix()}" for one in found)
    return keys, layouts.splits_of([p for p in found if p.role == "photo"], asked)


def pairs(photos, masks, stems=("a", "b"), name="{}", **options):
    """What is placed of photos as JPEG and masks as PNG of similar names."""
    named = [name.format(stem) for stem in stems]
    return placed(files(photos, *stems) + files(masks, *named, end="png"), **options)


BOTH = ["mask a.png", "mask b.png", "photo a.jpg", "photo b.jpg"]
FOLDERS = [
    *(("images", "masks"), ("Images", "Masks"), ("image", "label"), ("img", "mask")),
    *(("imgs", "gt"), ("photos", "annotations"), ("input", "target"), (".", "masks")),
    *(("images", "masks_png"), ("images_png", "masks_png"), ("rgb", "seg")),
    *(("JPEGImages", "SegmentationClass"), ("IMAGES", "SegmentationClassPNG")),
    *(("img_dir", "ann_dir"), ("images", "ground_truth"), ("Pictures", "Labels")),
    *(("cow_images", "cow_masks"), ("my imgs", "my segmentations")),
]


@pytest.mark.parametrize("wrapper", ["", "set", "set/set", "archive/my set"])
@pytest.mark.parametrize("names", FOLDERS)
def test_usual_names(names, wrapper):
    photos, masks = (f"{wrapper}/{name}".strip("/") for name in names)
    assert pairs(photos, masks) == (BOTH, set())


@pytest.mark.parametrize("names", FOLDERS)
@pytest.mark.parametrize("splits", [("train", "val"), ("Training", "Validation")])
def test_splits_inside_and_around(names, splits):
    photos, masks = names
    for form in ("{split}/{name}", "{name}/{split}"):
        paths = []
        for split in splits:
            place, other = (form.format(split=split, name=name) for name in names)
            if photos == "." and form[1] == "n":
                return
            paths += files(place, f"{split}1") + files(other, f"{split}1", end="png")
        keys, found = placed(paths)
        assert found == set(splits)
        assert keys == sorted(
            f"{role} {split}/{split}1.{end}"
            for split in splits
            for role, end in (("photo", "jpg"), ("mask", "png"))
        )


@pytest.mark.parametrize(
    "form",
    [
        *("{}_labels", "{}_masks", "{}annot", "{}-gt", "{}_segmentation"),
        *("labels_{}", "masks-{}", "annotations_{}"),
    ],
)
def test_the_split_in_the_name_of_the_masks(form):
    paths = []
    for split in ("train", "val", "test"):
        paths += files(split, split[0]) + files(form.format(split), split[0], end="png")
    keys, found = placed(paths)
    assert found == {"train", "val", "test"}
    assert [key for key in keys if key.startswith("mask")] == [
        "mask test/t.png",
        "mask train/t.png",
        "mask val/v.png",
    ]


def test_folders_of_published_sets():
    keys, splits = pairs(
        "ISIC2018_Task1-2_Training_Input",
        "ISIC2018_Task1_Training_GroundTruth",
        name="{}_segmentation",
    )
    assert (
        splits == {"Training"} and [k[:4] for k in keys] == ["mask"] * 2 + ["phot"] * 2
    )
    keys, splits = placed(
        files("leftImg8bit/train/city", "a_1_leftImg8bit", end="png")
        + files("gtFine/train/city", "a_1_gtFine_labelIds", end="png")
    )
    assert splits == {"train"}
    assert keys[0] == "mask train/city/a_1_gtFine_labelIds.png"


TAGS = [
    *(("mask", "no_mask"), ("with_mask", "without_mask"), ("label", "no label")),
    *(("target", "other"), ("gt", "bmw"), ("photo", "drawing"), ("segs", "cars")),
    *(("aeroplane", "train"), ("bus", "train"), ("image", "text")),
]


@pytest.mark.parametrize("tags", TAGS)
@pytest.mark.parametrize("wrapper", ["", "photos/"])
def test_folders_that_may_be_tags(tags, wrapper):
    paths = files(wrapper + tags[0], "1", "2") + files(wrapper + tags[1], "3", "4")
    keys, splits = placed(paths)
    assert keys == sorted(
        f"photo {tag}/{i}.jpg"
        for i, tag in zip("1234", sorted(tags * 2, key=tags.index), strict=True)
    )
    assert splits == set()


@pytest.mark.parametrize("tags", [("mask", "no_mask"), ("with_mask", "without_mask")])
def test_tags_of_photos_without_loss_and_of_equal_names(tags):
    paths = [p for tag in tags for p in files(tag, "1", "2", end="png")]
    assert placed(paths)[0] == sorted(f"photo {t}/{i}.png" for t in tags for i in "12")


def test_splits_beside_other_folders():
    train, val, bus = (files(name, name) for name in ("train", "val", "bus"))
    assert placed(train + bus)[1] == set()
    assert placed(train + val + bus)[1] == {"train", "val", "bus"}
    assert placed(train)[1] == {"train"} and placed(train, "all")[1] == {"train"}
    assert placed(bus + files("car", "1"), "bus")[1] == {"bus", "car"}
    assert placed(train + [Path("a.jpg")])[1] == set()


def test_wrappers_that_are_tags_stay():
    assert placed(files("cow", "1", "2"))[0] == ["photo cow/1.jpg", "photo cow/2.jpg"]
    keys, splits = placed(files("set/train/cow", "1") + files("set/val/cow", "2"))
    assert keys == ["photo train/cow/1.jpg", "photo val/cow/2.jpg"]
    assert splits == {"train", "val"}


def test_what_lies_outside_is_named():
    paths = files("images", "a") + files("masks", "a", end="png")
    paths += files("painted", "a", "b") + [Path("sheet.jpg"), Path("saliency/a.png")]
    _, passed = layouts.place(paths)
    assert passed == {
        "image in painted/, outside images/": 2,
        "image, outside images/": 1,
        "file in saliency/": 1,
    }
