"""Slots of a memory as the patches that are nearest to them, on one sheet."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from benchmarks.slots_seen import Seen

_PATCH = 5  # cells along the side of what is shown; its middle one is the patch
_SIDE = 44  # pixels of the sheet
_FRAME = 3
_NAME = 100
_GAP = 12
_RIGHT, _OTHER = "#0072b2", "#e69f00"


def draw(
    classes: Sequence[str], found: Sequence[Any], seen: Sequence[Seen], file: Path
) -> None:
    """Writes a PNG: a row for each class, and for each bank two slots.

    A slot is a group of patches, the nearest first, each with what lies around it;
    blue frames are those of the row's class, orange ones of others.

    Args:
        classes: names by class id.
        found: slots with their nearest patches, as `memory_slots.held` gives them.
        seen: batches that the patches are of.
        file: where the picture goes.
    """
    banks = list(dict.fromkeys(one.bank for one in found))
    near = max(one.cell.shape[1] for one in found)
    group = near * _SIDE + _GAP
    top = 16
    size = _NAME + 2 * len(banks) * group, top + len(classes) * (_SIDE + 4)
    image = Image.new("RGB", size, "white")
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(11)
    for column, bank in enumerate(banks):
        at = _NAME + 2 * column * group
        pen.text((at, 2), f"two slots of the {bank} memory", "black", font)
    for label, name in enumerate(classes):
        pen.text((4, top + label * (_SIDE + 4) + _SIDE // 2), name, "black", font, "lm")
    for one in found:
        for number, slot in enumerate(_some(len(one.cell))):
            x = _NAME + (2 * banks.index(one.bank) + number) * group
            y = top + one.label * (_SIDE + 4)
            for cell, shown in zip(one.cell[slot], one.shown[slot], strict=True):
                colour = _RIGHT if shown == one.label else _OTHER
                pen.rectangle((x, y, x + _SIDE - 2, y + _SIDE - 2), colour)
                inner = _SIDE - 1 - 2 * _FRAME
                patch = _patch(seen, int(cell)).resize((inner, inner))
                image.paste(patch, (x + _FRAME, y + _FRAME))
                middle = [
                    at + _SIDE // 2 + _SIDE // 10 * d for d in (-1, 1) for at in (x, y)
                ]
                pen.rectangle(middle, outline="white")
                x += _SIDE
    image.quantize(255, dither=Image.Dither.NONE).save(file, optimize=True)


def _some(count: int) -> list[int]:
    """Two of so many slots, if there are two."""
    return sorted({count // 3, 2 * count // 3}) if count else []


def _patch(seen: Sequence[Seen], cell: int) -> Image.Image:
    """A patch and what lies around it, grey beyond its crop."""
    images, cells = seen[0].labels.shape
    batch, rest = divmod(cell, images * cells)
    row, place = divmod(rest, cells)
    pixels = np.asarray(seen[batch].image[row])
    grid = seen[batch].embedding.shape[1:3]
    steps = [side / n for side, n in zip(pixels.shape[:2], grid, strict=True)]
    at = [
        int((n + 0.5) * step)
        for n, step in zip(divmod(place, grid[1]), steps, strict=True)
    ]
    half = int(_PATCH * max(steps) / 2)
    padded = np.pad(pixels, ((half, half), (half, half), (0, 0)), constant_values=128)
    return Image.fromarray(padded[at[0] : at[0] + 2 * half, at[1] : at[1] + 2 * half])
