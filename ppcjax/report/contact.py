"""A contact sheet: photos with their masks beside them, as one picture."""

import functools
import math
import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ppcjax.report.overlay import draw_mask
from ppcjax.report.palette import class_colours
from ppcjax.types import IGNORE

SIDE = (208, 156)  # largest width and height of a picture in a cell
GAP, MARGIN = 6, 24  # between photo and mask, and around everything
ROW_GAP, COLUMN_GAP = 16, 26
WIDTH = 1390  # of the sheet
TITLE, TEXT = 20, 13  # sizes of letters, in pixels
LINE = 17  # height of a line of text
INK, SOFT, PAPER = (28, 36, 48), (86, 98, 117), (255, 255, 255)


class Shot(NamedTuple):
    """A photo of the sheet.

    id: its name.
    photo: [H, W, 3] uint8.
    mask: [H, W] ids or IGNORE; None where there is none.
    tags: names of its classes, or that it has none, in a line; "" for no line.
    """

    id: str
    photo: np.ndarray
    mask: np.ndarray | None
    tags: str


def sheet(
    title: str, shots: Sequence[Shot], classes: Sequence[str], *, background: bool
) -> Image.Image:
    """Draws a contact sheet.

    Args:
        title: what the photos are of.
        shots: the photos, in order.
        classes: names by class id.
        background: whether class 0 is one, which stays clear.

    Returns:
        An RGB picture on white.
    """
    panels = 2 if any(shot.mask is not None for shot in shots) else 1
    cell = (panels * SIDE[0] + (panels - 1) * GAP, SIDE[1] + 4 + 2 * LINE)
    columns = (WIDTH - 2 * MARGIN + COLUMN_GAP) // (cell[0] + COLUMN_GAP)
    columns = max(min(columns, len(shots)), 1)
    rows = -(-len(shots) // columns)
    legend = _legend(shots, classes, background)
    width = max(2 * MARGIN + columns * (cell[0] + COLUMN_GAP) - COLUMN_GAP, 640)
    places, used = flow([width_of(name) + 26 for name, _ in legend], width - 2 * MARGIN)
    top = MARGIN + TITLE + 12 + used * (LINE + 5) + 8
    height = top + rows * (cell[1] + ROW_GAP) + MARGIN - ROW_GAP
    picture = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(picture)
    room = width - 2 * MARGIN
    draw.text((MARGIN, MARGIN), cut(title, room, TITLE), INK, _font(TITLE))
    for (name, colour), (x, row) in zip(legend, places, strict=True):
        y = MARGIN + TITLE + 14 + row * (LINE + 5)
        box = (MARGIN + x, y + 1, MARGIN + x + 13, y + 14)
        draw.rectangle(box, fill=colour, outline=(150, 150, 150))
        draw.text((MARGIN + x + 19, y), cut(name, 200), INK, _font(TEXT))
    for number, shot in enumerate(shots):
        row, column = divmod(number, columns)
        left = MARGIN + column * (cell[0] + COLUMN_GAP)
        above = top + row * (cell[1] + ROW_GAP)
        _place(picture, shot, (left, above), cell, background)
    return picture


def _place(picture, shot: Shot, corner, cell, background: bool) -> None:
    """Draws a photo, its mask over it beside it, and two lines below them."""
    left, top = corner
    draw = ImageDraw.Draw(picture)
    photo, mask = fit(shot.photo, shot.mask)
    pictures = [photo]
    if shot.mask is not None:
        grey = photo.mean(-1, keepdims=True).repeat(3, -1) * 0.6 + 255 * 0.4
        pictures.append(draw_mask(grey, mask, background=background, opacity=0.7))
    elif cell[0] > SIDE[0]:
        beside = (left + photo.shape[1] + GAP + 8, top + SIDE[1] // 2)
        draw.text(beside, "no mask", SOFT, _font(TEXT))
    for place, pixels in enumerate(pictures):
        height, width = pixels.shape[:2]
        x = left + place * (width + GAP)  # a mask stands next to its photo
        y = top + SIDE[1] - height
        picture.paste(Image.fromarray(pixels), (x, y))
        draw.rectangle((x, y, x + width - 1, y + height - 1), outline=(205, 210, 218))
    below = top + SIDE[1] + 4
    draw.text((left, below), cut(shot.id, cell[0]), INK, _font(TEXT))
    draw.text((left, below + LINE), cut(shot.tags, cell[0]), SOFT, _font(TEXT))


def fit(
    photo: np.ndarray, mask: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Photo and mask, made as large as a picture of the sheet may be.

    Args:
        photo: [H, W, 3] uint8.
        mask: [H, W] ids or IGNORE; None where there is none.

    Returns:
        Both, [h, w, 3] and [h, w].
    """
    height, width = photo.shape[:2]
    factor = min(SIDE[0] / width, SIDE[1] / height)
    size = max(round(width * factor), 1), max(round(height * factor), 1)
    smooth = Image.Resampling.LANCZOS if factor < 1 else Image.Resampling.NEAREST
    small = np.asarray(Image.fromarray(photo).resize(size, smooth))
    if mask is None:
        return small, None
    rows = ((np.arange(size[1]) + 0.5) * len(mask) / size[1]).astype(int)
    columns = ((np.arange(size[0]) + 0.5) * mask.shape[1] / size[0]).astype(int)
    return small, mask[np.ix_(rows, columns)]


def _legend(shots, classes, background: bool) -> list[tuple[str, tuple[int, int, int]]]:
    """Name and colour of every class that a mask of the sheet shows."""
    colours = class_colours(background=background)
    masks = [np.unique(shot.mask) for shot in shots if shot.mask is not None]
    shown = sorted({int(c) for ids in masks for c in ids})
    names = {**dict(enumerate(classes)), IGNORE: "void"}
    if background:
        shown = [c for c in shown if c]
    return [(names[c], tuple(colours[c].tolist())) for c in shown]


def flow(widths: Sequence[int], room: int) -> tuple[list[tuple[int, int]], int]:
    """Where entries stand that follow each other in lines.

    Args:
        widths: width of each.
        room: width of a line.

    Returns:
        (x, line) of each, and the number of lines.
    """
    places, x, line = [], 0, 0
    for width in widths:
        if x and x + width > room:
            x, line = 0, line + 1
        places.append((x, line))
        x += width + 14
    return places, (line + 1) if places else 0


@functools.cache
def _font(size: int):
    return ImageFont.load_default(size)


def width_of(text: str, size: int = TEXT) -> int:
    """Width of text on a sheet, in pixels."""
    return math.ceil(_font(size).getlength(plain(text)))


def cut(text: str, room: int, size: int = TEXT) -> str:
    """Text in letters of the font, its middle left out where it is too wide.

    Args:
        text: any text.
        room: width that there is, in pixels.
        size: size of the letters, in pixels.
    """
    text = plain(text)
    if width_of(text, size) <= room:
        return text
    most = min(len(text) - 1, room)  # no letter is narrower than a pixel
    for kept in range(most, 1, -1):
        short = f"{text[: kept // 2]}...{text[-(kept - kept // 2) :]}"
        if width_of(short, size) <= room:
            return short
    return "..."


def plain(text: str) -> str:
    """Text in the letters that Pillow's own font has; others become "?"."""
    apart = unicodedata.normalize("NFKD", text.replace("ß", "ss"))
    bare = "".join(c for c in apart if not unicodedata.combining(c))
    return "".join(c if " " <= c <= "~" else "?" for c in bare)
