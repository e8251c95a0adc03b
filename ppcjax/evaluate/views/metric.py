"""Which cell of another view looks most alike, and whether it shows the same place.

Two crops of one photo know where they lie in it, so a network that describes cells can
be scored without labels: by how often the most similar cell is the right one, and by
whether it says anything at all (collapse).
"""

from typing import Any, NamedTuple

import numpy as np

from ppcjax.types import Metric


class Matches(NamedTuple):
    """What a second view has for each cell of a first; cells (row, column) row-major.

    place: [P, 2] float64, where the cell's centre truly lies on the second grid, in
        cells whose centres are whole numbers.
    known: [P] bool, whether the second view shows it.
    found: [P, 2] int64, the most similar cell of the second view; of equal ones the
        first.
    cosines: [P, Q] float32, of all pairs of cells.
    grid: rows and columns of the second view.
    """

    place: np.ndarray
    known: np.ndarray
    found: np.ndarray
    cosines: np.ndarray
    grid: tuple[int, int]

    @property
    def right(self) -> np.ndarray:
        """[P] bool: the found cell is within one row and one column of the place."""
        return self.known & (np.abs(self.found - self.place) <= 1).all(1)

    @property
    def nearest(self) -> np.ndarray:
        """[P] int64: index of the cell nearest to the place; 0 where it is unknown."""
        row, column = np.where(self.known[:, None], np.rint(self.place), 0).T
        row = row.clip(0, self.grid[0] - 1).astype(int)
        return row * self.grid[1] + column.clip(0, self.grid[1] - 1).astype(int)

    @property
    def chance(self) -> np.ndarray:
        """[P] share of the second view's cells that would be right."""
        y, x = (
            (np.abs(np.arange(n)[None] - self.place[:, axis, None]) <= 1).sum(1)
            for axis, n in enumerate(self.grid)
        )
        return y * x / (self.grid[0] * self.grid[1])


def unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors [..., D] divided by their norms, float32; a zero vector stays zero."""
    vectors = np.asarray(vectors, np.float32)
    norms = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / np.maximum(norms, 1e-12)


def match(
    first: np.ndarray, second: np.ndarray, first_box: np.ndarray, second_box: np.ndarray
) -> Matches:
    """Matches of every cell of a first view among those of a second.

    Args:
        first: [h, w, D] float32 descriptions of its cells, of unit norm.
        second: [h', w', D] of the other view.
        first_box: [4] (x0, y0, x1, y1) in the photo; x0 > x1 where mirrored.
        second_box: [4] of the other view.
    """
    place = true_places(first_box, first.shape[:2], second_box, second.shape[:2])
    size = np.array(second.shape[:2])
    known = ((place >= -0.5) & (place <= size - 0.5)).all(1)
    depth = first.shape[-1]
    cosines = first.reshape(-1, depth) @ second.reshape(-1, depth).T
    found = np.stack(np.divmod(cosines.argmax(1), second.shape[1]), axis=1)
    return Matches(place, known, found, cosines, second.shape[:2])


def true_places(
    first_box: np.ndarray,
    first_grid: tuple[int, int],
    second_box: np.ndarray,
    second_grid: tuple[int, int],
) -> np.ndarray:
    """Centres of a view's cells on the grid of another view of the photo.

    Args:
        first_box: [4] (x0, y0, x1, y1) in the photo; x0 > x1 where mirrored.
        first_grid: rows and columns.
        second_box: the same of the other view; a side without length shows nothing.
        second_grid: rows and columns.

    Returns:
        [P, 2] float64 (row, column) in cells, centres at whole numbers; infinite along
        a side without length.
    """
    axes = []
    for axis in (0, 1):  # rows lie along y, columns along x
        start, end = np.float64(first_box[1 - axis :: 2])
        low, high = np.float64(second_box[1 - axis :: 2])
        centres = start + (np.arange(first_grid[axis]) + 0.5) / first_grid[axis] * (
            end - start
        )
        if high == low:
            axes.append(np.full(first_grid[axis], np.inf))
        else:
            share = (centres - low) / (high - low)
            axes.append(share * second_grid[axis] - 0.5)
    rows, columns = np.meshgrid(*axes, indexing="ij")
    return np.stack([rows.ravel(), columns.ravel()], axis=1)


def alignment(name: str = "embedding") -> Metric:
    """Correspondence accuracy and signs of collapse, over pairs of views.

    A prediction holds under `name` [2, h, w, D], descriptions of the cells of both
    views, of any norm; an example has `pair.box` [2, 4]. Both directions count.

    The summary has

        accuracy       share of the cells that both views show whose most similar cell
                       is within one row and column of the true place
        chance         the same of a random cell
        true_cosine    mean cosine of such a cell with the cell at its true place
        other_cosine   with all cells of the other view
        channel_std    mean deviation of a channel of the unit vectors, 0 if collapsed
        healthy_std    1 / sqrt(D), of vectors in all directions
        cosine_within  mean cosine of cells of one photo, 1 if collapsed
        cosine_between of cells of two photos, 1 if collapsed

    and how many "pairs" and "cells" were counted; what no cell defines is NaN.
    """

    def count(prediction, example) -> dict[str, np.ndarray]:
        maps = unit(prediction[name])
        vectors = maps.reshape(-1, maps.shape[-1]).astype(np.float64)
        total = vectors.sum(0)
        counts = {
            "pairs": np.int64(1),
            "vectors": np.int64(len(vectors)),
            "sum": total,
            "squares": (vectors**2).sum(0),
            "photo_sums": np.square(total).sum(),
            "photo_cells": np.int64(len(vectors) ** 2),
        }
        for view in (0, 1):
            other = 1 - view
            boxes = example.pair.box[[view, other]]
            found = _direction(match(maps[view], maps[other], *boxes))
            for key, value in found.items():
                counts[key] = counts.get(key, 0) + value
        return counts

    return Metric(count, _summarize)


def _direction(matches: Matches) -> dict[str, Any]:
    known = matches.known
    at_place = matches.cosines[np.arange(len(known)), matches.nearest]
    return {
        "cells": np.int64(known.sum()),
        "right": np.int64(matches.right.sum()),
        "by_chance": matches.chance[known].sum(),
        "true_cosines": at_place[known].sum(dtype=np.float64),
        "other_cosines": matches.cosines[known].mean(1).sum(dtype=np.float64),
    }


def _summarize(counts: dict[str, Any]) -> dict[str, Any]:
    def share(part, whole):
        return float(part / whole) if whole else float("nan")

    cells, vectors = counts["cells"], counts["vectors"]
    total = np.square(counts["sum"]).sum()
    own = counts["squares"].sum()  # of each vector with itself
    variance = counts["squares"] / vectors - (counts["sum"] / vectors) ** 2
    return {
        "pairs": int(counts["pairs"]),
        "cells": int(cells),
        "accuracy": share(counts["right"], cells),
        "chance": share(counts["by_chance"], cells),
        "true_cosine": share(counts["true_cosines"], cells),
        "other_cosine": share(counts["other_cosines"], cells),
        "channel_std": float(np.sqrt(variance.clip(0)).mean()),
        "healthy_std": float(len(variance) ** -0.5),
        "cosine_between": share(
            total - counts["photo_sums"], vectors**2 - counts["photo_cells"]
        ),
        "cosine_within": share(
            counts["photo_sums"] - own, counts["photo_cells"] - vectors
        ),
    }
