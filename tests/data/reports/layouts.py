"""Folders in layouts that were not read, or read as something else."""

import json

import numpy as np

from tests.data.fake_data import write_voc
from tests.data.format_layouts import coco_json
from tests.data.layouts import LAYOUTS
from tests.data.reading import Outcome
from tests.data.reports.four import photos, refused, views
from tests.data.scenes import Good, save, scene, write_text


def _whole(name, *allowed):
    """A member: a layout of the table, which must come out exactly."""

    def member(root):
        good = LAYOUTS[name](root)
        return Outcome(good, allowed, data=good.data)

    return member


def _all_of(name):
    """A member: the split "all" of a folder that has splits."""

    def member(root):
        good = LAYOUTS[name](root)
        whole = {"all": tuple(good.scene)}
        return Outcome(good._replace(splits=whole), ("split",), data=good.data)

    return member


def _coco_of_no_photo(root):
    found = scene(20, void=False)
    photos(root, views(), folder="images")
    write_text(root / "annotations/instances_train.json", json.dumps(coco_json(found)))
    return refused("instances_train.json")


def _tag_named_train(root):
    """No split: photos of trains and of valleys."""
    found = views()
    tags = {"p0": "train", "p1": "train", "p2": "boat", "p3": "boat"}
    for name, view in found.items():
        save(root / tags[name] / f"{name}.jpg", view.photo)
    tagged = {name: (tag,) for name, tag in tags.items()}
    good = Good(root, ("background", "boat", "train"), found, {"all": tuple(found)},
                tags=tagged, masks=False)  # fmt: skip
    return Outcome(good, ("train",))


def _uneven_tags(root):
    """A class that only the validation split has."""
    found = views()
    places = ("train/cat", "train/cat", "val/cat", "val/dog")
    for (name, view), place in zip(found.items(), places, strict=True):
        save(root / place / f"{name}.jpg", view.photo)
    tags = {"p0": ("cat",), "p1": ("cat",), "p2": ("cat",), "p3": ("dog",)}
    splits = {"train": ("p0", "p1"), "val": ("p2", "p3")}
    good = Good(root, ("background", "cat", "dog"), found, splits, tags=tags,
                masks=False)  # fmt: skip
    return Outcome(good, ("dog", "every photo"))


def _voc_names_of_others(root):
    """Masks without any name: VOC's are not taken for granted."""
    found = views()
    photos(root, found, folder="JPEGImages")
    for name, view in found.items():
        save(root / f"SegmentationClass/{name}.png", view.mask)
    return refused("classes.txt", "class")


def _objects_beside_classes(root):
    good = LAYOUTS["voc_ids"](root)
    for name, view in good.scene.items():
        other = np.where(view.mask == 1, 2, view.mask).astype(np.uint8)
        save(root / f"SegmentationObject/{name}.png", other)
    return Outcome(good)


def _voc(masks, count=2):
    """A member: the source voc, and fewer masks than its list has photos.

    Args:
        masks: folder that the masks are in.
        count: how many there are, of three.
    """

    def member(root):
        write_voc(root, (("train_aug", 3),))
        found = sorted((root / "SegmentationClassAug").iterdir())
        (root / masks).mkdir(exist_ok=True)
        for number, file in enumerate(found):
            kept = file.rename(root / masks / file.name)
            if number >= count:
                kept.unlink()
        if masks != "SegmentationClassAug":
            (root / "SegmentationClassAug").rmdir()
        return refused("SegmentationClassAug", "SBD", "2007_0000", source="voc",
                       splits=("train_aug",), needs="masks")  # fmt: skip

    return member


KINDS = {
    "layout_images_split_masks_split": {
        "reported": _whole("images_split"),
        **{n: _whole(n) for n in ("images_labels_split", "split_images")},
        **{n: _whole(n) for n in ("split_image", "split_labels")},
        "all": _all_of("images_split"),
    },
    "layout_img_dir_ann_dir": {
        "reported": _whole("img_dir"),
        **{n: _whole(n) for n in ("images_annotations", "annot")},
        **{n: _whole(n) for n in ("train_labels", "train_masks")},
    },
    "layout_mask_beside_photo": {
        "reported": _whole("beside_splits"),
        **{n: _whole(n) for n in ("beside_flat", "beside_seg", "beside_same_name")},
        "all": _all_of("beside_splits"),
    },
    "layout_train_val_class": {
        "reported": _whole("split_tags"),
        **{n: _whole(n) for n in ("split_tags_test", "tags")},
        "all": _all_of("split_tags"),
        "tag_named_train": _tag_named_train,
        "uneven": _uneven_tags,
    },
    "layout_voc_masks_own_classes": {
        "reported": _whole("voc_ids"),
        **{n: _whole(n) for n in ("voc_colours", "voc_palette")},
        "no_names": _voc_names_of_others,
        "objects": _objects_beside_classes,
    },
    "layout_voc_xml_own_classes": {
        "reported": _whole("voc_xml"),
        "labelme": _whole("labelme"),
        "label_studio": _whole("label_studio"),
    },
    "layout_coco_json": {
        "reported": _whole("coco"),
        **{
            name: _whole(name)
            for name in ("coco_rle", "coco_one_file", "coco_in_splits", "yolo")
        },
        "other_photos": _coco_of_no_photo,
    },
    "voc_without_sbd": {
        "reported": _voc("SegmentationClass", 1),
        "no_masks_at_all": _voc("SegmentationClass", 0),
        "some_of_sbd": _voc("SegmentationClassAug", 1),
    },
}
