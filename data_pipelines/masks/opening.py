"""All masks of a data set, and how they are to be read."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ppcjax.data_pipelines.masks.ids import read_mask

# A file of all classes; one file per class, each with the id of its class; or what
# draws the mask.
MaskFile = Path | tuple[tuple[int, Path], ...] | Callable[[], np.ndarray]
Colour = tuple[int, int, int]


class Masks(NamedTuple):
    """The masks of a data set, ready to be read.

    ids: ids of the images that have one, in the order of the images.
    read: id -> [H, W] int32 in 0..C-1 or IGNORE; UserError where the file is unusable.
    text: how they are read, in a few words, for the account of what was read.
    warnings: what was guessed, one line each.
    """

    ids: tuple[str, ...] = ()
    read: Callable[[str], np.ndarray] | None = None
    text: str = ""
    warnings: tuple[str, ...] = ()

    def __contains__(self, key: object) -> bool:
        """Whether an image has a mask."""
        return key in self.ids

    def get(self, key: str) -> np.ndarray | None:
        """The mask of an image; None where it has none."""
        return self.read(key) if key in self.ids else None


def open_masks(
    files: Mapping[str, MaskFile],
    *,
    classes: Sequence[str],
    colours: Sequence[Colour] = (),
    void: Sequence[int] = (),
    label_ids: Sequence[int] = (),
) -> Masks:
    """Decides how the masks of a whole set are read.

    Args:
        files: where the mask of each image is.
        classes: names by class id, "background" first where there is one.
        colours: colour of each class; empty where nobody gave any.
        void: ids that mean IGNORE, besides 255.
        label_ids: the id of each class in the files; empty: 0..C-1.

    Raises:
        UserError: they cannot be read as masks of these classes.
    """
    settings = {"void": tuple(void), "label_ids": tuple(label_ids)}
    read = partial(_read, files, num_classes=len(classes), **settings)
    return Masks(tuple(files), read, "values are class ids")


def _read(files: Mapping[str, MaskFile], key: str, **settings) -> np.ndarray:
    return read_mask(files[key], str(files[key]), **settings)
