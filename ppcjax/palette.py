"""The PASCAL VOC colours, by which masks are told apart in files and pictures."""

import numpy as np


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
