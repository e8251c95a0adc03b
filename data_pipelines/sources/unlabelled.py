"""Photographs for learning without tags and masks: any folder, and ImageNet."""

from collections import Counter
from functools import partial

from ppcjax.data_pipelines import headers, images
from ppcjax.data_pipelines.settings import Folder, Share
from ppcjax.data_pipelines.sources import contents, files, prepared, splits
from ppcjax.data_pipelines.sources.base import (
    BACKGROUND,
    Reading,
    Record,
    Source,
)
from ppcjax.types import UserError

CLASSES = (BACKGROUND,)
_ADVICE = "give a folder of photographs; they may lie in sub-folders at any depth"
IMAGENET_ADVICE = (
    "give the folder that holds train/ and val/ with a sub-folder per class in "
    "config.data.root, or records made with "
    "python -m ppcjax.data_pipelines.imagenet_builder in config.data.tfds_dir"
)


def photos(split: str, *, root: Folder, val_share: Share = 0.0) -> Source:
    """A split of all photographs below a folder; masks among them are told apart.

    Where there is images/, JPEGImages/ or the like, the photographs are those below it.
    No photograph has tags or a mask.

    Args:
        split: "all", "train", "val", or a list of the kind that `folder` reads.
        root: the folder.
        val_share: share of the photographs that makes the split "val", those with the
            smallest SHA-256 of their id; the others are "train".

    Raises:
        UserError: there is no such folder, it holds no image, or the split is empty.
    """
    path = files.directory(root, _ADVICE)
    listed = bool(files.all_lists(path))  # which name photographs without suffix
    there = contents.read(path, split, labels=False, keep_suffix=not listed)
    found = there.photos
    if not found:
        kinds = " ".join(images.IMAGE_SUFFIXES)
        why = contents.instead(there) or f" ({kinds})"
        raise UserError(f"{path}: holds no image{why}; {_ADVICE}")
    chosen = splits.find(
        path,
        tuple(found),
        there.splits,
        share=val_share,
        seed=0,
        shown={},
        candidates=found,
    )
    ids = chosen.get(split, path)
    read, notes = images.photo_reader(found)

    def record(index):
        file = found[ids[index]]
        size = partial(headers.read_size, file)
        return _unlabelled(ids[index], partial(read, file, str(file)), size)

    reading = Reading(
        photos=there.text,
        splits={name: len(those) for name, those in chosen.ids.items()},
        members=chosen.ids,
        held_out=chosen.held_out,
        passed=there.passed + Counter({"mask": len(there.masks)}),
        warnings=(*chosen.warnings, *notes),
    )
    name = f"{root} (split {split})"
    return Source(name, CLASSES, ids, record, reading=reading, files=found)


def imagenet(split: str, *, root: Folder = "", tfds_dir: Folder = "") -> Source:
    """ImageNet's photographs, without their labels.

    Args:
        split: "train" or "val" of the folder, a split of the records.
        root: folder with train/ and val/, which hold a sub-folder per class.
        tfds_dir: folder of records prepared with imagenet_builder, which are read
            instead of `root`; those of any other TFDS set with a feature "image" will
            do, if they can be read at random.

    Raises:
        UserError: neither is there, or the split is not.
    """
    if tfds_dir:
        return _records(split, tfds_dir)
    path = files.directory(root, IMAGENET_ADVICE)
    if not (path / split).is_dir():
        raise UserError(f"{path}: has no folder {split}; {IMAGENET_ADVICE}")
    return photos("all", root=str(path / split))


def _records(split: str, tfds_dir: str) -> Source:
    found = prepared.open_records(split, tfds_dir, IMAGENET_ADVICE, encoded=("image",))
    digits = len(str(len(found)))
    ids = tuple(f"{split}_{index:0{digits}d}" for index in range(len(found)))

    def record(index):
        def photo(at_least=0):
            data = found[index]["image"]
            return images.read_photo(data, ids[index], at_least=at_least)

        return _unlabelled(ids[index], photo)

    name = f"{tfds_dir} (split {split})"
    return Source(name, CLASSES, ids, record, surveyed=prepared.SURVEYED)


def _unlabelled(name: str, photo, size=None) -> Record:
    def read(at_least=0):
        return photo(at_least=at_least)

    return Record(name, read, lambda: None, lambda: None, size)
