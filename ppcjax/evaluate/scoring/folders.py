"""What masks lie in a folder: plain files, an export, a data set, annotations.

DIR/a.png ...                      masks, at any depth and of any lossless kind
DIR/masks/a.png                    masks in a folder that is called so, photos beside it
DIR/SegmentationClass/a.png        as PASCAL VOC and CVAT have them
DIR/masks/CLASS/a.png, a_CLASS.png one file a class
files of an annotation tool        where there are no masks
DIR/classes.txt                    optional class list, in every form
"""

import os
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ppcjax.data_pipelines import formats
from ppcjax.data_pipelines.formats import Annotations
from ppcjax.data_pipelines.masks import LOSSY_SUFFIXES, MASK_SUFFIXES, MaskFile
from ppcjax.data_pipelines.sources import contents, files, layouts, stems
from ppcjax.data_pipelines.sources.class_lists import ClassList
from ppcjax.data_pipelines.sources.layouts import Placed
from ppcjax.runs.checked import read_json
from ppcjax.types import UserError

_ARRAYS = (".npy", ".npz")
# Folders that say of what is in them that it is masks, where nothing lies beside them.
_MASKS = {
    *(*layouts.MASK_WORDS, *layouts.WEAK_MASK_WORDS, *layouts.IMAGE_WORDS),
    *("pred", "preds", "prediction", "predictions", "predicted", "result", "results"),
    *("output", "outputs"),
}


class Found(NamedTuple):
    """What lies in a folder.

    role: "PRED" or "TRUTH", for messages.
    root: the folder.
    masks: where the mask of each image is, by its path without suffix and without the
        folder that says so.
    photos: images that are no masks, by id.
    listed: the class list; None where there is none.
    background: whether id 0 is a background.
    where: folders of the masks.
    passed: what was passed over and why -> how many.
    warnings: what was guessed, one line each.
    """

    role: str
    root: Path
    masks: Mapping[str, MaskFile]
    photos: Mapping[str, Path]
    listed: ClassList | None = None
    background: bool = True
    where: str = ""
    passed: Mapping[str, int] = {}
    warnings: tuple[str, ...] = ()

    def __str__(self) -> str:
        """How the folder is called in messages."""
        return f"{self.role} {self.root}"


def look(folder: str | Path, role: str, *, background: bool = True) -> Found:
    """What lies in a folder; no mask is opened.

    Args:
        folder: where to look.
        role: "PRED" or "TRUTH".
        background: whether id 0 is a background; an export says itself where it is
            none.

    Raises:
        UserError: no such folder, or a class list is damaged.
    """
    root = Path(folder).expanduser()
    if not root.is_dir():
        what = "is a file" if root.exists() else "no such folder"
        raise UserError(f"{role} {root}: {what}; give a folder of masks")
    export = is_export(root)
    background &= _says_background(root)
    below = root / "masks" if export else root
    tree = files.walk(below)
    paths, passed = [], Counter(tree.passed)
    for path in tree.files:
        if path.suffix.lower() in (*MASK_SUFFIXES, *LOSSY_SUFFIXES):
            paths.append(path)
        elif path.suffix.lower() not in contents.TABLES:
            passed[path.suffix or "file without ending"] += 1
    placed, more = layouts.place(paths)
    placed = layouts.strip_wrapper(placed)
    masks, photos = _divide(below, placed)
    masks, beside = _of_cityscapes(masks)
    passed.update(beside)
    places = [root, *contents.tops(below, placed)]
    if _is_of_masks(root):
        places.append(root.parent)
    return Found(
        role,
        root,
        masks,
        photos,
        contents.class_list_of(places, background),
        background,
        contents.where(root, masks.values()),
        passed + more,
    )


def is_export(root: Path) -> bool:
    """Whether a folder is what `eval.py --export` or `ppcjax predict` wrote."""
    made = ("provenance.json", "metrics.json", "overlays")
    return (root / "masks").is_dir() and any((root / name).exists() for name in made)


def with_annotations(found: Found, photos: Mapping[str, Path]) -> Found:
    """The same; where there are no masks, with those that annotations draw.

    Args:
        found: what lies in a folder.
        photos: images of the other folder, of which the annotations may be where there
            are no photos beside them.

    Raises:
        UserError: there are no masks, and no annotations that give any.
    """
    if found.masks:
        return found
    own = {k: f for k, f in found.photos.items() if f.suffix.lower() not in _ARRAYS}
    # Readers of formats look for photos below the folder.
    of = {
        key: found.root / os.path.relpath(file, found.root)
        for key, file in (own or photos).items()
    }
    told = formats.find(found.root, of)
    if told is None or not told.masks:
        if own:  # whoever opens them says why they are no masks
            return found._replace(masks=own, photos={})
        raise UserError(f"{found}: holds no mask{_instead(found, told)}")
    listed = ClassList(told.classes, file=found.root, text=told.text)
    if found.listed is not None:
        words = f"{found.listed.file.name} is not read, as {told.text} names classes"
        found = found._replace(warnings=(*found.warnings, words))
    return found._replace(
        masks=told.masks,
        photos=own,
        listed=listed,
        where=told.text,
        passed={**found.passed, **told.passed},
        warnings=(*found.warnings, *told.warnings, *told.mask_warnings),
    )


def _instead(found: Found, told: Annotations | None) -> str:
    if told is not None:
        return "; " + (told.mask_warnings or (f"{told.text} gives tags only",))[0]
    unread = formats.unread(found.root)
    passed = ", ".join(f"{n} {what}" for what, n in sorted(found.passed.items()))
    there = f" that can be read here ({passed})" if passed else ""
    return f"{there}{unread}; give a folder of PNG, TIFF, BMP, GIF or NPY files"


def _says_background(root: Path) -> bool:
    """What an export, or one whose masks are in this folder, says of its class 0."""
    for place in (root, root.parent) if _is_of_masks(root) else (root,):
        if is_export(place) and (place / "metrics.json").is_file():
            return read_json(place / "metrics.json").get("background") is not False
    return True


def _is_of_masks(root: Path) -> bool:
    return root.resolve().name.lower() in layouts.MASK_WORDS


def _divide(
    root: Path, placed: Sequence[Placed]
) -> tuple[dict[str, Path], dict[str, Path]]:
    """Masks and photos by id: by the folders' names, else by the kinds of files."""
    by_role: dict[str, dict[str, list[Path]]] = {"mask": {}, "photo": {}}
    for one in placed:
        there = by_role[one.role].setdefault(_id(one.key), [])
        there.append(root / one.path)
    masks, photos = by_role["mask"], by_role["photo"]
    if not masks:
        firsts = {key: found[0] for key, found in photos.items()}
        for key in stems.beside(firsts):
            masks[key] = photos.pop(key)
    if not masks:
        masks, photos = _by_kind(photos)
    return (
        {key: _only(found) for key, found in sorted(_without_top(masks).items())},
        {key: found[0] for key, found in sorted(photos.items())},
    )


def _of_cityscapes(masks: dict[str, Path]) -> tuple[dict[str, Path], Counter]:
    """Of several files a photo, as Cityscapes has them, those of class ids."""
    for ending in ("_labelTrainIds", "_labelIds"):
        kept = {key: file for key, file in masks.items() if key.endswith(ending)}
        if kept:
            rest = len(masks) - len(kept)
            return kept, Counter(
                {f"image that is no {ending[1:]}": rest} if rest else ()
            )
    return masks, Counter()


def _without_top(masks: Mapping[str, Any]) -> Mapping[str, Any]:
    """Masks without a folder around all of them that only says that they are such."""
    tops = {key.partition("/")[0].lower() for key in masks if "/" in key}
    if len(tops) != 1 or not tops <= _MASKS or not all("/" in key for key in masks):
        return masks
    return {key.partition("/")[2]: found for key, found in masks.items()}


def _id(path: Path) -> str:
    """The id of a mask, without the suffix of arrays, too."""
    array = path.suffix.lower() in _ARRAYS
    return files.id_of(path.with_suffix("") if array else path)


def _by_kind(found: Mapping[str, Sequence[Path]]):
    """Files that may hold ids, and the others."""
    masks, photos = defaultdict(list), defaultdict(list)
    for key, there in found.items():
        for file in there:
            lossy = file.suffix.lower() in LOSSY_SUFFIXES
            (photos if lossy else masks)[key].append(file)
    return masks, photos


def _only(found: Sequence[Path]) -> Path:
    """The one without loss; UserError where there are several."""
    lossless = [f for f in found if f.suffix.lower() not in LOSSY_SUFFIXES]
    if len(lossless) > 1:
        raise UserError(
            f"{lossless[0]} and {lossless[1]} are masks of the same photo; give the "
            "folder of those that are meant, or remove one"
        )
    return (lossless or list(found))[0]
