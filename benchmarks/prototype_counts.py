"""Counts of what `benchmarks.prototypes` finds, batch by batch."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ppcjax.types import IGNORE

# What labels a pixel -> what it is, for readers.
KINDS = {
    "pseudo": "pseudo labels, tags told",
    "nearest": "nearest prototype",
    "nearest_told": "nearest prototype of a class that the photo has",
    "nearest_tagged": "nearest prototype, made of photos tagged with its class",
    "nearest_other": "nearest prototype of the second view",
    "nearest_true": "nearest prototype, made of true masks",
    "nearest_true_told": "the same, of a class that the photo has",
}


class Photo(NamedTuple):
    """A photo that is drawn, and what was found of it.

    image: [H, W, 3] uint8.
    mask: [H, W] true class ids, or IGNORE.
    labels: [h, w] pseudo labels.
    near: [h, w, C] cosines to the prototypes of its batch.
    """

    image: np.ndarray
    mask: np.ndarray
    labels: np.ndarray
    near: np.ndarray


class Counts(NamedTuple):
    """Sums over batches; C classes.

    classes: their names.
    confusion: [C, C] pixels of a true class that got a label, by KINDS.
    in_photos: [C, 2] pixels of photos tagged with a class, and those that got its
        label, by KINDS.
    near: [C, 2] sums of the cosine to the own class's prototype and to the nearest
        other, by what the prototypes are made of.
    made_of: [C, C] pixels of a prototype by true class, where a photo of its batch is
        tagged with the class, by what the prototypes are made of.
    batches: [C + 1] batches in which a class is tagged, and all.
    """

    classes: tuple[str, ...]
    confusion: dict[str, np.ndarray]
    in_photos: dict[str, np.ndarray]
    near: dict[str, np.ndarray]
    made_of: dict[str, np.ndarray]
    batches: np.ndarray

    @classmethod
    def empty(cls, classes: tuple[str, ...]) -> "Counts":
        """Nothing counted yet."""
        size = len(classes)
        return cls(classes, {}, {}, {}, {}, np.zeros(size + 1))

    def add(self, found: Any, tags: np.ndarray) -> None:
        """Adds a batch.

        Args:
            found: a `benchmarks.prototypes.Looked` of NumPy arrays.
            tags: [B, C] in {0, 1}.
        """
        tagged = tags.any(0)
        self.batches[:] += [*tagged, 1]
        for name, labels in _labels(found, tags).items():
            self._add_labels(name, labels, found.truth, tags > 0)
        known = found.truth != IGNORE
        truth = found.truth[known]
        for name in ("own", "tagged", "true"):
            near = found.near[name][known]
            own = np.take_along_axis(near, truth[:, None], 1)[:, 0]
            np.put_along_axis(near, truth[:, None], -np.inf, 1)
            sums = self.near.setdefault(name, np.zeros((len(self.classes), 2)))
            np.add.at(sums, truth, np.stack([own, near.max(1)], 1))
        size = len(self.classes)
        for name in ("own", "tagged"):
            counts = self.made_of.setdefault(name, np.zeros((size, size)))
            for c in np.flatnonzero(tagged):
                inside = found.made_of[name][..., c] & known
                counts[c] += np.bincount(found.truth[inside], minlength=size)

    def _add_labels(self, name, labels, truth, tags) -> None:
        size = len(self.classes)
        known = truth != IGNORE
        pairs = truth[known] * size + labels[known]
        counts = np.bincount(pairs, minlength=size * size).reshape(size, size)
        self.confusion[name] = self.confusion.get(name, 0) + counts
        pixels = known.sum((1, 2))
        hits = [((labels == c) & known).sum((1, 2)) for c in range(size)]
        in_photos = [
            [pixels[tags[:, c]].sum(), hits[c][tags[:, c]].sum()] for c in range(size)
        ]
        self.in_photos[name] = self.in_photos.get(name, 0) + np.array(in_photos)

    def results(self) -> dict[str, Any]:
        """All that is found, as JSON types; shares in 0 to 1, None where undefined."""
        pixels = self.confusion["pseudo"].sum(1)
        near = {
            name: self._named(_ratio(sums, pixels[:, None]))
            for name, sums in self.near.items()
        }
        made_of = {
            name: self._named(_ratio(counts, counts.sum(1, keepdims=True)))
            for name, counts in self.made_of.items()
        }
        return {
            "pixels": int(pixels.sum()),
            "batches": int(self.batches[-1]),
            "true_share": self._named(_ratio(pixels, pixels.sum())),
            "labels": {
                name: self._of_labels(counts, self.in_photos[name])
                for name, counts in self.confusion.items()
            },
            "cosines": near,
            "made_of": made_of,
            "tagged_batches": self._named(self.batches[:-1] / self.batches[-1]),
        }

    def _of_labels(self, counts, in_photos) -> dict[str, Any]:
        true, found, right = counts.sum(1), counts.sum(0), np.diag(counts)
        there = true > 0
        recall = _ratio(right, true)
        chance = _ratio(in_photos[:, 1], in_photos[:, 0])
        iou = _ratio(right, true + found - right)
        total = counts.sum()
        return {
            "accuracy": float(right.sum() / total),
            "mean_recall": float(recall[there].mean()),
            "mean_chance": float(np.nan_to_num(chance[there]).mean()),
            "mean_iou": float(iou[there].mean()),
            "foreground": float(found[1:].sum() / total),
            "true_foreground": float(true[1:].sum() / total),
            "recall": self._named(recall),
            "chance": self._named(chance),
            "found_share": self._named(found / total),
            "confusion": _ratio(counts, true[:, None]).tolist(),
        }

    def _named(self, values: np.ndarray) -> dict[str, Any]:
        """Values by class, None for what is undefined."""
        return dict(zip(self.classes, _plain(values), strict=True))


def _labels(found: Any, tags: np.ndarray) -> Mapping[str, np.ndarray]:
    """[B, h, w] class ids, by KINDS."""
    told = tags[:, None, None, :] > 0
    labels = {"pseudo": found.labels, "nearest": found.near["own"].argmax(-1)}
    labels["nearest_told"] = np.where(told, found.near["own"], -2).argmax(-1)
    labels["nearest_tagged"] = found.near["tagged"].argmax(-1)
    if "other" in found.near:
        labels["nearest_other"] = found.near["other"].argmax(-1)
    labels["nearest_true"] = found.near["true"].argmax(-1)
    labels["nearest_true_told"] = np.where(told, found.near["true"], -2).argmax(-1)
    return labels


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(np.asarray(whole) > 0, part / np.asarray(whole), np.nan)


def _plain(values: np.ndarray) -> list[Any]:
    """As lists, with None in the place of NaN."""
    if values.ndim > 1:
        return [_plain(row) for row in values]
    return [None if np.isnan(v) else round(float(v), 4) for v in values]
