"""Annotations of other tools: read as tags and masks, and written from masks.

A format is a module with `find`, or `write`, or both, and a line in READERS or WRITERS.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np


class Annotations(NamedTuple):
    """What the files of an annotation tool say of the photos of a folder.

    text: which format and file, for the account of what was read.
    classes: names in the order of the mask ids, without the background.
    tags: names of the classes of each photo, by id; () for one that shows none.
    masks: id -> function that draws the mask, [H, W] int32: 0 background, i the i-th
        class, IGNORE unknown; empty where there are only boxes or tags.
    splits: ids of each split that the files name; empty where they name none.
    not_photos: files that are no photos although they look so, such as masks.
    passed: what was passed over and why -> how often.
    warnings: what was guessed, one line each.
    """

    text: str
    classes: tuple[str, ...]
    tags: dict[str, tuple[str, ...]]
    masks: dict[str, Callable[[], np.ndarray]]
    splits: dict[str, tuple[str, ...]] = {}
    not_photos: tuple[Path, ...] = ()
    passed: Mapping[str, int] = {}
    warnings: tuple[str, ...] = ()


READERS: dict[str, Callable[[Path, Mapping[str, Path]], Annotations | None]] = {}


def find(root: Path, photos: Mapping[str, Path]) -> Annotations | None:
    """The annotations of the first format that is there; None where there is none.

    Args:
        root: folder of the data set.
        photos: image files below it, by id (path below the root, or below its image
            folder, without suffix).

    Raises:
        UserError: a file of that format is damaged, or names no photo that is there.
    """
    for reader in READERS.values():
        found = reader(root, photos)
        if found is not None:
            return found
    return None
