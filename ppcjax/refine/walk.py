"""The random walk on a stream of examples, from scores that an earlier stage wrote."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Annotated, Any

import jax
import numpy as np
from PIL import Image

from ppcjax.fields import Range, kinds
from ppcjax.ops.affinity import radius_of
from ppcjax.predict.canvases import PROBE, canvas_size, scaled_side
from ppcjax.predict.prediction import Prediction
from ppcjax.refine.random_walk import walk_images
from ppcjax.types import Method, UserError


@dataclasses.dataclass(frozen=True, kw_only=True)
class WalkSettings:
    """How scores walk; the defaults are those of PPC.

    background: constant score of the background; None: the threshold at which the
        masks were made of the scores, see `of_scores`. PPC has 0.27 for both.
    alpha: the background scores (1 - best score)^alpha instead, if given.
    power: exponent of the affinity.
    steps: steps of the walk.
    max_side: longest side at which photos walk; longer ones are shrunk to it.
    canvas_steps: canvas sizes per octave; fewer compile less and pad more.
    """

    background: kinds.Share | None = None
    alpha: Annotated[float, Range(above=0, most=1000)] | None = None
    power: Annotated[float, Range(above=0, most=1000)] = 8
    steps: Annotated[int, Range(1, 10**4)] = 64
    max_side: kinds.Side = 1024
    canvas_steps: Annotated[int, Range(1, 64)] = 4

    def __post_init__(self):
        """Raises UserError for two scores of the background."""
        if self.background is not None and self.alpha is not None:
            raise UserError(
                f"eval.background={self.background:g} and eval.alpha={self.alpha:g}: "
                "both say what the background scores; set one to None"
            )

    def of_scores(self, threshold: float) -> "WalkSettings":
        """The settings for scores whose masks were made at a threshold."""
        if self.background is not None or self.alpha is not None:
            return self
        return dataclasses.replace(self, background=threshold)


def walk_predictions(
    method: Method,
    params: Any,
    model_state: Any,
    examples: Iterable[Any],
    read_scores: Callable[[str], tuple[np.ndarray, np.ndarray]],
    settings: WalkSettings,
    *,
    num_classes: int,
) -> Iterator[Prediction]:
    """Scores of images, carried along the affinities that a network predicts.

    Args:
        method: gives "affinity".
        params: parameters of the method.
        model_state: state of the method.
        examples: each with `id`, `image` [H, W, 3] uint8 and `tags` [C] or None.
        read_scores: id -> classes [K] and their scores [K, H, W] in 0..1.
        settings: how scores walk, with what the background scores.
        num_classes: number of classes, the background included.

    Yields:
        A prediction of each example, in order, whose masks are the arg-max.
    """
    params, model_state = jax.device_put((params, model_state))
    canvas = partial(canvas_size, steps=settings.canvas_steps)
    stride = _stride(method.predict, params, model_state)
    for example in examples:
        classes, scores = read_scores(example.id)
        height, width = example.image.shape[:2]
        factor = min(1.0, settings.max_side / max(height, width))
        size = scaled_side(height, factor), scaled_side(width, factor)
        image = np.asarray(
            Image.fromarray(example.image).resize(size[::-1], Image.Resampling.BICUBIC)
        )
        sides = canvas(size[0]), canvas(size[1])
        # A power of two, so that the number of classes shown compiles few programs.
        maps = np.zeros((*sides, 1 << int(len(classes)).bit_length()), np.float32)
        for k, plane in enumerate(scores, start=1):
            maps[: size[0], : size[1], k] = _resized(plane, size, Image.Resampling.BOX)
        walked = _walk(
            method.predict,
            params,
            model_state,
            _on_canvas(image, sides)[None],
            maps[None],
            np.array([size], np.int32),
            settings,
            stride,
        )
        walked = np.asarray(walked)[0, : size[0], : size[1]]
        probabilities = np.zeros((height, width, num_classes), np.float32)
        for c, plane in zip((0, *classes), np.moveaxis(walked, -1, 0), strict=False):
            probabilities[..., c] = _resized(
                plane, (height, width), Image.Resampling.BILINEAR
            )
        yield Prediction.of_probabilities(example, probabilities)


def _stride(predict, params, model_state):
    """Pixels per cell of the affinity."""
    batch = {
        "image": jax.ShapeDtypeStruct((1, PROBE, PROBE, 3), np.uint8),
        "valid": jax.ShapeDtypeStruct((1, 4), np.int32),
    }
    output = jax.eval_shape(predict, params, model_state, batch)
    return round(PROBE / output["affinity"].shape[2])


@partial(jax.jit, static_argnums=(0, 6, 7))
def _walk(predict, params, model_state, images, scores, extent, settings, stride):
    valid = jax.numpy.concatenate([jax.numpy.zeros_like(extent), extent], axis=1)
    output = predict(params, model_state, {"image": images, "valid": valid})
    affinity = output["affinity"]
    return walk_images(
        affinity,
        scores,
        extent,
        stride=stride,
        radius=radius_of(affinity.shape[1]),
        background=settings.background or 0.0,  # where alpha is given it has no say
        alpha=settings.alpha,
        power=_whole(settings.power),
        steps=settings.steps,
    )


def _whole(power: float) -> float | int:
    """A whole exponent as an int: it is multiplied out, which is quicker and exact."""
    return int(power) if power == int(power) else power


def _on_canvas(image, sides):
    height, width = image.shape[:2]
    canvas = np.zeros((*sides, 3), np.uint8)
    canvas[:height, :width] = image
    return canvas


def _resized(plane, size, resampling):
    """A [H, W] map at another size, where that differs."""
    plane = np.ascontiguousarray(plane, np.float32)
    if plane.shape == size:
        return plane
    return np.asarray(Image.fromarray(plane).resize(size[::-1], resampling))
