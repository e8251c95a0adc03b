"""What a ridge regression learns of examples, added up, in the memory of its classes.

However many examples there are, a sum for the background and one for each class are
held: what one of them told is taken off again when it changes.
"""

from collections.abc import Mapping, Sequence

import numpy as np


class Sums:
    """Sums of what the method's `fit` makes of one photo for one class each."""

    def __init__(self) -> None:
        """Of nothing."""
        self._ground: np.ndarray | None = None
        self._own: dict[int, np.ndarray] = {}
        self._squares: dict[int, float] = {}
        self._counts: dict[int, int] = {}

    def add(self, way: int, found: Mapping[str, np.ndarray], sign: int = 1) -> None:
        """Adds what a photo tells of a class, or takes it off.

        Args:
            way: id of the class.
            found: "moments" [2, D, D] of the background and of the class, and "cells"
                [1], as `methods.ridge` describes them.
            sign: 1, or -1 for what was added before.
        """
        ground, own = (sign * x for x in np.asarray(found["moments"], np.float64))
        if self._ground is None:
            self._ground = np.zeros_like(ground)
        self._ground += ground
        self._counts[way] = self._counts.get(way, 0) + sign
        if not self._counts[way]:  # and what rounding left of it
            for held in (self._counts, self._own, self._squares):
                held.pop(way, None)
            return
        self._own[way] = self._own.get(way, 0) + own
        # Squared weights add up, too; the number of cells stands for them:
        # n = (sum w)^2 / sum w^2.
        mass, cells = own[-1, -1], float(found["cells"][0])
        square = sign * mass**2 / cells if cells > 0 else 0.0
        self._squares[way] = self._squares.get(way, 0.0) + square

    def of(self, classes: Sequence[int]) -> dict[str, np.ndarray]:
        """What the method decodes with.

        Args:
            classes: ids of N classes; something was added of one of them at least.

        Returns:
            "moments" [1, 1 + N', D, D] and "cells" [1, N'] float32, N' >= N a power
            of 2, so that few programs are compiled.
        """
        ways = 1 << (len(classes) - 1).bit_length()
        moments = np.zeros((1 + ways, *self._ground.shape), np.float32)
        cells = np.zeros(ways, np.float32)
        moments[0] = self._ground
        for j, way in enumerate(classes):
            own, square = self._own.get(way), self._squares.get(way, 0.0)
            if own is not None and square > 0:
                moments[1 + j] = own
                cells[j] = own[-1, -1] ** 2 / square
        return {"moments": moments[None], "cells": cells[None]}
