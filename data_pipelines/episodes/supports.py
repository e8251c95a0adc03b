"""Masked example photos in a folder, with masks, scribbles, boxes or annotations.

DIR/[images/] a.jpg b.png ...    the photos, and their masks in every layout and form
DIR/masks/a.png                  that the source `folder` reads; see docs/data.md
DIR/scribbles/a.png              ids where somebody drew, 255 elsewhere; read where
                                 there is no mask
DIR/boxes.csv                    read where there is neither, see `boxes`
the files of an annotation tool  likewise
DIR/classes.txt                  optional class list, in every form
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

import numpy as np

from ppcjax.data_pipelines import images
from ppcjax.data_pipelines.episodes import boxes as box_tables
from ppcjax.data_pipelines.episodes import drawn as drawings
from ppcjax.data_pipelines.sources import contents
from ppcjax.data_pipelines.sources.contents import Contents
from ppcjax.types import IGNORE, UserError

_ADVICE = "give a folder of photos with masks/, scribbles/ or boxes.csv"
_TAGS = ("tags.csv", "labels.csv", "tags.txt")


class Supports(NamedTuple):
    """Masked photos.

    ids: one per photo.
    images: [H, W, 3] uint8 each.
    masks: [H, W] int32 each: 0 background, j the j-th class, IGNORE unknown.
    names: class names; empty where nobody gave any.
    text: what was read and how, lines for people.
    warnings: what was guessed or passed over, one line each.
    """

    ids: tuple[str, ...]
    images: tuple[np.ndarray, ...]
    masks: tuple[np.ndarray, ...]
    names: tuple[str, ...]
    text: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


class _Found(NamedTuple):
    """Photos with masks by id, names of the classes, and how they were read."""

    read: dict[str, tuple[np.ndarray, np.ndarray]]
    names: drawings.Names
    how: Sequence[str]
    warnings: Sequence[str]


def read_supports(folder: str) -> Supports:
    """The masked photos of a folder; the layout is in the module's docstring.

    Photos without a mask, scribble or box are passed over, and so are those whose
    mask shows no class; both is said.

    Raises:
        UserError: there is no example, a listed class has none, or a file is
            unreadable or does not fit its photo.
    """
    root = Path(folder).expanduser()
    if not root.is_dir():
        raise UserError(f"{folder}: no such directory; {_ADVICE}")
    there = contents.read(root, "")
    if not there.photos:
        raise UserError(f"{folder}: holds no photo; {_ADVICE}")
    file = root / box_tables.NAME
    boxes = box_tables.read(file, there.photos) if file.is_file() else None
    names = drawings.names_of(there, boxes)
    drawn, how = drawings.find(root, there, names)
    found = {key: drawn.get for key in drawn.ids}
    if boxes is not None:
        of = boxes.named(names.names)
        more = {key: of for key in boxes.of if key not in found}
        found |= more
        count = sum(len(boxes.of[key]) for key in more)
        how = (*how, f"{count} boxes of {file.name}" if count else "")
    if not found:
        raise UserError(f"{folder}: {_nothing(root)}")
    read = {
        key: _read(there.photos[key], key, found[key])
        for key in there.photos
        if key in found
    }
    return _told(_Found(read, names, (*how, drawn.text), drawn.warnings), root, there)


def _read(file: Path, key: str, read: Callable) -> tuple[np.ndarray, np.ndarray]:
    """A photo and its mask, which must have one size."""
    image = images.read_photo(file, str(file)).pixels
    size = image.shape[:2]
    mask = read(key)
    if isinstance(mask, list):
        _check_inside(mask, size, file)
        mask = box_tables.fill(mask, size)
    if mask.shape != size:
        raise UserError(
            f"the mask of {file} is {mask.shape[1]}x{mask.shape[0]} pixels, the photo "
            f"{size[1]}x{size[0]} (upright); save the mask at the size of the photo"
        )
    return image, mask


def _check_inside(boxes: Sequence[tuple], size: tuple[int, int], file: Path) -> None:
    for _, x0, y0, *_ in boxes:
        if x0 >= size[1] or y0 >= size[0]:
            raise UserError(
                f"{file}: a box begins at {x0}, {y0}, outside the photo of "
                f"{size[1]}x{size[0]} pixels; correct {box_tables.NAME}"
            )


def _told(found: _Found, root: Path, there: Contents) -> Supports:
    """The examples that show a class, and what was read."""
    shown = {key: _shown(mask) for key, (_, mask) in found.read.items()}
    ids = tuple(key for key in found.read if shown[key])
    empty = [key for key in found.read if not shown[key]]
    if not ids:
        _refuse_empty(there.photos[empty[0]], found)
    called = found.names.names
    if not called:
        called = tuple(str(i + 1) for i in range(max(set().union(*shown.values()))))
    _check_shown(root, called, set().union(*shown.values()), bool(found.names.names))
    warnings = [*found.names.warnings, *there.warnings, *found.warnings]
    warnings += [f"{key}: its mask shows no class; passed over" for key in empty]
    rest = [key for key in there.photos if key not in found.read]
    if rest:
        warnings.append(
            f"{len(rest)} photos without a mask are passed over, such as {rest[0]}"
        )
    photos, masks = zip(*(found.read[key] for key in ids), strict=True)
    text = _lines(root, there, found, called, masks)
    return Supports(ids, photos, masks, found.names.names, text, tuple(warnings))


def _shown(mask: np.ndarray) -> set[int]:
    return set(np.unique(mask).tolist()) - {0, IGNORE}


def _refuse_empty(file: Path, found: _Found) -> NoReturn:
    void = all((mask == IGNORE).all() for _, mask in found.read.values())
    what = "only unknown pixels (255)" if void else "no class but the background"
    raise UserError(
        f"the mask of {file} shows {what}, and so do all; write 1 where the object is, "
        "0 elsewhere"
    )


def _check_shown(root: Path, called: Sequence[str], shown: set[int], listed: bool):
    """Raises UserError for a class without an example."""
    for i, name in enumerate(called, 1):
        if i in shown:
            continue
        if listed:
            raise UserError(
                f"{root}: no example shows class {i} ({name}); add one, or take it off "
                "the class list"
            )
        raise UserError(
            f"{root}: no example shows class {i}, but there is a class {len(called)}; "
            "number the classes from 1, or name them in classes.txt"
        )


def _lines(root: Path, there: Contents, found: _Found, called, masks):
    """What was read, in the form of the account of a data set."""
    shares = []
    for i, name in enumerate(called, 1):
        counts = [int(np.count_nonzero(mask == i)) for mask in masks]
        photos = sum(count > 0 for count in counts)
        shares.append(f"{name} in {photos} ({sum(counts):,} pixels)")
    source = f" ({found.names.text})" if found.names.text else ""
    passed = [
        f"{count:,} {what}"
        for what, count in there.passed.items()
        if what != f"file in {drawings.SCRIBBLES}/"
    ]
    rows = (
        ("photos", f"{len(masks)} in {there.text}"),
        ("classes", ", ".join(shares) + source),
        ("masks", "; ".join(filter(None, found.how))),
        ("passed", ", ".join(passed)),
    )
    head = f"examples: {root}"
    return (head, *(f"  {name:<9}{text}" for name, text in rows if text))


def _nothing(root: Path) -> str:
    """Why there is no example."""
    tags = next((name for name in _TAGS if (root / name).is_file()), None)
    if tags is not None:
        return (
            f"{tags} says what photos show, but not where; examples need masks/, "
            "scribbles/ or boxes.csv"
        )
    return f"holds no photo with a mask; {_ADVICE}"
