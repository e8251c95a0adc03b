"""The dense CRF on a stream of predictions, several photos at a time."""

import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from ppcjax.predict.prediction import Prediction
from ppcjax.refine import crf
from ppcjax.refine.pool import ordered_map


class Background(NamedTuple):
    """How likely the background is beside activation maps, which say nothing of it.

        background = (1 - best score)^alpha

    threshold: in [0, 1), below which the background is the likelier: it sets alpha.
    alpha: if given, counts instead of the threshold.
    """

    threshold: float
    alpha: float | None = None

    @property
    def exponent(self) -> float:
        """The alpha of `crf.with_background`."""
        if self.alpha is not None:
            return self.alpha
        if self.threshold <= 0:
            return math.inf
        return math.log(self.threshold) / math.log1p(-self.threshold)


def class_distribution(
    prediction: Prediction, background: Background
) -> tuple[np.ndarray, np.ndarray]:
    """What a prediction says of each pixel, over the classes that it can show.

    Args:
        prediction: activation maps or probabilities.
        background: used for activation maps.

    Returns:
        Class ids [K], the background's 0 first, and scores [H, W, K] float32 in
        0..1, which need not sum to 1.
    """
    if prediction.probabilities is not None:
        return np.arange(prediction.scores.shape[-1]), prediction.probabilities
    ids = np.flatnonzero(prediction.tags | (np.arange(len(prediction.tags)) == 0))
    return ids, crf.with_background(prediction.scores[..., ids], background.exponent)


def refine_predictions(
    predictions: Iterable[Prediction],
    settings: crf.CrfSettings,
    background: Background,
    *,
    workers: int = 0,
) -> Iterator[Prediction]:
    """Predictions whose probabilities are those of the dense CRF.

    Args:
        predictions: read as they are needed.
        settings: kernels and steps of the CRF.
        background: used for activation maps.
        workers: processes, see `ordered_map`.

    Yields:
        A prediction for each, in order.
    """
    crf.check_settings(settings)
    jobs = ((p, settings, background) for p in predictions)
    return ordered_map(_refine, jobs, workers)


def _refine(job) -> Prediction:
    prediction, settings, background = job
    ids, scores = class_distribution(prediction, background)
    refined = crf.refine(prediction.example.image, scores, settings)
    probabilities = np.zeros(prediction.scores.shape, np.float32)
    probabilities[..., ids] = refined
    refined = Prediction.of_probabilities(prediction.example, probabilities)
    return refined._replace(labels=prediction.labels)


def with_affinity_labels(
    predictions: Iterable[Prediction],
    backgrounds: tuple[Background, Background],
    settings: crf.CrfSettings | None = None,
    *,
    workers: int = 0,
) -> Iterator[Prediction]:
    """Predictions with the two masks that an affinity network learns from.

    Args:
        predictions: activation maps.
        backgrounds: one that wins often, and one that wins seldom.
        settings: CRF on both masks; None: without one.
        workers: processes, see `ordered_map`.

    Yields:
        Each prediction with its `labels`.
    """
    jobs = ((p, backgrounds, settings) for p in predictions)
    return ordered_map(_affinity_labels, jobs, workers)


def _affinity_labels(job) -> Prediction:
    prediction, backgrounds, settings = job
    masks = []
    for background in backgrounds:
        ids, scores = class_distribution(prediction, background)
        if settings is not None:
            scores = crf.refine(prediction.example.image, scores, settings)
        masks.append(ids[scores.argmax(-1)].astype(np.uint8))
    return prediction._replace(labels=tuple(masks))
