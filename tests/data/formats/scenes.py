"""Small photos and masks of every awkward kind, for all formats."""

import numpy as np
from PIL import Image

from ppcjax.types import IGNORE

CLASSES = ("zebra", "cow", "grass field")


def masks():
    """Masks [H, W] uint8 by photo id, of three classes and void."""
    holes = np.zeros((12, 17), np.uint8)
    holes[1:11, 1:16] = 1
    holes[3:6, 3:6], holes[4, 4] = 0, 2
    holes[3:9, 8:13], holes[5:7, 10:11] = 3, 0
    holes[7, 3], holes[8, 4] = 0, 0  # two holes that touch by a corner
    corners = np.zeros((7, 9), np.uint8)
    corners[::2, ::2], corners[1::2, 1::2] = 1, 1  # a chess board
    corners[3, 4] = 2
    borders = np.full((6, 5), 2, np.uint8)
    borders[0, 0], borders[-1, -1], borders[2] = 1, 3, 0
    void = np.zeros((8, 8), np.uint8)
    void[2:6, 2:6], void[3, 3], void[0], void[7, 7] = 3, 0, IGNORE, IGNORE
    noise = np.random.default_rng(0).integers(0, 4, (23, 19)).astype(np.uint8)
    line = np.zeros((1, 40), np.uint8)
    line[0, 3:9], line[0, 39] = 1, 2
    found = {"holes": holes, "a/corners": corners, "a/b.c/borders": borders}
    found |= {"void": void, "noise": noise, "line": line}
    return found | {"empty": np.zeros((4, 6), np.uint8)}


def write_photos(folder, found):
    """Photos of the sizes of masks, by id."""
    photos = {}
    for key, mask in found.items():
        file = folder / f"{key}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((*mask.shape, 3), np.uint8)).save(file)
        photos[key] = file
    return photos


def assert_equal(annotations, found, classes=CLASSES):
    """The masks that annotations draw are those of a set, class by name."""
    for key, mask in found.items():
        ids = annotations.masks[key]()
        assert ids.dtype == np.int32
        names = np.array(["-", *annotations.classes, *["?"] * 255])[:256]
        wanted = np.array(["-", *classes, *["?"] * 255])[:256]
        np.testing.assert_array_equal(names[ids], wanted[mask], err_msg=key)
        np.testing.assert_array_equal(ids == IGNORE, mask == IGNORE, err_msg=key)
