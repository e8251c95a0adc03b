"""Cityscapes with its 19 evaluated classes, in its usual folder layout.

ROOT/leftImg8bit/SPLIT/CITY/ID_leftImg8bit.png, ROOT/gtFine/SPLIT/CITY/ID_gtFine_
labelIds.png; Cordts et al., "The Cityscapes Dataset for Semantic Urban Scene
Understanding", CVPR 2016.
"""

from functools import partial
from pathlib import Path

from ppcjax.data_pipelines.masks import open_masks
from ppcjax.data_pipelines.settings import Folder
from ppcjax.data_pipelines.sources import files
from ppcjax.data_pipelines.sources.base import Files, Reading, Source
from ppcjax.types import UserError

CLASSES = (
    *("road", "sidewalk", "building", "wall", "fence", "pole", "traffic light"),
    *("traffic sign", "vegetation", "terrain", "sky", "person", "rider", "car"),
    *("truck", "bus", "train", "motorcycle", "bicycle"),
)
# The id of each class in the label files; the ids between them are not evaluated.
LABEL_IDS = (7, 8, 11, 12, 13, 17, *range(19, 29), 31, 32, 33)
VOID = tuple(i for i in range(34) if i not in LABEL_IDS)
ADVICE = (
    "download leftImg8bit_trainvaltest.zip and gtFine_trainvaltest.zip from "
    "cityscapes-dataset.com and set config.data.root to the folder that holds "
    "leftImg8bit and gtFine"
)


def cityscapes(split: str, *, root: Folder) -> Source:
    """A split of the fine annotations.

    Args:
        split: "train", "val" or "test", whose masks are all void.
        root: the folder.

    Raises:
        UserError: the folder or the split is not there, or an image has no mask.
    """
    path = files.directory(root, ADVICE)
    images, labels = path / "leftImg8bit" / split, path / "gtFine" / split
    if not (split and images.is_dir() and labels.is_dir()):
        there = [p.name for p in sorted((path / "leftImg8bit").glob("*/"))]
        if there:
            raise UserError(
                f"{path}: has no folders of a split {split!r}; there are those of "
                f"{', '.join(there)}"
            )
        raise UserError(f"{path}: holds no leftImg8bit/{split} and gtFine; {ADVICE}")
    photos = _by_id(images, "_leftImg8bit")
    if not photos:
        raise UserError(f"{images}: holds no image; put those of split {split} there")
    found = _by_id(labels, "_gtFine_labelIds")
    missing = next((key for key in photos if key not in found), None)
    if missing is not None:
        raise UserError(
            f"{photos[missing]}: has no mask {labels}/{missing}_gtFine_labelIds.png; "
            "add it or remove the image"
        )
    masks = open_masks(found, classes=CLASSES, void=VOID, label_ids=LABEL_IDS)
    there = Files(photos, masks, len(CLASSES))
    ids = tuple(photos)

    def record(index):
        return there.record(ids[index], partial(there.mask_tags, ids[index]))

    reading = Reading(
        photos=f"leftImg8bit/{split}/",
        classes="the 19 evaluated classes of Cityscapes",
        tags="what the masks show",
        masks=f"gtFine/{split}/, {masks.text}",
        splits={split: len(ids)},
        warnings=masks.warnings,
    )
    name = f"{root} (split {split})"
    return Source(name, CLASSES, ids, record, reading=reading, tags_by="mask")


def _by_id(folder: Path, end: str) -> dict[str, Path]:
    """Image files below a folder whose names end in `end`, by what is before it."""
    found = files.find_images(folder)
    return {k.removesuffix(end): file for k, file in found.items() if k.endswith(end)}
