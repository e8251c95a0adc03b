"""Masks of single photos from a trained run, for use from Python."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ppcjax.evaluate.masks.evaluation import (
    Run,
    load_run,
    predict_run,
    recorded_threshold,
)
from ppcjax.evaluate.masks.metric import predict_mask
from ppcjax.types import UserError


class Segmentation(NamedTuple):
    """What a photo shows.

    mask: [H, W] uint8 class ids; 0 is the background.
    scores: [H, W, C] float32, see `ppcjax.predict.tta.Prediction`.
    tags: names of the classes shown: given, else predicted.
    """

    mask: np.ndarray
    scores: np.ndarray
    tags: tuple[str, ...]


class _Photo(NamedTuple):
    id: str
    image: np.ndarray
    tags: np.ndarray | None
    mask: None = None


class Predictor:
    """A trained network that segments photos of any size; made by `ppcjax.load`.

    classes: names by class id, "background" first.
    threshold: score above which a pixel is foreground.
    """

    def __init__(self, run: Run):
        """From a restored run of a method that gives scores or logits."""
        if run.kind == "affinity":
            raise UserError(
                f"{run.folder} holds an affinity network, which needs the scores of "
                "another run; use eval.py --ckpt ... --cams ..."
            )
        self._run = run
        self.classes = run.classes
        self.threshold = run.threshold

    def predict(
        self, image: np.ndarray, tags: Iterable[str] | None = None
    ) -> Segmentation:
        """Segments one photo.

        Args:
            image: [H, W, 3] uint8 RGB, of any size.
            tags: names of the classes that it shows, where they are known; the
                others then score 0 on activation maps.

        Returns:
            Mask and scores at the photo's own size.

        Raises:
            UserError: the image has another type or shape, or a tag is unknown.
        """
        image = np.asarray(image)
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[-1] != 3:
            raise UserError(
                f"image is {image.dtype} {list(image.shape)}; give uint8 [H, W, 3]"
            )
        if not image.size:
            raise UserError(f"image is empty: {list(image.shape)}")
        photo = _Photo("photo", image, None if tags is None else self._encode(tags))
        (found,) = predict_run(self._run, [photo])
        shown = np.flatnonzero(found.tags[1:]) + 1
        return Segmentation(
            mask=predict_mask(found.scores, self.threshold),
            scores=found.scores,
            tags=tuple(self.classes[c] for c in shown),
        )

    def _encode(self, tags: Iterable[str]) -> np.ndarray:
        vector = np.zeros(len(self.classes), np.float32)
        vector[0] = 1
        for name in [tags] if isinstance(tags, str) else tags:
            if name not in self.classes:
                raise UserError(
                    f"unknown tag {name!r}; the classes are {', '.join(self.classes)}"
                )
            vector[self.classes.index(name)] = 1
        return vector


def load(run: str | Path, *, threshold: float | None = None) -> Predictor:
    """Restores a run for prediction.

    Args:
        run: RUN, RUN/checkpoints or RUN/checkpoints/STEP.
        threshold: score above which a pixel is foreground; None: what evaluation
            chose on the validation split, else the config's.

    Raises:
        UserError: there is no checkpoint.
    """
    restored = load_run(run, threshold=threshold)
    if threshold is None:
        chosen = recorded_threshold(restored)
        restored = restored._replace(
            threshold=chosen["threshold"] if chosen else restored.threshold
        )
    return Predictor(restored)
