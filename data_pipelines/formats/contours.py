"""Pixels as outlines: closed lines along the edges of pixels, holes joined to them.

Drawn by the odd-even rule an outline covers its pixels exactly: a slit, by which a hole
is joined, is gone along in both directions and covers nothing.
"""

import numpy as np
from scipy import ndimage

Point = tuple[int, int]

# Steps right, down, left, up as (x, y).
_STEPS = ((1, 0), (0, 1), (-1, 0), (0, -1))


def outlines(inside: np.ndarray) -> list[np.ndarray]:
    """The outline of each connected part of a mask.

    Args:
        inside: [H, W] bool.

    Returns:
        [N, 2] int64 corners x, y of each part, whose pixels share sides.
    """
    parts, _ = ndimage.label(inside)
    found = []
    for number, place in enumerate(ndimage.find_objects(parts), 1):
        loops = _loops(parts[place] == number)
        corner = np.array([place[1].start, place[0].start])
        found.append(np.array(_corners(_joined(loops))) + corner)
    return found


def _edges(inside: np.ndarray) -> dict[Point, list[int]]:
    """Steps from each lattice point such that the part lies to the right."""
    padded = np.pad(inside, 1)
    here, above = padded[1:, 1:-1], padded[:-1, 1:-1]  # across horizontal edges
    right, left = padded[1:-1, 1:], padded[1:-1, :-1]  # across vertical edges
    starts: dict[Point, list[int]] = {}
    for step, places, shift in (
        (0, here & ~above, (0, 0)),
        (2, above & ~here, (1, 0)),
        (1, left & ~right, (0, 0)),
        (3, right & ~left, (0, 1)),
    ):
        for y, x in np.argwhere(places).tolist():
            starts.setdefault((x + shift[0], y + shift[1]), []).append(step)
    return starts


def _loops(inside: np.ndarray) -> list[list[Point]]:
    """Closed lines around a part, every lattice point of them; the outer one first."""
    starts = _edges(inside)
    loops = []
    for first in sorted(starts):
        while starts.get(first):
            point, step, loop = first, starts[first].pop(0), []
            while True:
                loop.append(point)
                point = (point[0] + _STEPS[step][0], point[1] + _STEPS[step][1])
                ways = starts.get(point)
                if not ways:
                    break
                # Where two pixels touch by a corner the line turns to its own.
                step = min(ways, key=lambda way: (step + 1 - way) % 4)
                ways.remove(step)
            loops.append(loop)
    return loops


def _joined(loops: list[list[Point]]) -> list[Point]:
    """One line of all: each hole joined by a slit to what lies to its left."""
    line = list(loops[0])
    there = {point: None for point in line}
    slits: dict[Point, list[list[Point]]] = {}
    for loop in loops[1:]:
        x, y = start = loop[0]
        while (x, y) not in there:
            x -= 1
        slits.setdefault((x, y), []).append([*loop, start])
        there.update(dict.fromkeys(loop))
    return _walk(line, slits)


def _walk(line: list[Point], slits: dict[Point, list[list[Point]]]) -> list[Point]:
    """A line with the loops that hang on it put in where they hang."""
    walked, todo = [], [iter(line)]
    while todo:
        point = next(todo[-1], None)
        if point is None:
            todo.pop()
            continue
        walked.append(point)
        loops = slits.pop(point, ())
        todo.append(iter([p for loop in loops for p in (*loop, point)]))
    return walked


def _corners(line: list[Point]) -> list[Point]:
    """A closed line without the points at which it goes straight on."""
    points = np.array(line)
    points = points[(points != np.roll(points, 1, axis=0)).any(1)]
    before = np.sign(points - np.roll(points, 1, axis=0))
    after = np.sign(np.roll(points, -1, axis=0) - points)
    return points[(before != after).any(1)]
