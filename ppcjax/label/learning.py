"""A fit on all that is marked, and what it says of a photo.

What a ridge regression learns of photos are sums, so that of each example they are
computed once and added up; after a stroke a single photo is new. Other methods get
examples as one batch.
"""

import itertools
import zlib
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

from ppcjax.label.looks import Look, Looks
from ppcjax.label.sums import Sums
from ppcjax.ops.resize import bilinear_matrix
from ppcjax.predict import devices
from ppcjax.predict.queries import QueryPrediction
from ppcjax.runs import Run
from ppcjax.types import IGNORE, UserError

ONE_CLASS = (
    "only one class is marked: draw a line of background as well (key 0), or a box"
)
_MOST_AT_ONCE = 16  # photos of a class, of a method whose examples are one batch
_NO_CLASS = -1  # of an example that tells of the background alone
_RECENT = 64 << 20  # bytes of sums of photos that stay in memory, for when they change
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
    left_out: how many examples it was not made of, of a method that takes them at once.
    """

    classes: tuple[int, ...]
    arrays: Mapping[str, np.ndarray]
    left_out: int


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


class _Held(NamedTuple):
    """An example in little memory, and the classes of which it was added."""

    packed: bytes
    size: tuple[int, int]
    shown: frozenset[int]
    ways: tuple[int, ...]
    masses: tuple[float, ...]

    @property
    def truth(self) -> np.ndarray:
        return np.frombuffer(zlib.decompress(self.packed), np.uint8).reshape(self.size)


class Learner:
    """Fits of a few-shot network on the examples that it was given; for one thread.

    adds_up: whether it matters in no way in which order examples are put.
    """

    def __init__(self, run: Run, looks: Looks):
        """With a network that learns from examples."""
        self._run, self._looks = run, looks
        self._align = QueryPrediction.of(run).align_corners
        self.adds_up = run.config["method"]["name"] == "ridge"
        self._examples: OrderedDict[int, _Held] = OrderedDict()
        self._sums = Sums()
        self._recent: OrderedDict[int, list[dict]] = OrderedDict()

    def put(self, example: Example) -> None:
        """Learns from a photo from now on, in the place of what was known of it.

        Args:
            example: the photo; the last ones that were put count where not all do.

        Raises:
            UserError: the photo cannot be read, and is no example now.
        """
        self.drop(example.place)
        values = np.unique(example.truth).tolist()
        shown = frozenset(values) - {IGNORE}
        ways = tuple(sorted(shown - {0})) or (_NO_CLASS,)
        self._looks(example.place)  # which may fail
        packed = zlib.compress(np.ascontiguousarray(example.truth), 1)
        held = _Held(packed, example.truth.shape, shown, ways, ())
        if self.adds_up:
            found = self._parts(example.place, held)
            self._add(held, found)
            held = held._replace(masses=_masses(found))
            self._recent[example.place] = found
            while sum(map(_size, self._recent.values())) > _RECENT:
                self._recent.popitem(last=False)
        self._examples[example.place] = held

    def drop(self, place: int) -> None:
        """Learns no more from a photo, if it did."""
        held = self._examples.pop(place, None)
        if held is None or not self.adds_up:
            return
        try:
            found = self._recent.pop(place, None) or self._parts(place, held)
        except UserError:
            found = []
        if _masses(found) == held.masses:
            self._add(held, found, -1)
        else:  # the photo is gone, or is another one
            self._add_anew()

    def _add(self, held: _Held, found, sign: int = 1) -> None:
        for way, part in zip(held.ways, found, strict=True):
            self._sums.add(way, part, sign)

    def _add_anew(self) -> None:
        """Adds up all examples again, but those whose photos are gone."""
        self._sums = Sums()
        for place, held in list(self._examples.items()):
            try:
                found = self._recent.get(place) or self._parts(place, held)
            except UserError:
                del self._examples[place]
                continue
            self._add(held, found)
            self._examples[place] = held._replace(masses=_masses(found))

    def _parts(self, place: int, held: _Held) -> list[dict[str, np.ndarray]]:
        """What the method makes of one photo, for each class that it shows."""
        parts, example = [], Example(place, held.truth)
        for way in held.ways:
            found = self._fitted(self._batch([[example]], [way]))
            parts.append({name: value[0] for name, value in found.items()})
        return parts

    def fit(self, examples: Iterable[Example] = ()) -> Fit:
        """Learns from all examples.

        Args:
            examples: further ones, which are put before.

        Returns:
            What `scores` takes.

        Raises:
            UserError: too little is known of them.
        """
        for example in examples:
            self.put(example)
        shown = set().union(*(held.shown for held in self._examples.values()))
        classes = tuple(sorted(shown - {0}))
        if not classes:
            raise UserError("nothing is marked yet: draw a stroke or a box on a photo")
        if len(classes) == 1 and 0 not in shown:
            raise UserError(ONE_CLASS)
        if self.adds_up:
            return Fit(classes, self._sums.of(classes), 0)
        rows = [self._last_with(way) for way in classes]
        used = {example.place for row in rows for example in row}
        arrays = self._fitted(self._batch(rows, classes))
        return Fit(classes, arrays, len(self._examples) - len(used))

    def _last_with(self, way: int) -> list[Example]:
        """The last examples that show a class, the oldest first."""
        last = (
            Example(place, held.truth)
            for place, held in reversed(self._examples.items())
            if way in held.shown
        )
        return list(itertools.islice(last, _MOST_AT_ONCE))[::-1]

    def _fitted(self, batch) -> dict[str, np.ndarray]:
        found = devices.compiled(self._run.method.fit, self._run.method)(
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
        found = devices.compiled(self._run.method.segment, self._run.method)(
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


def _masses(found) -> tuple[float, ...]:
    """What tells sums from others."""
    return tuple(float(np.sum(part["moments"])) for part in found)


def _size(found) -> int:
    """Bytes of the sums of a photo."""
    return sum(part["moments"].nbytes for part in found)
