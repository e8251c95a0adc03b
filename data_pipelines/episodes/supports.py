"""Masked example photos in a folder, with masks, scribbles or boxes.

DIR/[images/] a.jpg b.png ...    the photos
DIR/masks/a.png                  index mask: 0 background, j = class j, 255 unknown
DIR/scribbles/a.png              the same, mostly 255; read where there is no mask
DIR/boxes.csv                    image,class,x0,y0,x1,y1 in pixels, ends excluded; read
                                 where there is neither
DIR/classes.txt                  optional; class j is line j
"""

import csv
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ppcjax.data_pipelines import images
from ppcjax.data_pipelines.masks import read_mask
from ppcjax.data_pipelines.sources import files
from ppcjax.types import IGNORE, UserError

_COLUMNS = ("image", "class", "x0", "y0", "x1", "y1")
_ADVICE = "give a folder of photos with masks/, scribbles/ or boxes.csv"


class Supports(NamedTuple):
    """Masked photos.

    ids: one per photo.
    images: [H, W, 3] uint8 each.
    masks: [H, W] int32 each: 0 background, j the j-th class, IGNORE unknown.
    names: class names; empty where nobody gave any.
    """

    ids: tuple[str, ...]
    images: tuple[np.ndarray, ...]
    masks: tuple[np.ndarray, ...]
    names: tuple[str, ...]


def read_supports(folder: str) -> Supports:
    """The masked photos of a folder; the layout is in the module's docstring.

    Photos without a mask, scribble or box are passed over.

    Raises:
        UserError: there is none, or a file is unreadable or does not fit its photo.
    """
    root = Path(folder).expanduser()
    if not root.is_dir():
        raise UserError(f"{folder}: no such directory; {_ADVICE}")
    places = [root / name for name in files.IMAGE_FOLDERS if (root / name).is_dir()]
    leave_out = () if places else ("masks", "scribbles")
    photos = files.find_images([*places, root][0], leave_out=leave_out)
    names = _names(root)
    drawn = {
        key: file
        for name in ("scribbles", "masks")  # the second wins
        if (root / name).is_dir()
        for key, file in files.find_images(root / name, suffixes=(".png",)).items()
    }
    boxes = _read_boxes(root / "boxes.csv", photos, names)
    ids = tuple(key for key in photos if key in drawn or key in boxes)
    if not ids:
        raise UserError(f"{folder}: holds no photo with a mask; {_ADVICE}")
    pixels = [images.read_photo(photos[key], str(photos[key])).pixels for key in ids]
    masks = []
    for key, image in zip(ids, pixels, strict=True):
        if key not in drawn:
            masks.append(fill_boxes(boxes[key], image.shape[:2]))
            continue
        count = len(names) + 1 if names else IGNORE
        masks.append(read_mask(drawn[key], str(drawn[key]), num_classes=count))
    return Supports(ids, tuple(pixels), tuple(masks), names)


def fill_boxes(
    boxes: list[tuple[int, int, int, int, int]], size: tuple[int, int]
) -> np.ndarray:
    """A mask [H, W] int32 of filled boxes (class, x0, y0, x1, y1); later ones on top.

    Everything outside the boxes is background.
    """
    mask = np.zeros(size, np.int32)
    for class_id, x0, y0, x1, y1 in boxes:
        mask[max(y0, 0) : y1, max(x0, 0) : x1] = class_id
    return mask


def _names(root: Path) -> tuple[str, ...]:
    file = root / "classes.txt"
    if not file.is_file():
        return ()
    lines = file.read_text(encoding="utf-8-sig").splitlines()
    return tuple(line.strip() for line in lines if line.strip())


def _read_boxes(file: Path, photos: dict[str, Path], names: tuple[str, ...]) -> dict:
    """Boxes (class, x0, y0, x1, y1) by photo."""
    if not file.is_file():
        return {}
    found: dict[str, list] = {}
    with file.open(encoding="utf-8-sig", newline="") as lines:
        reader = csv.DictReader(lines)
        if tuple(reader.fieldnames or ()) != _COLUMNS:
            raise UserError(f"{file}: its first line must be {','.join(_COLUMNS)}")
        for number, row in enumerate(reader, start=2):
            key = files.as_id(row["image"] or "")
            try:
                class_id = _class_id(row["class"], names)
                box = tuple(round(float(row[name])) for name in _COLUMNS[2:])
            except (TypeError, ValueError) as error:
                raise UserError(f"{file}, line {number}: {error}") from error
            if key not in photos or box[0] >= box[2] or box[1] >= box[3]:
                raise UserError(
                    f"{file}, line {number}: the photo {row['image']!r} is not there, "
                    "or the box is empty; correct the line"
                )
            found.setdefault(key, []).append((class_id, *box))
    return found


def _class_id(text: str, names: tuple[str, ...]) -> int:
    if text in names:
        return names.index(text) + 1
    if names or not text.isdigit() or not 0 < int(text) < IGNORE:
        known = f"one of {', '.join(names)}" if names else "a number from 1"
        raise ValueError(f"class {text!r} is not {known}")
    return int(text)
