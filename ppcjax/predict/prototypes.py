"""Classes that were learnt from a few masked photos, and photos segmented by them."""

import dataclasses
import functools
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar, overload

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.special import softmax

from ppcjax.data_pipelines import large
from ppcjax.predict import by_examples
from ppcjax.predict.images import PhotoLike, as_image, is_one
from ppcjax.predict.none_of_these import similarity_scale, take_out
from ppcjax.predict.photos import Segmentation, example
from ppcjax.predict.prediction import Prediction
from ppcjax.predict.queries import query_stride
from ppcjax.runs import Run, checked
from ppcjax.runs.single import write_own
from ppcjax.types import UserError
from ppcjax.weights.readers.npz import read_arrays

BACKGROUND = "background"
_P = TypeVar("_P", bound=PhotoLike)


@dataclasses.dataclass(frozen=True)
class Prototypes:
    """What a network learnt from a few masked photos.

    run: network that compares photos with the prototypes.
    arrays: prototypes as the method made them, each [1, ...].
    names: names of the N classes.
    size: longer side of photos in the network, pixels.
    least: similarity of each class below which a photo shows none of it, see
        `ppcjax.predict.none_of_these`; empty: every photo shows what it shows most.
    """

    run: Run
    arrays: dict[str, np.ndarray]
    names: tuple[str, ...]
    size: int
    least: tuple[float, ...] = ()

    @property
    def classes(self) -> tuple[str, ...]:
        """Names by class id, "background" first."""
        return (BACKGROUND, *self.names)

    def logits(self, photo: PhotoLike) -> npt.NDArray[np.float32]:
        """Scores of each pixel.

        Args:
            photo: array, PIL image or path, see `as_image`.

        Returns:
            [H, W, 1 + N] float32, the background's first.
        """
        image = as_image(photo)
        small = by_examples.shrunk(image, self.size, Image.Resampling.BICUBIC)
        logits = by_examples.scores(
            self.run, self.arrays, small, image.shape[:2], stride=self._stride
        )
        if not self.least:
            return logits
        return take_out(logits, similarity_scale(self.run), self.least)

    @functools.cached_property
    def _stride(self) -> int:
        return query_stride(self.run)

    def predict(self, photo: PhotoLike) -> npt.NDArray[np.uint8]:
        """Mask [H, W] of a photo: 0 background, j the j-th class; see `segment`."""
        if not is_one(photo):
            raise UserError("predict takes one photo; segment takes a list of them")
        return self.segment(photo).mask

    @overload
    def segment(self, photos: PhotoLike) -> Segmentation: ...

    @overload
    def segment(
        self, photos: list[_P] | tuple[_P, ...] | Iterator[_P]
    ) -> list[Segmentation]: ...

    def segment(self, photos: Any) -> Any:
        """What photos show, as `Predictor.predict` of a trained run says it.

        Args:
            photos: [H, W, 3] uint8 RGB array of any size, PIL image or path; or a list
                or an iterator of these.

        Returns:
            A Segmentation at the photo's own size; for a list, a list of them. Scores
            are of the classes against the background, so that the mask is where the
            largest exceeds 0.5.

        Raises:
            UserError: a photo has another type or shape.
        """
        if is_one(photos):
            return self._segment(0, photos, "the photo")
        return [self._segment(i, one, f"photo {i}") for i, one in enumerate(photos)]

    def _segment(self, index: int, photo: Any, name: str) -> Segmentation:
        read = example(index, photo, name)
        logits = self.logits(read.image)
        found = Prediction.of_probabilities(
            read, softmax(logits, axis=-1).astype(np.float32)
        )
        mask = logits.argmax(-1).astype(np.uint8)
        shown = np.flatnonzero(np.bincount(mask.ravel())[1:]) + 1
        return Segmentation(
            mask=large.nearest(mask, read.full_size),
            scores=found.scores,
            tags=tuple(self.classes[c] for c in shown),
        )

    def save(self, path: str | Path) -> None:
        """Writes an .npz file; it names the run and holds no network.

        Raises:
            UserError: a file of others is there, or it cannot be written.
        """
        write_own(path, self.as_file(), _is_ours)

    def as_file(self) -> bytes:
        """What `save` writes."""
        meta = {
            "run": str(self.run.folder),
            "step": self.run.step,
            "names": self.names,
            "size": self.size,
            "none_of_these": self.least,
        }
        if self.run.untrained:
            meta["config"] = self.run.config
        content = io.BytesIO()
        np.savez_compressed(content, meta=json.dumps(meta), **self.arrays)
        return content.getvalue()


def _is_ours(path: Path) -> bool:
    """Whether a file is one that `Prototypes.save` wrote."""
    meta = checked.parse(str(read_arrays(path)["meta"]))
    return {"run", "step", "names", "size"} <= set(meta)
