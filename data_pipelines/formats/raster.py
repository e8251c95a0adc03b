"""Outlines and runs as pixels.

A polygon covers the pixels that pycocotools gives it, to the pixel: corners are put on
a grid five times as fine as the pixels, and column by column the pixels between the
edges belong to it where an odd number of edges lies above. COCO's own masks, those of
CVAT and all that is evaluated against COCO follow this rule.
"""

from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from ppcjax.types import UserError

_FINE = 5  # points of the grid per pixel
_MOST_STEPS = 20_000_000


def from_shares(shares: np.ndarray, sides: np.ndarray) -> np.ndarray:
    """Corners [N, 2] in pixels of shares of a photo's sides.

    They are rounded to a millionth of a pixel, which undoes what the division by the
    sides did to corners that lay on the grid.
    """
    return np.round(shares * sides, 6)


def check_reach(corners: np.ndarray, shape: tuple[int, int], where: str) -> None:
    """Raises UserError where corners [N, 2] (x, y) lie far outside of a photo."""
    reach = np.array(shape[::-1], np.float64)
    if (corners < -reach).any() or (corners > 2 * reach).any():
        raise UserError(
            f"{where}: has points far outside of its photo of {shape[1]}x{shape[0]} "
            "pixels; export it again with that photo"
        )


def fill_polygon(
    mask: np.ndarray, corners: np.ndarray, value: int, where: str = "polygon"
) -> None:
    """Paints a polygon.

    Args:
        mask: [H, W] integers, changed.
        corners: [N, 2] x and y in pixels; 0, 0 is the corner of the first pixel. Parts
            that the outline goes round twice are outside.
        value: what its pixels become.
        where: what it is, for errors.

    Raises:
        UserError: it lies far outside.
    """
    check_reach(corners, mask.shape, where)
    first, block = _columns(corners, *mask.shape, where)
    mask[:, first : first + len(block)][block.T] = value


def _columns(corners: np.ndarray, rows: int, columns: int, where: str):
    """First column that a polygon crosses, and [k, rows] bool of k columns."""
    u, v = _boundary(corners, where)
    low = np.minimum(u[1:], u[:-1])
    # Steps across the middle of a column of pixels.
    crosses = (u[1:] != u[:-1]) & (low % _FINE == _FINE // 2)
    column = low[crosses] // _FINE
    fine = np.minimum(v[1:], v[:-1])[crosses]
    row = np.ceil(np.clip((fine + 0.5) / _FINE - 0.5, 0, rows)).astype(np.int64)
    inside = (column >= 0) & (column < columns)
    column, row = column[inside], row[inside]
    if not len(column):
        return 0, np.zeros((0, rows), bool)
    first, count = column.min(), np.ptp(column) + 1
    places = (column - first) * (rows + 1) + row
    edges = np.bincount(places, minlength=count * (rows + 1)).astype(np.uint8)
    above = np.cumsum(edges.reshape(count, rows + 1), axis=1, dtype=np.uint8)
    return int(first), (above[:, :rows] & 1).astype(bool)


def _boundary(corners: np.ndarray, where: str) -> tuple[np.ndarray, np.ndarray]:
    """Points of the fine grid along the whole outline, x and y."""
    start = np.trunc(_FINE * corners + 0.5).astype(np.int64)
    stop = np.roll(start, -1, axis=0)
    span = np.abs(stop - start)
    flat = span[:, 0] >= span[:, 1]
    steps = span.max(1)
    if steps.sum() > _MOST_STEPS:
        raise UserError(f"{where}: its outline is too long to be one")
    # An edge is walked from its lower end, so that both directions give one line.
    major = np.where(flat, 0, 1)
    edge = np.arange(len(start))
    turned = start[edge, major] > stop[edge, major]
    origin = np.where(turned[:, None], stop, start)
    rise = np.where(turned[:, None], start - stop, stop - start)
    slope = rise[edge, 1 - major] / np.maximum(steps, 1)

    of = np.repeat(edge, steps + 1)
    begins = np.repeat(np.cumsum(steps + 1) - steps - 1, steps + 1)
    walked = np.arange(len(of)) - begins
    along = np.where(turned[of], steps[of] - walked, walked)
    minor = origin[of, 1 - major[of]] + slope[of] * along
    minor = np.trunc(minor + 0.5).astype(np.int64)
    along = origin[of, major[of]] + along
    return np.where(flat[of], along, minor), np.where(flat[of], minor, along)


def fill_runs(mask: np.ndarray, counts: Any, value: int, where: str) -> None:
    """Paints COCO's runs: lengths of outside, inside, outside, ... down the columns.

    Args:
        mask: [H, W] integers, changed.
        counts: lengths, which together are all pixels.
        value: what the pixels inside become.
        where: what it is, for errors.
    """
    lengths = np.asarray(counts, np.int64)
    if lengths.size and (lengths.min() < 0 or lengths.max() > mask.size):
        raise UserError(f"{where}: has a run longer than its photo, or below 0")
    if lengths.sum() != mask.size:
        raise UserError(
            f"{where}: its runs cover {lengths.sum()} pixels, but its photo has "
            f"{mask.size} ({mask.shape[1]}x{mask.shape[0]}); export it again"
        )
    inside = np.repeat(np.arange(len(lengths)) % 2 == 1, lengths)
    mask[inside.reshape(mask.shape[::-1]).T] = value


def fill_ellipse(
    mask: np.ndarray, centre, radii, turn: float, value: int, where: str
) -> None:
    """Paints the pixels whose middle lies in an ellipse.

    Args:
        mask: [H, W] integers, changed.
        centre: x and y in pixels.
        radii: half of the two axes, in pixels.
        turn: degrees clockwise that it is turned by.
        value: what its pixels become.
        where: what it is, for errors.
    """
    check_reach(np.array([centre, radii]), mask.shape, where)
    if min(radii) <= 0:
        return
    y, x = np.ogrid[: mask.shape[0], : mask.shape[1]]
    dx, dy = x + 0.5 - centre[0], y + 0.5 - centre[1]
    cos, sin = np.cos(np.deg2rad(turn)), np.sin(np.deg2rad(turn))
    along, across = (dx * cos + dy * sin) / radii[0], (dy * cos - dx * sin) / radii[1]
    mask[along**2 + across**2 <= 1] = value


def box_corners(x, y, width, height, turn: float = 0.0, *, about=None) -> np.ndarray:
    """[4, 2] corners of a box that is turned clockwise about a point.

    Args:
        x: left side, in pixels.
        y: upper side.
        width: in pixels.
        height: in pixels.
        turn: degrees.
        about: x and y that stay where they are; None: the middle.
    """
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], float)
    corners += (x, y)
    if not turn:
        return corners
    about = np.array((x + width / 2, y + height / 2) if about is None else about)
    cos, sin = np.cos(np.deg2rad(turn)), np.sin(np.deg2rad(turn))
    return (corners - about) @ np.array([[cos, sin], [-sin, cos]]) + about


def drawn(shape: tuple[int, int], name: str, points: Any) -> np.ndarray:
    """[H, W] bool of what Pillow draws, border included: as labelme does.

    Args:
        shape: rows and columns.
        name: "polygon", "rectangle" or "ellipse".
        points: what Pillow's ImageDraw takes.
    """
    image = Image.new("L", shape[::-1])
    getattr(ImageDraw.Draw(image), name)(points, outline=1, fill=1)
    return np.asarray(image, bool)
