"""Colours of classes: PASCAL VOC's in mask files, ones that can be seen in pictures.

A mask file keeps the VOC colours, by which people and programs know its classes. Over a
photo they fail: most are as dark as the photo, and of the first twenty some pairs are
one colour to those who see no red or no green. `class_colours` are for pictures.
"""

import colorsys
import functools

import numpy as np

from ppcjax.types import IGNORE

# Chosen by exchange among the colours of 4.5:1 against black or more: the least CIELAB
# distance of any two, to ordinary eyes and to those without red or green cones (the
# model of Machado et al., 2009), is 30 among the first 8, 18 among 12, 14 among 20.
_FIRST = (
    *((255, 225, 0), (60, 105, 255), (30, 180, 135), (105, 180, 255)),
    *((225, 240, 150), (240, 105, 0), (240, 0, 75), (210, 45, 165)),
    *((255, 195, 75), (240, 150, 90), (240, 135, 195), (90, 225, 255)),
    *((255, 165, 180), (225, 45, 30), (255, 105, 120), (180, 240, 180)),
    *((75, 135, 255), (180, 120, 210), (75, 135, 75), (165, 75, 210)),
)
_VOID = (236, 236, 236)
LEAST_CONTRAST = 4.5  # against black, as web pages ask of letters


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
    """Colour in which a picture shows each class, bright enough for dark photos.

    The first twenty are told apart by the colour-blind, too; of further ones no two are
    equal.

    Args:
        background: whether class 0 is one, which is black. If not, class c has the
            colour of c + 1, so that none is black.

    Returns:
        [256, 3] uint8 RGB; IGNORE is nearly white either way.
    """
    colours = np.array([(0, 0, 0), *_colours(), _VOID], np.uint8)
    if background:
        return colours
    return np.concatenate([colours[1:IGNORE], colours[:1], colours[IGNORE:]])


def contrast(colour: np.ndarray) -> np.ndarray:
    """Contrast [...] of sRGB colours [..., 3] in 0..255 against black, from 1 to 21."""
    share = np.asarray(colour, float) / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    return 1 + linear @ np.array([0.2126, 0.7152, 0.0722]) / 0.05


@functools.cache
def _colours() -> tuple[tuple[int, int, int], ...]:
    """254 colours: the chosen ones, then hues a golden angle apart, ever paler."""
    found = dict.fromkeys(_FIRST)
    turn = 0
    while len(found) < IGNORE - 1:
        turn += 1
        hue, value = turn * 0.618034 % 1, (1.0, 0.8, 0.6)[turn % 3]
        colour = np.array(colorsys.hsv_to_rgb(hue, 0.9 - 0.5 * turn / IGNORE, value))
        colour *= 255
        while contrast(colour.round()) < LEAST_CONTRAST:
            colour += (255 - colour) * 0.1
        found.setdefault(tuple(int(part) for part in colour.round()))
    return tuple(found)
