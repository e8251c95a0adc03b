"""PASCAL VOC 2012 with the SBD masks (train_aug), in its usual folder layout.

ROOT/JPEGImages/ID.jpg, ROOT/SegmentationClassAug/ID.png (else SegmentationClass),
ROOT/ImageSets/Segmentation/SPLIT.txt; tags from ROOT/tags.csv, ROOT/Annotations/ID.xml
or the masks.
"""

from functools import partial
from pathlib import Path
from typing import Literal

from ppcjax.data_pipelines.masks import open_masks
from ppcjax.data_pipelines.settings import Folder, MaskIds
from ppcjax.data_pipelines.sources import files, prepared, tables
from ppcjax.data_pipelines.sources import tags as tag_readers
from ppcjax.data_pipelines.sources.base import BACKGROUND, Files, Reading, Source
from ppcjax.types import UserError

CLASSES = (
    BACKGROUND,
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair"),
    *("cow", "diningtable", "dog", "horse", "motorbike", "person", "pottedplant"),
    *("sheep", "sofa", "train", "tvmonitor"),
)
_MASK_FOLDERS = ("SegmentationClass", "SegmentationClassAug")
_TAG_TEXT = {"xml": "Annotations/", "masks": "what the masks show"}
ADVICE = (
    "download VOCtrainval_11-May-2012.tar from host.robots.ox.ac.uk/pascal/VOC/voc2012 "
    "and the SegmentationClassAug masks of SBD, and set config.data.root to the folder "
    "that holds JPEGImages, SegmentationClassAug and ImageSets"
)


def voc(
    split: str,
    *,
    root: Folder = "",
    tags: Literal["auto", "csv", "xml", "masks"] = "auto",
    tfds_dir: Folder = "",
    void: MaskIds = (),
) -> Source:
    """A split of VOC, from its folder or from records prepared with voc_builder.

    Args:
        split: name of a list in ImageSets/Segmentation, such as "train_aug".
        root: the folder, such as VOCdevkit/VOC2012.
        tags: where tags come from: "csv" (tags.csv), "xml" (Annotations), "masks", or
            "auto", the first of these that is there.
        tfds_dir: folder of prepared records, which are read instead of `root`.
        void: mask ids that mean IGNORE, besides 255.
    """
    if tfds_dir:
        return prepared.prepared(split, tfds_dir=tfds_dir, classes=CLASSES, void=void)
    path = files.directory(root, ADVICE)
    if not (path / "JPEGImages").is_dir():
        raise UserError(f"{path}: has no folder JPEGImages; {ADVICE}")
    photos = files.find_images(path / "JPEGImages")
    ids = tuple(_listed(path, split, photos))
    masks: dict[str, Path] = {}
    folders = [name for name in _MASK_FOLDERS if (path / name).is_dir()]
    for name in folders:  # the second wins
        masks |= files.find_images(path / name, suffixes=(".png",))
    kind = _tag_kind(path, tags)
    file = path / "tags.csv"
    table = tables.read_table(file, photos, CLASSES[1:]) if kind == "csv" else None
    vectors, untagged = tag_readers.encode_all(
        table and table.tags, ids, CLASSES, str(file)
    )
    unmasked = _without_masks(path, ids, masks)
    if unmasked and kind == "masks":
        raise UserError(f"{unmasked}, and no tags say what they show; {ADVICE}")
    opened = open_masks(masks, classes=CLASSES, void=void)
    there = Files(photos, opened, len(CLASSES))
    read = {
        "csv": lambda index: vectors[index],
        "xml": lambda index: _annotated(path / "Annotations" / f"{ids[index]}.xml"),
        "masks": lambda index: there.mask_tags(ids[index]),
    }[kind]

    def record(index):
        return there.record(ids[index], partial(read, index))

    reading = Reading(
        photos="JPEGImages/",
        classes="the 20 classes of VOC",
        tags=table.text if table else _TAG_TEXT[kind],
        masks=f"{' and '.join(folders)}, {opened.text}" if masks else "",
        splits={split: len(ids)},
        warnings=(*(table.warnings if table else ()), *opened.warnings),
        mask_advice=unmasked and f"{unmasked}; {ADVICE}",
    )
    name = f"{root} (split {split})"
    return Source(
        name,
        CLASSES,
        ids,
        record,
        untagged,
        reading=reading,
        tags_by="mask" if kind == "masks" else "table",
    )


def _without_masks(path: Path, ids, masks) -> str:
    """Which images have no mask, and where it should be; "" where all have one."""
    missing = [key for key in ids if key not in masks]
    if not missing:
        return ""
    which = f"{len(missing)} of the {len(ids)} images, such as {missing[0]}"
    sbd = path / _MASK_FOLDERS[-1]
    if sbd.is_dir():
        return f"{sbd} (the masks of SBD) has no mask of {which}"
    return f"{sbd} (the masks of SBD) is missing: no mask of {which}"


def _listed(path: Path, split: str, photos: dict[str, Path]) -> list[str]:
    listed = files.find_list(path, split)
    if listed is None:
        there = sorted(p.stem for p in (path / "ImageSets/Segmentation").glob("*.txt"))
        raise UserError(
            f"no split {split!r}: {path}/ImageSets/Segmentation/{split}.txt is "
            "missing; " + (f"there are {', '.join(there)}" if there else ADVICE)
        )
    ids = files.read_list(listed)
    if not ids:
        raise UserError(f"{listed}: split {split} is empty; put ids into the list")
    missing = next((i for i in ids if i not in photos), None)
    if missing is not None:
        raise UserError(f"{listed}: no image {path}/JPEGImages/{missing}.jpg; {ADVICE}")
    return ids


def _tag_kind(path: Path, kind: str) -> str:
    places = {"csv": path / "tags.csv", "xml": path / "Annotations"}
    if kind == "auto":
        return next((k for k, place in places.items() if place.exists()), "masks")
    if kind in places and not places[kind].exists():
        raise UserError(f"{places[kind]}: is missing; set config.data.tags=auto")
    return kind


def _annotated(file: Path):
    return tag_readers.encode(tag_readers.read_annotation(file), CLASSES, str(file))
