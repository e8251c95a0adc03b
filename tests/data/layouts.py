"""Folders in every layout that people have, with the ids that must come out.

LAYOUTS: name -> (root) -> Good. Layouts of annotation tools are in `format_layouts`.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from tests.data.format_layouts import FORMATS
from tests.data.scenes import (
    COLOURS,
    ENCODERS,
    LISTED,
    SORTED,
    Good,
    Scene,
    coloured,
    halves,
    lines,
    palette,
    save,
    scene,
    tag_rows,
    write_masks,
    write_photos,
    write_tags,
    write_text,
)

Maker = Callable[[Path], Good]
WITH_BACKGROUND = ("background", *SORTED)
WITH_LIST = ("background", *LISTED)
CVAT = "# label:color_rgb:parts:actions\n"


def everything(views: Scene) -> dict[str, tuple[str, ...]]:
    """The split that is always there."""
    return {"all": tuple(views)}


def plain(root, photos="", masks="masks", after="", how="grey", end=".png", **settings):
    """A table of tags; photos and masks in folders of their own."""
    views = scene(1, **settings)
    write_photos(root / photos, views, end)
    write_masks(root / masks, views, how, after)
    write_tags(root, views, end=end)
    return Good(root, WITH_BACKGROUND, views, everything(views))


def listed(root, photos="images", masks="masks", how="grey", after=""):
    """No tags, but a class list whose order is not the alphabet's."""
    views = scene(2)
    write_photos(root / photos, views, ".jpg")
    write_masks(root / masks, views, how, after)
    write_text(root / "classes.txt", lines(LISTED))
    return Good(root, WITH_LIST, views, everything(views))


def nested(root):
    """Photos and masks in sub-folders of the same names."""
    views = scene(3)
    for name, view in views.items():
        place = f"day{int(name[1:]) % 2}/{name}"
        save(root / f"images/{place}.jpg", view.photo)
        save(root / f"masks/{place}.png", view.mask)
    write_text(root / "classes.txt", lines(LISTED))
    return Good(root, WITH_LIST, views, everything(views))


def beside(root, after="_mask", splits=("train", "valid"), photo_end=".jpg"):
    """Masks among the photos, ids in a table of each split."""
    views = scene(4)
    for split, names in zip(splits, halves(views).values(), strict=True):
        for name in names:
            save(root / split / f"{name}{photo_end}", views[name].photo)
            save(root / split / f"{name}{after}.png", views[name].mask)
        rows = [f"{i}, {name}" for i, name in enumerate(WITH_LIST)]
        write_text(root / split / "_classes.csv", lines(["Pixel Value, Class", *rows]))
    found = dict(zip(splits, halves(views).values(), strict=True))
    return Good(root, WITH_LIST, views, found)


def beside_flat(root, after="_mask"):
    """Masks among the photos of one folder."""
    views = scene(5)
    write_photos(root, views, ".jpg")
    write_masks(root, views, after=after)
    write_text(root / "classes.txt", lines(LISTED))
    return Good(root, WITH_LIST, views, everything(views))


def split_folders(root, images, masks, splits=("train", "val"), how="grey", after=""):
    """A folder per split of the photos and of the masks, {} for the split."""
    views = scene(6)
    found = dict(zip(splits, halves(views).values(), strict=True))
    for split, names in found.items():
        part = {name: views[name] for name in names}
        write_photos(root / images.format(split), part, ".jpg")
        write_masks(root / masks.format(split), part, how, after)
    write_text(root / "classes.txt", lines(LISTED))
    return Good(root, WITH_LIST, views, found)


def tag_folders(root, splits=()):
    """A sub-folder per tag, below a folder per split or not."""
    views = scene(7, 8, void=False, empty=False)
    names = tuple(views)
    parts = (names[:4], names[4:])
    found = dict(zip(splits, parts, strict=True)) if splits else {"all": names}
    tags = {name: (SORTED[int(name[1:]) % 3],) for name in views}
    for split, part in found.items():
        for name in part:
            below = f"{split}/{tags[name][0]}" if splits else tags[name][0]
            save(root / below / f"{name}.jpg", views[name].photo)
    return Good(root, WITH_BACKGROUND, views, found, tags=tags, masks=False)


def voc_like(root, colours=True, folder="SegmentationClass"):
    """The layout of VOC with own classes and a list of their colours."""
    views = scene(8)
    write_photos(root / "JPEGImages", views, ".jpg")
    for name, view in views.items():
        drawn = coloured(view.mask) if colours else view.mask
        save(root / folder / f"{name}.png", drawn)
    rows = [
        f"{name}:{','.join(map(str, colour))}::"
        for name, colour in zip(WITH_LIST, COLOURS, strict=True)
    ]
    void = ["void:224,224,192::"] if colours else []
    write_text(root / "labelmap.txt", CVAT + lines([*rows, *void]))
    for split, names in halves(views).items():
        write_text(root / f"ImageSets/Segmentation/{split}.txt", lines(names))
    return Good(root, WITH_LIST, views, halves(views))


def voc_palette(root):
    """Palette masks whose palette is that of the list; the last class is everywhere."""
    good = voc_like(root, colours=False)
    for name, view in good.scene.items():
        table = np.zeros((256, 3), np.uint8)
        table[:4], table[255] = COLOURS, (224, 224, 192)
        save(root / f"SegmentationClass/{name}.png", palette(view.mask, table))
    return good


def per_class(root, place, values=255):
    """One mask of 0 and another value per class and photo; {} for class and photo."""
    views = scene(9, void=False, empty=False)
    write_photos(root / "images", views, ".jpg")
    for name, view in views.items():
        for i in view.ids:
            alone = np.where(view.mask == i, values, 0).astype(np.uint8)
            save(root / place.format(tag=SORTED[i - 1], name=name), alone)
    rows = tag_rows(views, SORTED, end=".jpg")
    write_text(root / "tags.csv", lines(f"{a},{b}" for a, b in rows))
    return Good(root, WITH_BACKGROUND, views, everything(views))


def binary(root, how="grey", named="classes.txt"):
    """0 and 255 of a single class that is named."""
    views = scene(10, classes=1, void=False)
    write_photos(root / "images", views, ".jpg")
    for name, view in views.items():
        ENCODERS[how](root / "masks" / name, view.mask * 255)
    if named == "classes.txt":
        write_text(root / named, "polyp\n")
    else:
        write_tags(root, views, ("polyp",), ".jpg")
    return Good(root, ("background", "polyp"), views, everything(views))


def one_bit(root):
    """1-bit masks of a single class."""
    good = binary(root)
    for name, view in good.scene.items():
        save(root / f"masks/{name}.png", view.mask > 0)
    return good


_SPLITS = {
    "images_split": ("images/{}", "masks/{}", ("train", "val")),
    "img_dir": ("img_dir/{}", "ann_dir/{}", ("train", "val")),
    "images_annotations": ("images/{}", "annotations/{}", ("training", "validation")),
    "images_labels_split": ("images/{}", "labels/{}", ("train", "test")),
    "split_images": ("{}/images", "{}/masks", ("train", "val")),
    "split_image": ("{}/image", "{}/label", ("train", "valid")),
    "split_labels": ("{}/images", "{}/labels", ("train", "val")),
    "annot": ("{}", "{}annot", ("train", "val")),
    "train_labels": ("{}", "{}_labels", ("train", "val")),
    "train_masks": ("{}", "{}_masks", ("train", "val")),
}
LAYOUTS: dict[str, Maker] = {
    "plain": plain,
    "plain_jpg": partial(plain, end=".jpg"),
    "images": partial(plain, photos="images"),
    "images_labels": partial(plain, photos="images", masks="labels"),
    "image_mask": partial(plain, photos="image", masks="mask"),
    "imgs": partial(plain, photos="imgs"),
    "voc_png": partial(plain, photos="images", masks="SegmentationClassPNG"),
    "annotations": partial(listed, masks="annotations"),
    "ann_dir": partial(listed, photos="img_dir", masks="ann_dir"),
    "gt": partial(listed, masks="gt"),
    "suffix_mask": partial(plain, after="_mask"),
    "suffix_label": partial(listed, after="_label"),
    "suffix_labels": partial(listed, after="_labels"),
    "suffix_gt": partial(listed, masks="gt", after="_gt"),
    "nested": nested,
    "beside_splits": beside,
    "beside_flat": beside_flat,
    "beside_seg": partial(beside_flat, after="_seg"),
    "beside_segmentation": partial(beside_flat, after="_segmentation"),
    "beside_masks": partial(beside_flat, after="_masks"),
    "beside_same_name": partial(beside_flat, after=""),
    "tags": tag_folders,
    "split_tags": partial(tag_folders, splits=("train", "val")),
    "split_tags_test": partial(tag_folders, splits=("train", "test")),
    "voc_colours": voc_like,
    "voc_ids": partial(voc_like, colours=False),
    "voc_palette": voc_palette,
    "per_class_folder": partial(per_class, place="masks/{tag}/{name}.png"),
    "per_class_suffix": partial(per_class, place="masks/{name}_{tag}.png"),
    "per_class_ones": partial(per_class, place="masks/{tag}/{name}.png", values=1),
    "binary": binary,
    "binary_tags": partial(binary, named="tags.csv"),
    "binary_rgb": partial(binary, how="rgb_equal"),
    "one_bit": one_bit,
    **{
        name: partial(split_folders, images=images, masks=masks, splits=splits)
        for name, (images, masks, splits) in _SPLITS.items()
    },
    **{f"listed_{how}": partial(listed, how=how) for how in ENCODERS},
    **FORMATS,
}
