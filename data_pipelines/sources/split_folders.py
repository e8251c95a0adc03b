"""Data sets whose splits have folders of their own, each image with a mask.

ROOT/SPLIT/images/        and ROOT/SPLIT/masks/, or image/ and label/ (ContrastiveSeg)
ROOT/images/SPLIT/        and ROOT/annotations/SPLIT/ (ADE20K)
ROOT/SPLIT/               and ROOT/SPLITannot/ (CamVid of SegNet)
ROOT/leftImg8bit/SPLIT/   and ROOT/gtFine/SPLIT/ (Cityscapes)
"""

from functools import partial
from pathlib import Path
from typing import NamedTuple

from ppcjax.data_pipelines.masks import open_masks
from ppcjax.data_pipelines.sources import files
from ppcjax.data_pipelines.sources.base import Files, Source
from ppcjax.types import UserError


class Layout(NamedTuple):
    """Where images and masks of a split lie, and how their names end.

    images, masks: folders below the root, with {} for the split.
    image_end, mask_end: what follows the id in the names of the files.
    """

    images: str
    masks: str
    image_end: str = ""
    mask_end: str = ""


LAYOUTS = (
    Layout("{}/images", "{}/masks"),
    Layout("{}/image", "{}/label"),
    Layout("images/{}", "annotations/{}"),
    Layout("{}", "{}annot"),
)
CITYSCAPES = Layout("leftImg8bit/{}", "gtFine/{}", "_leftImg8bit", "_gtFine_labelIds")


class Pairs(NamedTuple):
    """Images and masks of a split, by id.

    photos: image files.
    masks: index PNGs of the same ids.
    """

    photos: dict[str, Path]
    masks: dict[str, Path]

    def source(
        self,
        name: str,
        classes: tuple[str, ...],
        void: tuple[int, ...],
        label_ids: tuple[int, ...],
    ) -> Source:
        """A source whose tags are what the masks hold."""
        settings = {"void": void, "label_ids": label_ids}
        masks = open_masks(self.masks, classes=classes, **settings)
        there = Files(self.photos, masks, len(classes))
        ids = tuple(self.photos)

        def record(index):
            return there.record(ids[index], partial(there.mask_tags, ids[index]))

        return Source(name, classes, ids, record, tags_by="mask")


def find(root: Path, split: str, layouts: tuple[Layout, ...] = LAYOUTS) -> Pairs | None:
    """The split of the first layout that is there; None where there is none.

    Args:
        root: folder of the data set.
        split: name of the split.
        layouts: layouts to look for, in this order.

    Raises:
        UserError: the folder has another split but not this one, it is empty, or an
            image has no mask.
    """
    if files.find_list(root, split) is not None:
        return None
    for layout in layouts:
        if _folders(root, layout, split) is not None:
            return _pairs(root, layout, split)
    there = sorted({name for layout in layouts for name in _splits(root, layout)})
    if there:
        raise UserError(
            f"{root}: has no folders of a split {split!r}; there are those of "
            f"{', '.join(there)}"
        )
    return None


def _folders(root: Path, layout: Layout, split: str) -> tuple[Path, Path] | None:
    found = root / layout.images.format(split), root / layout.masks.format(split)
    return found if split and all(place.is_dir() for place in found) else None


def _splits(root: Path, layout: Layout) -> list[str]:
    """Names of all splits of a layout."""
    before, _, after = layout.images.partition("{}")
    names = {
        place.relative_to(root / before).parts[0]
        for place in (root / before).glob(f"*{after}")
        if place.is_dir()
    }
    return [name for name in names if _folders(root, layout, name) is not None]


def _pairs(root: Path, layout: Layout, split: str) -> Pairs:
    images, masks = _folders(root, layout, split)
    photos = _by_id(images, layout.image_end)
    if not photos:
        raise UserError(f"{images}: holds no image; put those of split {split} there")
    found = _by_id(masks, layout.mask_end, suffixes=(".png",))
    missing = next((key for key in photos if key not in found), None)
    if missing is not None:
        raise UserError(
            f"{photos[missing]}: has no mask {masks}/{missing}{layout.mask_end}.png; "
            "add it or remove the image"
        )
    return Pairs(photos, found)


def _by_id(folder: Path, end: str, **arguments) -> dict[str, Path]:
    """Image files below a folder whose names end in `end`, by what is before it."""
    found = files.find_images(folder, **arguments)
    return {k.removesuffix(end): file for k, file in found.items() if k.endswith(end)}
