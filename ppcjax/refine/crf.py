"""Dense CRF: labels that agree with where colours change.

Krähenbühl and Koltun, "Efficient Inference in Fully Connected CRFs with Gaussian Edge
Potentials", NIPS 2011. Every pixel is tied to every other by a Gaussian kernel of
their distance and by one of distance and colour; mean field inference filters the
label distributions with both (`ppcjax.refine.lattice`):

    Q_0 = softmax(-U)
    Q_t+1 = softmax(-U + sum_m compat_m F_m Q_t)

with unary energies U and Potts compatibility. Kernels are normalised symmetrically and
a pixel's own contribution counts, as in pydensecrf, whose numbers these are to 1e-4.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from ppcjax.refine.kernels import Kernel, kernel_filter
from ppcjax.refine.pool import ordered_map
from ppcjax.types import UserError

UNARIES = ("probabilities", "labels")


class CrfSettings(NamedTuple):
    """All that a dense CRF depends on beside its inputs.

    gaussian: kernel of positions.
    bilateral: kernel of positions and colours.
    iterations: steps of mean field; 0 returns the normalised unary.
    unary: "probabilities", or "labels" to trust only the argmax.
    clip: probabilities below count as this, in (0, 1].
    confidence: probability that an argmax is right, in (0, 1).
    """

    gaussian: Kernel
    bilateral: Kernel
    iterations: int = 10
    unary: str = "probabilities"
    clip: float = 1e-5
    confidence: float = 0.7


# What the released programs use.
PRESETS: dict[str, CrfSettings] = {
    # SEAM and EPS: CAMs (`with_background`) to labels of the affinity network, and
    # pseudo masks of EPS. EPS itself runs 5 iterations.
    "k1": CrfSettings(Kernel(3, 3), Kernel(80, 10, 13)),
    # PPC: argmax of the CAMs (`with_background`) to labels of the affinity network.
    "k2": CrfSettings(Kernel(3, 3), Kernel(80, 10, 13), unary="labels"),
    # PPC: the "seed + CRF" masks of inference, from the argmax at threshold 0.26.
    "k3": CrfSettings(Kernel(3, 3), Kernel(50, 10, 5), unary="labels"),
    # The segmenter of SSC at test time, from its softmax.
    "k4": CrfSettings(Kernel(3, 3), Kernel(32, 10, 13), iterations=1),
    # DeepLab v2: softmax of the segmenter. PPC imports a function for it that its
    # release lacks; kernels are from the page of EPS, iterations from DeepLab.
    "k5": CrfSettings(Kernel(1, 3), Kernel(67, 4, 3)),
}


def preset(name: str) -> CrfSettings:
    """The settings called `name`; UserError if there are none."""
    if name not in PRESETS:
        raise UserError(f"crf {name!r}: choose one of {', '.join(PRESETS)}")
    return PRESETS[name]


def check_settings(settings: CrfSettings) -> None:
    """Raises UserError for a value outside its range."""
    for field in ("gaussian", "bilateral"):
        kernel = getattr(settings, field)
        deviations = [kernel.sxy] + [kernel.srgb] * (kernel.srgb is not None)
        if not (min(deviations) > 0 and kernel.compat >= 0):
            raise UserError(f"crf.{field}: {kernel}: give positive numbers")
    if settings.iterations < 0:
        raise UserError(f"crf.iterations={settings.iterations}: give 0 or more")
    if settings.unary not in UNARIES:
        raise UserError(
            f"crf.unary={settings.unary!r}: choose one of {', '.join(UNARIES)}"
        )
    if not (0 < settings.clip <= 1 and 0 < settings.confidence < 1):
        raise UserError(
            f"crf: clip {settings.clip} and confidence {settings.confidence} are "
            "probabilities; give numbers between 0 and 1"
        )


def with_background(scores: np.ndarray, alpha: float) -> np.ndarray:
    """Scores whose background is what the foreground leaves.

        background = (1 - max_fg scores)^alpha

    Ahn and Kwak, "Learning Pixel-level Semantic Affinity with Image-level Supervision
    for Weakly Supervised Semantic Segmentation", CVPR 2018. A small alpha gives more
    background: it wins below a score of 0.28 at alpha 4, 0.22 at 6, 0.19 at 8, 0.12 at
    16, 0.09 at 24, 0.08 at 32.

    Args:
        scores: [H, W, C], clipped to 0..1; channel 0 is replaced.
        alpha: exponent, above 0.

    Returns:
        [H, W, C] float32 in [0, 1], not normalised.
    """
    scores = np.clip(scores, 0, 1, dtype=np.float32)
    strongest = scores[..., 1:].max(axis=-1, initial=0.0)
    scores[..., 0] = (1 - strongest) ** np.float32(alpha)
    return scores


def unary_from_probabilities(
    probabilities: np.ndarray, clip: float = 1e-5
) -> np.ndarray:
    """Energies -log p, with p clipped to [clip, 1]; float32 of the same shape."""
    energies = np.clip(probabilities, clip, 1, dtype=np.float32)
    np.log(energies, out=energies)
    return np.negative(energies, out=energies)


def unary_from_labels(
    labels: np.ndarray, num_classes: int, confidence: float = 0.7
) -> np.ndarray:
    """Energies of labels that are right with probability `confidence`.

    The rest spreads evenly over the other classes: the released programs always spread
    it over 20, also where they pass fewer labels.

    Args:
        labels: [...] integers in 0..C-1.
        num_classes: C.
        confidence: in (0, 1).

    Returns:
        [..., C] float32.
    """
    others = (1 - confidence) / max(num_classes - 1, 1)
    energies = np.full((num_classes, num_classes), -np.log(others), np.float32)
    np.fill_diagonal(energies, -np.log(confidence))
    return energies[labels]


def unary(probabilities: np.ndarray, settings: CrfSettings) -> np.ndarray:
    """Energies [..., C] float32 of probabilities [..., C], as the settings say."""
    if settings.unary == "probabilities":
        return unary_from_probabilities(probabilities, settings.clip)
    labels = probabilities.argmax(axis=-1)
    return unary_from_labels(labels, probabilities.shape[-1], settings.confidence)


def refine(
    image: np.ndarray, probabilities: np.ndarray, settings: CrfSettings
) -> np.ndarray:
    """Label distributions of a dense CRF on one photo.

    A photo of 12 megapixels with 3 classes takes less than 4 GB.

    Args:
        image: [H, W, 3] uint8 RGB, of any size.
        probabilities: [H, W, C], softmax of a segmenter or `with_background`; need not
            sum to 1.
        settings: such as PRESETS["k1"].

    Returns:
        [H, W, C] float32, which sums to 1 over classes.

    Raises:
        UserError: a setting outside its range, a deviation too small for the photo,
            or scores of another size than the photo.
    """
    check_inputs(image, probabilities, settings)
    energies = unary(probabilities, settings).reshape(-1, probabilities.shape[-1])
    filters = [
        (kernel.compat, kernel_filter(kernel, image))
        for kernel in (settings.gaussian, settings.bilateral)
    ]
    q = mean_field(energies, filters, settings.iterations)
    return q.reshape(probabilities.shape)


def refine_many(
    jobs: Iterable[tuple[np.ndarray, np.ndarray]],
    settings: CrfSettings,
    workers: int = 0,
) -> Iterator[np.ndarray]:
    """`refine` on many photos, several at a time; results in order.

    Args:
        jobs: image and probabilities of each photo.
        settings: for all.
        workers: processes, each with the memory of one photo; 0: in this one. See
            `ppcjax.refine.pool.ordered_map`.

    Yields:
        [H, W, C] float32 of each job.

    Raises:
        UserError: where `refine` or `ordered_map` raises one.
    """
    check_settings(settings)
    return ordered_map(partial(_refine_job, settings), jobs, workers)


def _refine_job(settings, job):
    return refine(*job, settings)


def check_inputs(
    image: np.ndarray, probabilities: np.ndarray, settings: CrfSettings
) -> None:
    """Raises UserError where `refine` cannot work with its arguments."""
    check_settings(settings)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[-1] != 3:
        raise UserError(
            f"crf: image {image.dtype}{list(image.shape)}: give uint8 [H, W, 3]"
        )
    if probabilities.ndim != 3 or probabilities.shape[:2] != image.shape[:2]:
        raise UserError(
            f"crf: scores {list(probabilities.shape)} for an image of "
            f"{list(image.shape[:2])}: resize them to [H, W, C]"
        )
    if not (image.size and probabilities.size):
        raise UserError("crf: the image or its scores are empty")
    if not np.isfinite(probabilities).all():
        raise UserError("crf: scores are not finite")


def mean_field(
    energies: np.ndarray,
    filters: Sequence[tuple[float, Callable[[np.ndarray], np.ndarray]]],
    iterations: int,
) -> np.ndarray:
    """Approximate marginals of a dense CRF with Potts compatibility.

    Args:
        energies: [P, C] float32 unary energies.
        filters: weights, and normalised filters from [P, C] to [P, C].
        iterations: number of updates.

    Returns:
        [P, C] float32.
    """
    q = _softmax(-energies)
    for _ in range(iterations):
        logits = -energies
        for compat, apply in filters:
            message = apply(q)
            message *= np.float32(compat)
            logits += message
        q = _softmax(logits)
    return q


def _softmax(logits: np.ndarray) -> np.ndarray:
    """Softmax over the last axis of [P, C], in place."""
    logits -= logits.max(axis=1, keepdims=True)
    np.exp(logits, out=logits)
    logits /= logits.sum(axis=1, keepdims=True)
    return logits
