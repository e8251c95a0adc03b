"""Where photos and masks lie in a folder: what the names of its folders say.

ROOT/images/...               and ROOT/masks/..., or other usual names of the two
ROOT/SPLIT/images/...         and ROOT/SPLIT/masks/...
ROOT/images/SPLIT/...         and ROOT/masks/SPLIT/... (ADE20K, mmsegmentation)
ROOT/SPLIT/...                and ROOT/SPLITannot/..., ROOT/SPLIT_labels/... (CamVid)
ROOT/SPLIT/TAG/...            as for classifiers
ROOT/...                      photos with masks beside them or in ROOT/masks
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from ppcjax.data_pipelines.masks import MASK_SUFFIXES
from ppcjax.data_pipelines.sources import stems

# Words of folder names, in lower case. The weak ones are as often names of classes or
# of other things, so that what lies beside them decides.
IMAGE_WORDS = ("images", "jpegimages", "img_dir")
WEAK_IMAGE_WORDS = (
    *("image", "img", "imgs", "photos", "photo", "pictures", "rgb", "input", "inputs"),
    *("leftimg8bit", "frames", "images_png", "image_png", "images_jpg"),
)
MASK_WORDS = (
    *("masks", "segmentationclass", "segmentationclassaug", "segmentationclasspng"),
    *("segmentationclassraw", "ann_dir", "annotations", "labels"),
)
WEAK_MASK_WORDS = (
    *("mask", "label", "annotation", "annot", "ann", "anns", "gt", "gts", "gtfine"),
    *("groundtruth", "ground_truth", "target", "targets", "seg", "segs"),
    *("segmentation", "segmentations", "masks_png", "label_png", "labels_png"),
)
OTHER_WORDS = ("segmentationobject", "saliency", "scribbles")
_SPLIT = (
    r"(?:train(?:ing|val|_?aug)?|val(?:id|idation)?|dev|test(?:ing)?)(?:_?\d{2,4})?"
)
_IS_SPLIT = re.compile(_SPLIT)
_KINDS = {
    "photo": r"images?|imgs?|photos?|rgb",
    "mask": r"annot|annotations?|masks?|labels?|gts?|seg(?:mentation)?s?",
}
_COMPOUND = {
    role: (
        re.compile(rf"({_SPLIT})[_-]?(?:{words})"),
        re.compile(rf"(?:{words})[_-]({_SPLIT})"),
    )
    for role, words in _KINDS.items()
}
# Names that end so are weak: cow_masks/, ISIC2018_Task1_Training_GroundTruth/.
_TAIL = {
    "photo": re.compile(rf".+[_\- ](?:{_KINDS['photo']}|inputs?)"),
    "mask": re.compile(rf".+[_\- ](?:{_KINDS['mask']}|ground_?truth)"),
}
_SPLIT_WITHIN = re.compile(rf"(?:^|[_\- ])({_SPLIT})(?=[_\- ])")


class Placed(NamedTuple):
    """A file with what its folders say.

    path: relative to the root.
    role: "photo", "mask" or "other".
    folders: its folders without those that only say what lies in them, the split first
        where there is one.
    """

    path: Path
    role: str
    folders: tuple[str, ...]

    @property
    def key(self) -> Path:
        """Where it would lie if photos and masks shared their folders."""
        return Path(*self.folders, self.path.name)


def is_split(name: str) -> bool:
    """Whether a folder or a list of this name is usually a split."""
    return _IS_SPLIT.fullmatch(name.lower()) is not None


def place(paths: Sequence[Path]) -> tuple[list[Placed], Counter]:
    """Tells photos from masks by the names of folders.

    Args:
        paths: files relative to the root: images, and arrays that may be masks.

    Returns:
        The files that are photos or masks; and what was passed over and why -> how
        many.
    """
    stems = cache(lambda: _photo_stems(paths))
    masks = _role_folders(
        paths,
        MASK_WORDS,
        WEAK_MASK_WORDS,
        lambda f, _: _is_mask_folder(f, paths, stems),
    )
    rest = [path for path in paths if _inside(path, masks) is None]
    photos = _role_folders(
        rest,
        IMAGE_WORDS,
        WEAK_IMAGE_WORDS,
        lambda f, _: _is_image_folder(f, rest, masks),
    )
    found, passed = [], Counter()
    for path in paths:
        mask, photo = _inside(path, masks), _inside(path, photos)
        other = next((f for f in path.parts[:-1] if f.lower() in OTHER_WORDS), None)
        if other is not None:
            passed[f"file in {other}/"] += 1
        elif mask is not None:
            found.append(Placed(path, "mask", _folders(path, mask, "mask")))
        elif photo is not None or not _shadowed(path, photos):
            found.append(Placed(path, "photo", _folders(path, photo, "photo")))
        else:
            names = sorted({f[-1] for f in photos})
            where = f" in {path.parent.as_posix()}/" if path.parent != Path() else ""
            passed[f"image{where}, outside {names[0]}/"] += 1
    return found, passed


def _role_folders(paths, strong, weak, is_one) -> set[tuple[str, ...]]:
    """Folders whose names say what lies in them, as parts below the root."""
    role = "mask" if strong is MASK_WORDS else "photo"
    found = set()
    for folder in sorted({path.parts[:-1] for path in paths}):
        for end in range(1, len(folder) + 1):
            name, top = folder[end - 1].lower(), folder[:end]
            sure = name in strong or (role == "mask" and _compound(name, role))
            maybe = name in weak or _compound(name, role) or _TAIL[role].fullmatch(name)
            if sure or (maybe and (top in found or is_one(top, paths))):
                found.add(top)
                break
    return found


def _is_mask_folder(folder, paths: Sequence[Path], stems: Callable) -> bool:
    """Whether files below a folder of a weak name are masks of others."""
    inside = [p for p in paths if p.parts[: len(folder)] == folder]
    if not all(p.suffix.lower() in MASK_SUFFIXES for p in inside):
        return False
    near = [p for p in inside if any(s in stems() for s in _starts(p.stem))]
    return 2 * len(near) >= len(inside)


def _photo_stems(paths: Sequence[Path]) -> set[str]:
    """Names of files in folders that are not called like those of masks.

    Of mask/ and no_mask/, which may be tags, neither holds the photos of the other.
    """
    others = [p for p in paths if not any(map(_may_hold_masks, p.parts[:-1]))]
    cores = (stems.core(p.stem, stems.PHOTO_WORDS) for p in others)
    return {p.stem for p in others}.union(cores)


@cache
def _may_hold_masks(name: str) -> bool:
    low = name.lower()
    known = low in (*MASK_WORDS, *WEAK_MASK_WORDS) or _compound(low, "mask")
    return bool(known or _TAIL["mask"].fullmatch(low))


def _starts(stem: str) -> Iterable[str]:
    """A stem, what is before each of its separators, and it without mask words."""
    yield stem
    yield stems.core(stem, stems.MASK_WORDS)
    yield from (stem[: m.start()] for m in re.finditer(r"[_\-. ]", stem))


def _is_image_folder(folder, rest: Sequence[Path], masks) -> bool:
    """Whether a folder of a weak name holds the photos."""
    if any(mask[:-1] == folder[:-1] for mask in masks):
        return True
    words = (*IMAGE_WORDS, *WEAK_IMAGE_WORDS)
    return all(
        any(part.lower() in words for part in path.parts[:-1])
        for path in rest
        if path.parts[: len(folder) - 1] == folder[:-1]
    )


def _inside(path: Path, folders: set[tuple[str, ...]]) -> tuple[str, ...] | None:
    """The first of the folders that a file lies in; None where it lies in none."""
    parts = path.parts[:-1]
    tops = (parts[:end] for end in range(1, len(parts) + 1))
    return next((top for top in tops if top in folders), None)


def _shadowed(path: Path, photos: set[tuple[str, ...]]) -> bool:
    """Whether photos lie in a folder beside a file, so that it is none of them."""
    parts = path.parts[:-1]
    return any(parts[: len(f) - 1] == f[:-1] for f in photos)


def _folders(path: Path, role_folder, role: str) -> tuple[str, ...]:
    """Folders of a file without the one that says its role."""
    parts = path.parts[:-1]
    if role_folder is None:
        return parts
    end = len(role_folder)
    split = _split_in(role_folder[-1].lower(), role)
    before = role_folder[:-1] + ((role_folder[-1][slice(*split)],) if split else ())
    return before + parts[end:]


def _compound(name: str, role: str) -> tuple[int, int] | None:
    """Where the split stands in a name such as "train_labels"; None in others."""
    found = (form.fullmatch(name) for form in _COMPOUND[role])
    return next((match.span(1) for match in found if match), None)


def _split_in(name: str, role: str) -> tuple[int, int] | None:
    """Where the split stands in the name of a folder of masks or photos."""
    tail = _TAIL[role].fullmatch(name) and _SPLIT_WITHIN.search(name)
    return _compound(name, role) or (tail.span(1) if tail else None)


def strip_wrapper(placed: list[Placed]) -> list[Placed]:
    """Files without a folder that holds all of them, such as that of an archive.

    A folder of photos alone is a tag; one that holds masks, too, or that is above
    splits, is none.
    """
    roles = {one.role for one in placed}
    while True:
        tops = {one.folders[:1] for one in placed}
        if len(tops) != 1 or () in tops or is_split(next(iter(tops))[0]):
            return placed
        seconds = {one.folders[1:2] for one in placed}
        named = () not in seconds and all(is_split(s[0]) for s in seconds)
        if not (named or "mask" in roles):
            return placed
        placed = [one._replace(folders=one.folders[1:]) for one in placed]


def splits_of(placed: Iterable[Placed], asked: str) -> set[str]:
    """Names of the splits that have folders of their own.

    Args:
        placed: photos.
        asked: split that is asked for, which may have any name.
    """
    firsts = {one.folders[0] if one.folders else "" for one in placed}
    if not firsts or "" in firsts:
        return set()
    usual = {name for name in firsts if is_split(name)}
    # One alone beside others may be a class: the trains of VOC beside its buses.
    sure = len(usual) > 1 or usual == firsts
    return firsts if sure or (asked in firsts and asked not in usual) else set()
