"""Masks, scribbles and annotations of example photos, and the names of classes."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ppcjax.data_pipelines.episodes.boxes import Boxes
from ppcjax.data_pipelines.masks import Masks, open_masks, read_mask
from ppcjax.data_pipelines.sources import files, pairing
from ppcjax.data_pipelines.sources.base import BACKGROUND
from ppcjax.data_pipelines.sources.contents import Contents
from ppcjax.types import IGNORE, UserError

SCRIBBLES = "scribbles"
_PICTURES = (".png", ".tif", ".tiff", ".bmp", ".gif")
_UNNAMED = IGNORE - 1  # most classes that masks without a list of names may have


class Names(NamedTuple):
    """Classes without the background, and what a class list says of masks."""

    names: tuple[str, ...] = ()
    settings: Mapping[str, Sequence] = {}
    text: str = ""
    warnings: tuple[str, ...] = ()


def names_of(there: Contents, boxes: Boxes | None) -> Names:
    """The first that names classes: a class list, annotations, the boxes alone."""
    listed, annotations = there.class_list, there.annotations
    if listed is not None:
        given = {
            "label_ids": listed.label_ids,
            "colours": listed.colours,
            "void": listed.void,
        }
        settings = {name: value for name, value in given.items() if value}
        text = listed.text or f"{len(listed.names)} of {listed.file.name}"
        return Names(listed.names, settings, text, listed.warnings)
    if annotations is not None and annotations.classes:
        return Names(annotations.classes, text=annotations.text)
    if boxes is not None and boxes.names:
        if there.masks:
            raise UserError(
                f"{boxes.file} names classes and masks number them: write the names "
                "into classes.txt, one a line, in the order of the numbers"
            )
        return Names(boxes.names, text=f"names in {boxes.file.name}, sorted")
    return Names()


def find(root: Path, there: Contents, names: Names) -> tuple[Masks, list[str]]:
    """Masks, scribbles and annotations of photos, and what was found in a few words.

    Args:
        root: the folder.
        there: what lies in it.
        names: the classes.

    Raises:
        UserError: they cannot be read as masks of these classes.
    """
    ids = tuple(there.photos)
    pairs = pairing.pair(ids, there.masks, names.names)
    found: dict = dict(pairs.whole)
    for key, parts in pairs.parts.items():
        found[key] = tuple((_number(part, names), file) for part, file in parts)
    how = [f"{len(found)} in {there.mask_text}"] if found else []
    scribbles = {k: v for k, v in _scribbles(root, ids).items() if k not in found}
    if scribbles:
        _check_scribbles(scribbles)
        how.append(f"{len(scribbles)} in {SCRIBBLES}/")
    found |= scribbles
    annotations = there.annotations
    if annotations is not None:
        draw = {k: v for k, v in annotations.masks.items() if k not in found}
        found |= {k: partial(_renamed, v, annotations, names) for k, v in draw.items()}
        how += [f"{len(draw)} of {annotations.text}"] if draw else []
    if pairs.alone:
        how.append(f"{len(pairs.alone)} of no photo, such as {pairs.alone[0].name}")
    if not found:
        return Masks(), how
    found = {key: found[key] for key in ids if key in found}
    if names.names:
        classes = (BACKGROUND, *names.names)
        return open_masks(found, classes=classes, **names.settings), how
    return _open_unnamed(found), how


def _open_unnamed(found: dict) -> Masks:
    """Masks where nobody names classes: of one class where they show no other."""
    try:
        masks = open_masks(found, classes=(BACKGROUND, "1"))
        for key in masks.ids:
            masks.read(key)
        return masks
    except UserError:
        classes = (BACKGROUND, *(str(i) for i in range(1, _UNNAMED)))
        return open_masks(found, classes=classes)


def _number(name: str, names: Names) -> int:
    """Id of the class that a mask of one class is named after."""
    if name not in names.names:
        raise UserError(
            f"there are masks of single classes, such as {name!r}, but no list names "
            "it; write the names into classes.txt, one a line"
        )
    return names.names.index(name) + 1


def _renamed(draw: Callable[[], np.ndarray], annotations, names: Names) -> np.ndarray:
    """A mask of an annotation tool with the ids of the class list."""
    mask = np.asarray(draw())
    if names.names == annotations.classes:
        return mask
    table = np.arange(IGNORE + 1)
    for i, name in enumerate(annotations.classes, 1):
        if name not in names.names and (mask == i).any():
            raise UserError(
                f"{annotations.text}: its class {name!r} is not on the class list "
                f"({', '.join(names.names)}); write it there, or remove the list"
            )
        table[i] = names.names.index(name) + 1 if name in names.names else 0
    return table[mask]


def _scribbles(root: Path, ids: Sequence[str]) -> dict[str, Path]:
    place = root / SCRIBBLES
    if not place.is_dir():
        return {}
    found = files.find_images(place, suffixes=_PICTURES)
    return pairing.pair(ids, found).whole


def _check_scribbles(scribbles: Mapping[str, Path]) -> None:
    """Refuses scribbles of 0 and 255 alone, in which 255 may be meant as the class."""
    for file in scribbles.values():
        try:
            mask = read_mask(file, str(file), num_classes=IGNORE)
        except UserError:  # damaged or in colour, which is looked into later
            return
        if np.isin(mask, (0, IGNORE), invert=True).any():
            return
    file = next(iter(scribbles.values()))
    raise UserError(
        f"{file}: scribbles of 0 and 255 only show no class, as 255 means unknown; "
        "draw 1 for the first class, 0 for the background, 255 elsewhere"
    )
