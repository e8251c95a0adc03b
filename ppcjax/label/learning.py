"""A fit on all that is marked, and what it says of a photo.

What a ridge regression learns of photos are sums, so that of each example they are
computed once and added up; after a stroke a single photo is new. Other methods get all
examples as one batch.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ppcjax.label.looks import Look, Looks
from ppcjax.ops.resize import bilinear_matrix
from ppcjax.predict.by_examples import compiled
from ppcjax.predict.queries import QueryPrediction
from ppcjax.runs import Run
from ppcjax.types import IGNORE, UserError

MOST_EXAMPLES = 256  # photos that are learnt from; the last ones touched
_MOST_AT_ONCE = 16  # photos of a method whose examples are one batch
_ROWS = 256  # of a mask that are made at a time


class Example(NamedTuple):
    """A photo that is learnt from.

    place: number of the photo.
    truth: [h, w] uint8 class ids as the network sees them, IGNORE unknown.
    """

    place: int
    truth: np.ndarray


class Fit(NamedTuple):
    """What was learnt.

    classes: ids of the N classes, ascending.
    arrays: what the method made of them, for N' >= N classes.
    """

    classes: tuple[int, ...]
    arrays: Mapping[str, np.ndarray]


class Found(NamedTuple):
    """What a fit says of a photo.

    logits: [h, w, 1 + N] float32 on the photo's cells.
    size: (height, width) that the network saw.
    uncertainty: mean over the cells of 1 less what the best class is ahead of the next
        one, in probabilities; from 0 to 1.
    """

    logits: np.ndarray
    size: tuple[int, int]
    uncertainty: float


class Learner:
    """Fits of a few-shot network; one thread uses it."""

    def __init__(self, run: Run, looks: Looks):
        """With a network that learns from examples."""
        self._run, self._looks = run, looks
        self._align = QueryPrediction.of(run).align_corners
        self._sums: OrderedDict[tuple[int, int, str], dict] = OrderedDict()

    def fit(self, examples: Sequence[Example]) -> Fit:
        """Learns.

        Args:
            examples: photos and what is known of them.

        Returns:
            What `scores` takes.

        Raises:
            UserError: too little is known of them.
        """
        examples = list(examples)[-MOST_EXAMPLES:]
        shown = [set(np.unique(e.truth).tolist()) - {IGNORE} for e in examples]
        classes = tuple(sorted(set().union(*shown) - {0})) if shown else ()
        if not classes:
            raise UserError("nothing is marked yet: draw a stroke or a box on a photo")
        if len(classes) == 1 and not any(0 in values for values in shown):
            raise UserError(
                "only one class is marked, and no background: draw a stroke of "
                "background (key 0) or of another class as well, or a box"
            )
        if not self._adds_up:
            return Fit(classes, self._whole(examples, shown, classes))
        parts = [
            (way, self._sum(example, way))
            for example, values in zip(examples, shown, strict=True)
            # One that shows no class tells of the background alone.
            for way in sorted(values - {0}) or [classes[0]]
        ]
        return Fit(classes, _added(parts, classes))

    @property
    def _adds_up(self) -> bool:
        return self._run.config["method"]["name"] == "ridge"

    def _sum(self, example: Example, way: int) -> dict[str, np.ndarray]:
        """What the method makes of one photo for one class."""
        digest = hashlib.blake2b(example.truth.tobytes(), digest_size=16).hexdigest()
        key = example.place, way, digest
        if key not in self._sums:
            batch = self._batch([[example]], [way])
            found = compiled(self._run.method.fit)(
                self._run.params, self._run.model_state, batch
            )
            self._sums[key] = {name: np.asarray(x)[0] for name, x in found.items()}
        self._sums.move_to_end(key)
        while len(self._sums) > MOST_EXAMPLES + 64:
            self._sums.popitem(last=False)
        return self._sums[key]

    def _whole(self, examples, shown, classes) -> dict[str, np.ndarray]:
        rows = [
            [e for e, values in zip(examples, shown, strict=True) if way in values]
            for way in classes
        ]
        rows = [row[-_MOST_AT_ONCE:] for row in rows]
        batch = self._batch(rows, classes)
        found = compiled(self._run.method.fit)(
            self._run.params, self._run.model_state, batch
        )
        return {name: np.asarray(value) for name, value in found.items()}

    def _batch(self, rows, classes) -> dict[str, np.ndarray]:
        """Support fields of one episode, a row of examples for each class."""
        shots = 1 << (max(map(len, rows)) - 1).bit_length()
        side, lead = self._looks.side, (1, len(rows), shots)
        batch = {
            "support_valid": np.tile(np.int32([0, 0, 1, 1]), (*lead, 1)),
            "support_mask": np.full((*lead, side, side), IGNORE, np.int32),
            "shot_valid": np.zeros(lead, bool),
        }
        for way, row in enumerate(rows):
            for shot, example in enumerate(row):
                look = self._looks(example.place)
                seen = self._looks.placed(look)
                if "support_image" not in batch:
                    batch["support_image"] = np.zeros((*lead, *seen.shape), seen.dtype)
                place = 0, way, shot
                height, width = look.size
                truth = example.truth
                others = np.where(truth == 0, 0, IGNORE)
                mask = np.where(truth == classes[way], 1, others)
                batch["support_image"][place] = seen
                batch["support_valid"][place] = self._looks.valid(look)
                batch["support_mask"][place][:height, :width] = mask
                batch["shot_valid"][place] = True
        return batch

    def scores(self, fit: Fit, look: Look) -> Found:
        """What a fit says of a photo."""
        queries = {
            "query_image": self._looks.placed(look)[None, None],
            "query_valid": self._looks.valid(look)[None, None],
        }
        found = compiled(self._run.method.segment)(
            self._run.params, self._run.model_state, dict(fit.arrays), queries
        )
        rows, columns = (-(-n // self._looks.stride) for n in look.size)
        logits = np.asarray(found["logits"], np.float32)[0, 0]
        logits = logits[:rows, :columns, : 1 + len(fit.classes)]
        return Found(logits, look.size, _uncertainty(logits))

    def mask(self, fit: Fit, found: Found, size: tuple[int, int]) -> np.ndarray:
        """The mask of a photo, [H, W] uint8 class ids.

        Args:
            fit: what was learnt.
            found: what it says of the photo.
            size: (H, W).
        """
        ids = np.array([0, *fit.classes], np.uint8)
        y, x = (
            _taps(out, cells, self._align)
            for out, cells in zip(size, found.logits.shape[:2], strict=True)
        )
        wide = _between(found.logits.swapaxes(0, 1), x, slice(None)).swapaxes(0, 1)
        mask = np.empty(size, np.uint8)
        for top in range(0, size[0], _ROWS):  # scores of all would fill the memory
            rows = slice(top, top + _ROWS)
            mask[rows] = ids[_between(wide, y, rows).argmax(-1)]
        return mask


def _taps(size: int, cells: int, align: bool):
    """Of each pixel of a side the cell before it, the next one, and its share."""
    matrix = np.asarray(bilinear_matrix(size, cells, align_corners=align))
    low = (matrix != 0).argmax(1)
    high = np.minimum(low + 1, cells - 1)
    share = np.where(high > low, matrix[np.arange(size), high], 0)
    return low, high, share.astype(np.float32)[:, None, None]


def _between(values: np.ndarray, taps, rows: slice) -> np.ndarray:
    """Values [n, m, J] between their rows, at some pixels: [rows, m, J]."""
    low, high, share = (part[rows] for part in taps)
    first = values[low]
    return first + share * (values[high] - first)


def _uncertainty(logits: np.ndarray) -> float:
    shifted = np.exp(logits - logits.max(-1, keepdims=True))
    chances = np.sort(shifted / shifted.sum(-1, keepdims=True), axis=-1)
    ahead = chances[..., -1] - chances[..., -2]
    return float(np.clip(1 - ahead.mean(), 0, 1))


def _added(parts, classes) -> dict[str, np.ndarray]:
    """What a ridge regression learns of all examples, from what it does of each.

    Sums add up; so do those of squared weights, which the number of cells stands for:
    n = (sum w)^2 / sum w^2.
    """
    ways = 1 << (len(classes) - 1).bit_length()  # few compiled programs
    size = parts[0][1]["moments"].shape[-1]
    moments = np.zeros((1 + ways, size, size), np.float64)
    squares = np.zeros(ways, np.float64)
    for way, found in parts:
        j = classes.index(way)
        ground, own = found["moments"]
        moments[0] += ground
        moments[1 + j] += own
        if found["cells"][0] > 0:
            squares[j] += float(own[-1, -1]) ** 2 / float(found["cells"][0])
    mass = moments[1:, -1, -1]
    cells = np.where(squares > 0, mass**2 / np.where(squares > 0, squares, 1), 0)
    return {
        "moments": moments[None].astype(np.float32),
        "cells": cells[None].astype(np.float32),
    }
