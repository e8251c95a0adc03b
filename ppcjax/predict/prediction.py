"""What a network, or a stage after it, says of a photo, and the mask it comes to."""

from typing import Any, NamedTuple

import numpy as np


class Prediction(NamedTuple):
    """Scores of one image.

    example: what was predicted, as it came.
    scores: [H, W, C] float32 at the image's size, mostly in [0, 1]; zero for the
        background. Of activation maps also zero for classes the image is not tagged
        with; of class probabilities, see `against_background`.
    tags: [C] bool classes the image shows: given, else predicted.
    probabilities: [H, W, C] float32 where the network or a refinement gives them.
    labels: [H, W] uint8 classes at a low and at a high alpha, which an affinity network
        learns from; None where nobody asked for them.
    """

    example: Any
    scores: np.ndarray
    tags: np.ndarray
    probabilities: np.ndarray | None = None
    labels: tuple[np.ndarray, np.ndarray] | None = None

    @classmethod
    def of_probabilities(cls, example: Any, probabilities: np.ndarray) -> "Prediction":
        """A prediction whose masks are the arg-max, at the threshold 0.5."""
        shown = np.bincount(
            probabilities.argmax(-1).ravel(), minlength=probabilities.shape[-1]
        )
        tags = shown > 0
        tags[0] = True
        if example.tags is not None:
            tags = np.asarray(example.tags) > 0
        return cls(example, against_background(probabilities), tags, probabilities)


class Finished(NamedTuple):
    """A photo whose prediction is there already: it only keeps its place in a batch.

    Photos that share a batch share a program, and results of another program differ in
    their last digits.

    id: name of the photo.
    image: [H, W, 3] uint8 of its size, without content.
    """

    id: str
    image: np.ndarray
    tags: None = None
    mask: None = None
    full_size: None = None

    @classmethod
    def of(cls, name: str, size: tuple[int, int]) -> "Finished":
        """A photo of (rows, columns)."""
        return cls(name, np.broadcast_to(np.uint8(0), (*size, 3)))


def usual_threshold(gives: str) -> float:
    """Score above which a pixel is foreground where nobody has chosen one.

    Args:
        gives: kind of the network's prediction; of probabilities, 0.5 is the arg-max.
    """
    return 0.26 if gives == "maps" else 0.5


def score_levels(
    scores: np.ndarray, thresholds: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """How many thresholds each pixel's best foreground score exceeds, and its class.

    The pixel is foreground at `thresholds[k]` exactly where level > k.

    Args:
        scores: [..., C] float32; channel 0, the background, is not read.
        thresholds: [K] float32, ascending.

    Returns:
        level [...] int64 in 0..K and class [...] int64 in 1..C-1; ties go to the
        lower class.
    """
    best = scores[..., 1:].argmax(-1) + 1
    score = np.take_along_axis(scores, best[..., None], -1)[..., 0]
    return np.searchsorted(thresholds, score, side="left"), best


def predict_mask(scores: np.ndarray, threshold: float) -> np.ndarray:
    """Class of each pixel: argmax([threshold, scores]), ties to background.

    Args:
        scores: [..., C] float32; channel 0 is not read.
        threshold: in score units.

    Returns:
        [...] uint8 class ids.
    """
    level, best = score_levels(scores, np.asarray([threshold], np.float32))
    return np.where(level > 0, best, 0).astype(np.uint8)


def uncertainty(scores: np.ndarray, threshold: float) -> float:
    """How undecided the mask of a photo is: 0 certain, 1 undecided everywhere.

    Scores are stretched so that the threshold becomes 1/2, from where on the best class
    is likelier than the background, which gets what is missing to 1:

        r_c = s_c / 2t                  where s_c <= t
              1 - (1 - s_c) / 2(1 - t)  else
        r_0 = 1 - max_c r_c
        uncertainty = mean over pixels of 1 - (largest r - second largest r)

    A pixel is certain where one class scores 1, or none scores anything, and undecided
    where two are alike. Of probabilities the threshold is 0.5, and r the scores.

    Args:
        scores: [H, W, C] float32, as in `Prediction`; channel 0 is not read.
        threshold: that of the mask, in [0, 1).

    Returns:
        A number in [0, 1].
    """
    best, second = _two_largest(scores[..., 1:])
    if threshold != 0.5:  # at which nothing is stretched
        best, second = (_stretched(x, threshold) for x in (best, second))
    best, second = (np.clip(x, 0, 1) for x in (best, second))
    # The background has 1 - best: below 1/2 it is the likeliest, and the best second.
    ahead = np.minimum(2 * best - 1, best - second)
    margin = np.where(best >= 0.5, ahead, 1 - 2 * best)
    return float(1 - margin.mean(dtype=np.float64))


def _two_largest(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The largest of scores [..., K] and the second largest; 0 where there is none."""
    if scores.shape[-1] > 2:
        two = np.partition(scores, -2, axis=-1)
        return two[..., -1], two[..., -2]
    nothing = np.zeros(scores.shape[:-1], np.float32)
    columns = [*np.moveaxis(scores, -1, 0), nothing, nothing]
    return np.maximum(*columns[:2]), np.minimum(*columns[:2])


def _stretched(scores: np.ndarray, threshold: float) -> np.ndarray:
    """Scores in which the threshold is 1/2, 0 and 1 staying."""
    below = scores / max(2 * threshold, np.finfo(np.float32).tiny)
    above = 1 - (1 - scores) / (2 * (1 - threshold))
    return np.where(scores <= threshold, np.minimum(below, 0.5), above)


def against_background(probabilities: np.ndarray) -> np.ndarray:
    """Scores of the classes against the background, for a threshold.

        score_c = p_c / (p_0 + max_fg p)

    The best class is the likeliest one, and exceeds 1/2 where it is likelier than the
    background: at the threshold 0.5 the mask is the arg-max.

    Args:
        probabilities: [..., C] >= 0, background first.

    Returns:
        [..., C] float32 in [0, 1]; 0 for the background and where all is 0.
    """
    p = np.array(probabilities, np.float32)
    rest = p[..., :1] + p[..., 1:].max(-1, keepdims=True, initial=0)
    p[..., 0] = 0
    return p / np.maximum(rest, np.finfo(np.float32).tiny)
