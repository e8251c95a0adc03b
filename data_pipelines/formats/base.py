"""What all formats share: regions of photos, and how masks are made of them."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from ppcjax.data_pipelines.images import DAMAGE
from ppcjax.data_pipelines.photo_files import open_photo
from ppcjax.types import IGNORE, UserError

BACKGROUND_NAMES = ("background", "_background_", "__background__")
VOID_NAMES = ("__ignore__", "_ignore_", "ignore", "ignored", "void")
MOST_CLASSES = 254
Painter = Callable[[np.ndarray, int], None]


class Annotations(NamedTuple):
    """What the files of an annotation tool say of the photos of a folder.

    text: which format and file, for the account of what was read.
    classes: names in the order of the mask ids, without the background.
    tags: names of the classes of each photo, by id; () for one that shows none.
    masks: id -> function that draws the mask, [H, W] int32: 0 background, i the i-th
        class, IGNORE unknown; empty where there are only boxes or tags.
    splits: ids of each split that the files name; empty where they name none.
    passed: what was passed over and why -> how often.
    warnings: what was guessed, one line each.
    mask_warnings: the same of these masks, or why there are none; of no matter where
        masks are files.
    lone: ids of a split that counts only where it is asked for by name.
    """

    text: str
    classes: tuple[str, ...]
    tags: dict[str, tuple[str, ...]]
    masks: dict[str, Callable[[], np.ndarray]]
    splits: dict[str, tuple[str, ...]] = {}
    passed: Mapping[str, int] = {}
    warnings: tuple[str, ...] = ()
    mask_warnings: tuple[str, ...] = ()
    lone: Mapping[str, tuple[str, ...]] = {}


class Exported(NamedTuple):
    """A photo whose mask is written in the format of another tool.

    id: path of the photo without suffix.
    file_name: path of the photo as the tool shall know it.
    mask: () -> [H, W] uint8 class ids, 0 background, IGNORE void.
    """

    id: str
    file_name: str
    mask: Callable[[], np.ndarray]


class Region(NamedTuple):
    """A part of a photo that was given a class, or several.

    names: classes.
    kind: "outline" of the object, "box" around it, or "tag": somewhere in the photo.
    paint: (mask, value) -> its pixels are set; None for tags.
    """

    names: tuple[str, ...]
    kind: Literal["outline", "box", "tag"]
    paint: Painter | None = None


class Scene(NamedTuple):
    """All regions of a photo.

    where: file and entry, for errors.
    size: rows and columns that they were drawn on; None where nothing says it.
    regions: the lowest first; what comes later lies on top.
    """

    where: str
    size: tuple[int, int] | None
    regions: tuple[Region, ...]


def assemble(
    text: str,
    classes: Sequence[str],
    scenes: Mapping[str, Scene],
    photos: Mapping[str, Path],
    *,
    fill_boxes: bool = False,
    splits: Mapping[str, Sequence[str]] | None = None,
    passed: Mapping[str, int] | None = None,
    warnings: Sequence[str] = (),
) -> Annotations:
    """The annotations that regions make.

    Where no photo has an outline there are no masks. Else the inside of a box is void,
    or, if boxes are filled, of its class; a region of two classes is void; a photo that
    has a class by a tag alone has no mask, since nobody knows where that class is.

    Args:
        text: format and file.
        classes: names in order, perhaps with names of the background and of void.
        scenes: regions by photo.
        photos: image files by id.
        fill_boxes: whether a tool's own masks have boxes filled.
        splits: ids of each split.
        passed: what was passed over -> how often.
        warnings: what was guessed so far.

    Raises:
        UserError: there are too many classes.
    """
    known, special = [], {}
    for name in dict.fromkeys(classes):
        if name.casefold() in BACKGROUND_NAMES:
            special[name] = 0
        elif name.casefold() in VOID_NAMES:
            special[name] = IGNORE
        else:
            known.append(name)
    if len(known) > MOST_CLASSES:
        raise UserError(
            f"{text}: has {len(known)} classes; masks hold at most {MOST_CLASSES} "
            "beside the background, so leave some out"
        )
    ids = {name: place for place, name in enumerate(known, 1)} | special
    kinds = Counter(r.kind for scene in scenes.values() for r in scene.regions)
    passed, warnings = Counter(passed or {}), [*warnings, *_said(known, special)]
    tags, masks = {}, {}
    for key, scene in sorted(scenes.items()):
        names = {n for r in scene.regions for n in r.names if n not in special}
        tags[key] = tuple(name for name in known if name in names)
        placed = {n for r in scene.regions if r.paint is not None for n in r.names}
        if not names <= placed:
            passed["photos without a mask, as a tag says no place"] += 1
        elif kinds["outline"]:
            masks[key] = partial(draw, scene, ids, photos[key], fill_boxes)
    about_masks = []
    if kinds["box"] and not kinds["outline"]:
        about_masks.append(
            f"{text}: has {kinds['box']} boxes and no outline, which give tags and "
            "no masks"
        )
    elif kinds["box"]:
        filled = "are filled" if fill_boxes else "are void inside, beside outlines"
        about_masks.append(f"{text}: {kinds['box']} boxes {filled}")
    if not kinds["outline"]:
        passed.pop("photos without a mask, as a tag says no place", None)
    return Annotations(
        text=text,
        classes=tuple(known),
        tags=tags,
        masks=masks,
        splits={name: tuple(keys) for name, keys in (splits or {}).items()},
        passed={why: count for why, count in passed.items() if count},
        warnings=tuple(warnings),
        mask_warnings=tuple(about_masks),
    )


def _said(known: Sequence[str], special: Mapping[str, int]) -> list[str]:
    """What is said of the names."""
    said = [
        f"the class {name!r} is read as {'void' if value else 'the background'}"
        for name, value in special.items()
    ]
    folded = Counter(name.casefold() for name in known)
    twice = [name for name in known if folded[name.casefold()] > 1]
    if twice:
        said.append(f"classes differ by case alone: {', '.join(twice[:6])}")
    return said


def draw(
    scene: Scene, ids: Mapping[str, int], photo: Path, fill_boxes: bool
) -> np.ndarray:
    """The mask of a photo.

    Args:
        scene: its regions.
        ids: mask value of each name.
        photo: its file, whose size the mask has.
        fill_boxes: whether boxes are filled, or void and below all outlines.

    Returns:
        [H, W] int32.

    Raises:
        UserError: the regions were drawn on a photo of another size, or are damaged.
    """
    size = upright_size(photo) or scene.size
    if size is None:
        raise UserError(f"{photo}: cannot be read, so {scene.where} has no size")
    if scene.size not in (None, size):
        turned = " (turned upright)" if scene.size == size[::-1] else ""
        raise UserError(
            f"{scene.where}: was made for {scene.size[1]}x{scene.size[0]} pixels, but "
            f"{photo} has {size[1]}x{size[0]}{turned}; annotate that photo, or put the "
            "one back that was annotated"
        )
    mask = np.zeros(size, np.int32)
    regions = scene.regions
    if not fill_boxes:
        boxes = [r for r in regions if r.kind == "box"]
        regions = [*boxes, *(r for r in regions if r.kind != "box")]
    for region in regions:
        if region.paint is not None:
            unknown = len(set(region.names)) > 1
            unknown = unknown or (region.kind == "box" and not fill_boxes)
            region.paint(mask, IGNORE if unknown else ids[region.names[0]])
    return mask


def upright_size(file: Path) -> tuple[int, int] | None:
    """Rows and columns of a photo as people see it; None where Pillow cannot tell."""
    try:
        with open_photo(file) as image:
            columns, rows = image.size
            turned = image.getexif().get(0x0112, 1) in (5, 6, 7, 8)
    except DAMAGE:
        return None
    return (columns, rows) if turned else (rows, columns)
