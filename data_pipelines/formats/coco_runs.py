"""COCO's runs as text: differences in base 32, six bits of a letter at a time."""

from collections.abc import Sequence

import numpy as np

from ppcjax.types import UserError

_FIRST = 48  # the letter "0"
_MORE, _SIGN, _LOW = 0x20, 0x10, 0x1F


def decode(text: str, where: str) -> list[int]:
    """Lengths of the runs of a compressed mask.

    Args:
        text: `counts` of a segmentation.
        where: what it is, for errors.
    """
    lengths: list[int] = []
    value = shift = 0
    for letter in text:
        bits = ord(letter) - _FIRST
        if not 0 <= bits < 64 or shift > 50:
            raise UserError(f"{where}: 'counts' is no run-length text of COCO")
        value |= (bits & _LOW) << shift
        shift += 5
        if bits & _MORE:
            continue
        if bits & _SIGN:
            value -= 1 << shift
        if len(lengths) > 2:  # later runs are written as differences
            value += lengths[-2]
        lengths.append(value)
        value = shift = 0
    if shift:
        raise UserError(f"{where}: 'counts' ends within a number")
    return lengths


def encode(lengths: Sequence[int]) -> str:
    """The text of runs, as `decode` reads it."""
    letters = []
    for place, length in enumerate(lengths):
        value = length - lengths[place - 2] if place > 2 else length
        while True:
            bits, value = value & _LOW, value >> 5
            ends = value == (-1 if bits & _SIGN else 0)
            letters.append(chr(_FIRST + bits + (0 if ends else _MORE)))
            if ends:
                break
    return "".join(letters)


def runs(inside: np.ndarray) -> list[int]:
    """Lengths of outside, inside, ... down the columns of a mask [H, W] bool."""
    flat = np.concatenate([[False], inside.T.ravel(), [False]])
    edges = np.flatnonzero(flat[1:] != flat[:-1])
    bounds = np.concatenate([[0], edges, [inside.size]])
    lengths = np.diff(bounds).tolist()
    return lengths if lengths[-1] else lengths[:-1]
