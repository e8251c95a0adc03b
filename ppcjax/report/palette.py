"""The PASCAL VOC colours, by which masks are told apart in files and pictures."""

import numpy as np

from ppcjax.types import IGNORE


def voc_palette() -> np.ndarray:
    """Colour of each mask value, background black and IGNORE cream.

    The bits of the class id are dealt to red, green and blue in turn, the lowest to
    the highest bit of the colour.

    Returns:
        [256, 3] uint8 RGB.
    """
    ids = np.arange(256)
    colours = np.zeros((256, 3), np.int64)
    for place in range(8):
        for channel in range(3):
            bit = (ids >> (3 * place + channel)) & 1
            colours[:, channel] |= bit << (7 - place)
    return colours.astype(np.uint8)


def class_colours(*, background: bool) -> np.ndarray:
    """Colour in which a picture shows each class; see `voc_palette`.

    Args:
        background: whether class 0 is one. If not, class c has the colour of c + 1, so
            that none is black.

    Returns:
        [256, 3] uint8 RGB; that of IGNORE is the same either way.
    """
    palette = voc_palette()
    if background:
        return palette
    return np.concatenate([palette[1:IGNORE], palette[:1], palette[IGNORE:]])
