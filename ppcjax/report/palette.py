"""Colours of classes: PASCAL VOC's in mask files, ones that can be seen in pictures.

A mask file keeps the VOC colours, by which people and programs know its classes. Over a
photo they fail: most are as dark as the photo, and of the first twenty some pairs are
one colour to those who see no red or no green. `class_colours` are for pictures.
"""

import functools
import itertools

import numpy as np

from ppcjax.types import IGNORE

# Chosen by exchange among the colours of 4.5:1 against black or more: the least CIELAB
# distance of any two, to all of `_EYES`, is 30 among the first 8, 18 among 12, 14 among
# 20.
_FIRST = (
    *((255, 225, 0), (60, 105, 255), (30, 180, 135), (105, 180, 255)),
    *((225, 240, 150), (240, 105, 0), (240, 0, 75), (210, 45, 165)),
    *((255, 195, 75), (240, 150, 90), (240, 135, 195), (90, 225, 255)),
    *((255, 165, 180), (225, 45, 30), (255, 105, 120), (180, 240, 180)),
    *((75, 135, 255), (180, 120, 210), (75, 135, 75), (165, 75, 210)),
)
# How ordinary eyes and those without red and without green cones see linear RGB:
# Machado, Oliveira and Fernandes, 2009, severity 1.
_EYES = np.array(
    [
        [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ],
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ],
    ]
)
_TO_XYZ = np.array(  # sRGB, D65
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
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

    The first twenty are told apart by the colour-blind, too; further ones as well as
    can be, and no two are equal.

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
    return 1 + _linear(colour) @ _TO_XYZ[1] / 0.05


def _linear(colour: np.ndarray) -> np.ndarray:
    share = np.asarray(colour, float) / 255
    return np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)


def _seen(colours: np.ndarray) -> np.ndarray:
    """CIELAB [3, N, 3], D65, of sRGB colours [N, 3] to each of `_EYES`."""
    light = np.einsum("exy,ny->enx", _EYES, _linear(colours)).clip(0, 1)
    xyz = light @ _TO_XYZ.T / _TO_XYZ.sum(1)
    x, y, z = np.moveaxis(
        np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 4 / 29), -1, 0
    )
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1)


@functools.cache
def _colours() -> tuple[tuple[int, int, int], ...]:
    """254 colours: the chosen ones, then each the farthest from those before it."""
    steps = range(0, 256, 15)
    grid = np.array(list(itertools.product(steps, repeat=3)))
    grid = grid[contrast(grid) >= LEAST_CONTRAST]
    seen, found = _seen(grid), list(_FIRST)
    apart = np.full(len(grid), np.inf)
    for other in _seen(np.array([*_FIRST, _VOID])).swapaxes(0, 1):
        apart = np.minimum(apart, np.linalg.norm(seen - other[:, None], axis=-1).min(0))
    while len(found) < IGNORE - 1:
        best = int(apart.argmax())
        found.append(tuple(grid[best].tolist()))
        away = np.linalg.norm(seen - seen[:, best, None], axis=-1).min(0)
        apart = np.minimum(apart, away)
    return tuple(found)
