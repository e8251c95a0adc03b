"""Anyone's photographs: a folder with tags, and masks where there are any.

ROOT/[images/|JPEGImages/] a.jpg b.png ...       photographs, at any depth
ROOT/tags.csv                                    image,tags ("a.jpg,dog person")
or one sub-folder per tag: dog/a.jpg cat/b.jpg   instead of the table
ROOT/masks/a.png                                 optional; 0 background, i = class i
ROOT/classes.txt                                 optional; one class a line
ROOT/splits/NAME.txt                             optional; ids of the split NAME

A split may also have folders of its own, then without tags; see `split_folders`.

Masks may also lie in SegmentationClassAug or SegmentationClass. Then, where the tags
are VOC's and there is no classes.txt, ids are taken to be in VOC's order.
"""

import hashlib
from functools import partial
from pathlib import Path

from ppcjax.data_pipelines.masks import open_masks
from ppcjax.data_pipelines.settings import Folder, MaskIds, Share
from ppcjax.data_pipelines.sources import files, split_folders, tables, tags
from ppcjax.data_pipelines.sources.base import (
    BACKGROUND,
    Files,
    Source,
    check_label_ids,
)
from ppcjax.data_pipelines.sources.voc import CLASSES as VOC_CLASSES
from ppcjax.types import UserError

_VOC_MASKS = ("SegmentationClassAug", "SegmentationClass")
MASK_FOLDERS = ("masks", *_VOC_MASKS)
NOT_IMAGES = (*MASK_FOLDERS, "splits", "ImageSets", "Annotations")
_ID_ZERO_NAMES = (BACKGROUND, "void", "unlabelled", "unlabeled")
_ADVICE = (
    "give a folder of photographs with a table tags.csv (image,tags), or with one "
    "sub-folder per tag"
)


def folder(
    split: str,
    tagged: bool = True,
    *,
    root: Folder,
    classes: tuple[str, ...] | str = (),
    background: bool = True,
    label_ids: MaskIds = (),
    val_share: Share = 0.1,
    void: MaskIds = (),
) -> Source:
    """A split of a folder of photographs; the layout is in the module's docstring.

    Args:
        split: name of a list in ROOT/splits or ROOT/ImageSets/Segmentation; without
            a list, "all", "val" or "train". Of the images in no list, "val" is the
            share of those with masks that have the smallest SHA-256 of their id, and
            "train" is the rest. Without a list it may also be a folder, such as
            ROOT/train/images with ROOT/train/masks.
        tagged: whether a folder without tags and class names is refused; without
            them there is no class but the background.
        root: the folder.
        classes: class names without background, or a text file with one a line; empty
            = the lines of classes.txt, else the sorted tags. A first line "background"
            or "void" stands for id 0.
        background: whether class 0 is a background that the class list leaves out;
            False: the list begins with class 0, as for scenes that are all classes.
        label_ids: the id in the masks of each class, class 0 first; empty: 0..C-1.
            Ids that are neither here nor in `void` are refused.
        val_share: share of the images with masks that makes the split "val".
        void: mask ids that mean IGNORE, besides 255.
    """
    path = files.directory(root, _ADVICE)
    void, label_ids = tuple(void), tuple(label_ids)
    own = split_folders.find(path, split)
    if own is not None:
        names = _class_names(path, classes, None, background)
        check_label_ids(label_ids, names, void)
        return own.source(f"{root} (split {split})", names, void, label_ids)
    image_root = next(
        (path / f for f in files.IMAGE_FOLDERS if (path / f).is_dir()), path
    )
    leave_out = NOT_IMAGES if image_root == path else ()
    photos = files.find_images(image_root, leave_out=leave_out)
    if not photos:
        raise UserError(f"{image_root}: holds no image; {_ADVICE}")
    masks = _find_masks(path, photos)
    names = _find_tags(path, image_root, photos)
    classes = _class_names(path, classes, names, background, needed=tagged)
    check_label_ids(label_ids, classes, void)
    ids = tuple(select(path, split, photos, masks, val_share))
    if not ids:
        raise UserError(_empty_split(path, split, masks))
    place = path / "tags.csv" if (path / "tags.csv").is_file() else path
    vectors, untagged = tags.encode_all(names, ids, classes, str(place))

    settings = {"void": void, "label_ids": label_ids}
    opened = open_masks(masks, classes=classes, **settings)
    there = Files(photos, opened, len(classes))

    def record(index):
        if names is None:
            return there.record(ids[index], partial(there.mask_tags, ids[index]))
        return there.record(ids[index], lambda: vectors[index])

    return Source(f"{root} (split {split})", classes, ids, record, untagged)


def _mask_folder(path: Path) -> str | None:
    return next((name for name in MASK_FOLDERS if (path / name).is_dir()), None)


def _find_masks(path: Path, photos: dict[str, Path]) -> dict[str, Path]:
    """Mask files by image id: the same relative path, else the same file name."""
    name = _mask_folder(path)
    if name is None:
        return {}
    found = files.find_images(path / name, suffixes=(".png",))
    stems = [key.rpartition("/")[2] for key in photos]
    masks = {}
    for key, stem in zip(photos, stems, strict=True):
        if key in found:
            masks[key] = found[key]
        elif stem in found and stems.count(stem) == 1:
            masks[key] = found[stem]
    return masks


def _find_tags(path: Path, image_root: Path, photos: dict[str, Path]) -> dict | None:
    """Tags by image id from the table or the sub-folders; None where there are none."""
    if (path / "tags.csv").is_file():
        return tables.read_table(path / "tags.csv", photos).tags
    found = {key: (key.split("/")[0],) for key in photos if "/" in key}
    used = {names[0] for names in found.values()}
    for place in sorted(image_root.iterdir()) if found else ():
        known = place.name in used or place.name in NOT_IMAGES or place.name[0] == "."
        if place.is_dir() and not known:
            raise UserError(
                f"{place}: this tag has no image; put photographs there or remove it"
            )
    return found or None


def _class_names(
    path: Path,
    given: tuple[str, ...] | str,
    names: dict | None,
    background: bool,
    *,
    needed: bool = True,
) -> tuple:
    file = Path(given).expanduser() if isinstance(given, str) else path / "classes.txt"
    given = () if isinstance(given, str) else tuple(given)
    if not given and file.is_file():
        given = _read_classes(file, background)
    elif file != path / "classes.txt":
        raise UserError(f"config.data.classes={file}: no such file; write it, or names")
    found = {name for row in (names or {}).values() for name in row}
    if not given and found <= set(VOC_CLASSES) and _mask_folder(path) in _VOC_MASKS:
        given = VOC_CLASSES[1:]
    if not given:
        given = tuple(sorted(found - {BACKGROUND}))
    if not given and needed:
        raise UserError(f"{path}: has neither tags nor {file.name}; {_ADVICE}")
    if len(set(given)) < len(given) or BACKGROUND in given:
        raise UserError(
            f"{path}: class names must be distinct and none may be {BACKGROUND!r}; "
            f"they are {', '.join(given)}"
        )
    return (BACKGROUND, *given) if background else given


def _read_classes(file: Path, background: bool) -> tuple[str, ...]:
    """The lines of a class list without the name of a background."""
    lines = file.read_text(encoding="utf-8-sig").splitlines()
    names = tuple(line.strip() for line in lines if line.strip())
    named_zero = background and names and names[0].lower() in _ID_ZERO_NAMES
    return names[1:] if named_zero else names


def select(path: Path, split: str, photos, masks, val_share: float) -> list[str]:
    """The ids of a split, see `folder`; `masks` has those that may be held out."""
    listed = files.find_list(path, split)
    if listed is not None:
        ids = files.read_list(listed)
        missing = next((i for i in ids if i not in photos), None)
        if missing is not None:
            raise UserError(f"{listed}: no image {missing!r} there; mend the list")
        return ids
    if split not in ("train", "val", "all"):
        raise UserError(
            f"no split {split!r}: there is no {path}/splits/{split}.txt; write that "
            "list of ids, or use train, val or all"
        )
    if split == "all":
        return list(photos)
    listed_ids = {i for file in files.all_lists(path) for i in files.read_list(file)}
    free = [key for key in photos if key not in listed_ids]
    masked = sorted((key for key in free if key in masks), key=_digest)
    count = max(round(val_share * len(masked)), 1) if val_share else 0
    held_out = set(masked[:count])
    return [key for key in free if (key in held_out) == (split == "val")]


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()


def _empty_split(path: Path, split: str, masks: dict) -> str:
    if split == "val" and not masks:
        return (
            f"{path}: split val is empty, as no image has a mask; add masks/, or "
            "set config.data.val_split to an empty string"
        )
    lists = ", ".join(file.stem for file in files.all_lists(path))
    where = f" (the lists there are, {lists}, hold all images)" if lists else ""
    return f"{path}: split {split} is empty{where}; add images or mend its list"
