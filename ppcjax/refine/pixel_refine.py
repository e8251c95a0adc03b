"""Pixel refinement: maps that spread to near pixels of like colour.

Ru et al., "Learning Affinity from Attention: End-to-End Weakly-Supervised Semantic
Segmentation with Transformers" (AFA), CVPR 2022, where it is called pixel-adaptive
refinement. Every pixel i takes, turn by turn, a mean over 48 neighbours j, which lie on
squares of six sizes around it:

    map_i <- sum_j w_ij map_j,  w = softmax_j(kappa) + 0.01 softmax_j(pi)
    kappa_ij = -mean over channels of (|I_j - I_i| / (sd_i + 1e-8) / 0.3)^2
    pi_j = -(delta_j / (sd_delta + 1e-8) / 0.3)^2

with sd_i the deviation of a channel over the neighbours of i, delta_j their distance
and sd_delta its deviation. Beyond the border lies the nearest pixel of the photo.
Nothing is learnt, and classes do not compete: each map is spread by itself.

The weights of a pixel sum to 1.01, so that published maps grow by a tenth in ten turns.
"""

import math
from collections.abc import Iterable, Iterator
from functools import partial

import chex
import jax
import jax.numpy as jnp
import numpy as np

from ppcjax.ops.resize import resize
from ppcjax.predict.canvases import canvas_size
from ppcjax.predict.prediction import Prediction
from ppcjax.types import UserError

DILATIONS = (1, 2, 4, 8, 12, 24)  # pixels, of the six squares
_POSITIONS = 0.01  # weight of the distances
_SUM = 1 + _POSITIONS  # of all weights of a pixel
_WIDTH = 0.3  # deviations that weigh 1/e
_EPSILON = 1e-8
_ALIKE = 1e-5  # deviation, as a share of the mean, that is of rounding


def refine(
    image: np.ndarray,
    maps: np.ndarray,
    turns: int = 10,
    *,
    scale: float = 1.0,
) -> np.ndarray:
    """Maps of one photo, spread along its colours, in their own range.

    Each turn is divided by the 1.01 that its weights sum to. A background of constant
    score grows as the maps do where it is refined with them, so that masks are those of
    the published form, and thresholds keep their meaning.

    Memory is linear in the number of pixels; few programs are compiled for photos of
    many sizes.

    Args:
        image: [H, W, 3] uint8 RGB.
        maps: [H, W, C] scores or probabilities.
        turns: how often maps are spread, >= 0; each reaches 24 pixels.
        scale: factor of the sides at which that is done, in (0, 1]; below 1 it is
            quicker, reaches farther and loses what is thinner than 1 / scale pixels.

    Returns:
        [H, W, C] float32 between the least and the largest value of each map.

    Raises:
        UserError: the maps have another size than the photo, or one is empty.
    """
    if image.ndim != 3 or maps.ndim != 3 or image.shape[:2] != maps.shape[:2]:
        raise UserError(
            f"pixel_refine: maps {list(maps.shape)} for an image of "
            f"{list(image.shape)}: resize them to [H, W, C]"
        )
    if not (image.size and maps.size):
        raise UserError("pixel_refine: the image or its maps are empty")
    height, width, classes = maps.shape
    canvas = canvas_size(height), canvas_size(width)
    # Few programs: for 1, 2, 4, 8, 16, 24, ... maps.
    channels = min(1 << (classes - 1).bit_length(), -(-classes // 8) * 8)
    on_canvas = [
        np.zeros((*canvas, n), kind) for n, kind in ((3, np.uint8), (channels, "f4"))
    ]
    on_canvas[0][:height, :width] = image
    on_canvas[1][:height, :width, :classes] = maps
    inner = [max(1, math.ceil(scale * side)) for side in (height, width)]
    found = _on_canvas(
        *on_canvas,
        np.int32([height, width]),
        np.int32(inner),
        turns,
        canvas if scale == 1 else tuple(canvas_size(side) for side in inner),
    )
    return np.asarray(found)[:height, :width, :classes] / np.float32(_SUM**turns)


def refine_predictions(
    predictions: Iterable[Prediction], turns: int, *, scale: float = 1.0
) -> Iterator[Prediction]:
    """Predictions whose scores or probabilities are refined, one photo at a time.

    Args:
        predictions: read as they are needed; of activation maps only those of classes
            that the photo is tagged with are looked at.
        turns: how often maps are spread.
        scale: factor of the sides at which that is done.

    Yields:
        A prediction for each, in order and of the same kind.
    """
    for one in predictions:
        image = one.example.image
        if one.probabilities is not None:
            found = refine(image, one.probabilities, turns, scale=scale)
            made = Prediction.of_probabilities(one.example, found)
            yield made._replace(labels=one.labels)
            continue
        shown = 1 + np.flatnonzero(one.tags[1:])
        if len(shown):
            scores = np.zeros(one.scores.shape, np.float32)
            maps = one.scores[..., shown]
            scores[..., shown] = refine(image, maps, turns, scale=scale)
            one = one._replace(scores=scores)
        yield one


@partial(jax.jit, static_argnames="canvas")
def _on_canvas(image, maps, extent, inner, turns, canvas):
    """`spread` at another size, on a canvas of that size, and back."""
    image, maps = image.astype(jnp.float32)[None] / 255, maps[None]
    size, small = maps.shape[1:3], canvas != maps.shape[1:3]
    if small:
        sides = {"in_extent": extent[None], "out_extent": inner[None]}
        image, maps = (
            resize(x, canvas, align_corners=False, **sides) for x in (image, maps)
        )
    maps = spread(image[0], maps[0], turns, extent=inner)
    if not small:
        return maps
    sides = {"in_extent": inner[None], "out_extent": extent[None]}
    return resize(maps[None], size, align_corners=False, **sides)[0]


def spread(
    image: chex.Array,
    maps: chex.Array,
    turns: chex.Numeric,
    *,
    dilations: tuple[int, ...] = DILATIONS,
    extent: chex.Array | None = None,
) -> jax.Array:
    """The published form, whose weights sum to 1.01.

    Neighbours are looked at one after the other and weights formed anew in each turn,
    so that memory is that of the photo and its maps, not of 48 of them.

    Args:
        image: [H, W, D] float32 of any scale, as long as it is far above 1e-8.
        maps: [H, W, C] float32.
        turns: [] how often maps are spread, which may be traced.
        dilations: half the sides of the squares on which neighbours lie, pixels.
        extent: [2] true rows and columns; None: all. What lies beyond is not looked at.

    Returns:
        [H, W, C] float32, of no meaning beyond `extent`.
    """
    chex.assert_rank([image, maps], 3)
    chex.assert_equal_shape_prefix([image, maps], 2)
    extent = jnp.asarray(maps.shape[:2] if extent is None else extent)
    offsets, nearness = _neighbours(dilations)
    padded = partial(_with_border, width=max(dilations), extent=extent)
    image, maps = (jnp.moveaxis(x, -1, 0) for x in (image, maps))  # [D, H, W]
    size, around = image.shape[1:], padded(image)

    def over(function, start):  # a fold over the neighbours
        def step(j, value):
            return function(value, j, partial(_shifted, at=offsets[j], size=size))

        return jax.lax.fori_loop(0, len(offsets), step, start)

    zeros = jnp.zeros_like(image)
    mean = over(lambda sum_, _, of: sum_ + of(around), zeros) / len(offsets)
    squares = over(lambda sum_, _, of: sum_ + jnp.square(of(around) - mean), zeros)
    deviation = jnp.sqrt(squares / (len(offsets) - 1))
    # Where neighbours are alike in a channel, it says nothing of any: kappa is the same
    # for all. What rounding leaves of their deviation would make it 10^17 of noise.
    alike = deviation <= _ALIKE * jnp.abs(mean)
    scale = jnp.where(alike, 0.0, 1 / ((deviation + _EPSILON) * _WIDTH))

    def kappa(of):  # [H, W]
        # A sum of planes: a reduction over them takes several times as long on CPUs.
        planes = (jnp.square(x) for x in (of(around) - image) * scale)
        return -sum(planes) / len(image)

    nothing = jnp.full(size, -jnp.inf)
    top = over(lambda top, _, of: jnp.maximum(top, kappa(of)), nothing)

    def turn(_, maps):
        there = padded(maps)

        def add(sums, j, of):
            alike, total, near = sums
            weight, map_ = jnp.exp(kappa(of) - top), of(there)
            # Weights and their sum from one pass: of two, large numbers round apart.
            return (
                alike + weight[None] * map_,
                total + weight,
                near + nearness[j] * map_,
            )

        nothing = jnp.zeros_like(maps)
        alike, total, near = over(add, (nothing, jnp.zeros(size), nothing))
        return alike / total[None] + near

    return jnp.moveaxis(jax.lax.fori_loop(0, turns, turn, maps), 0, -1)


def _neighbours(dilations):
    """Offsets [N, 2] into what `_with_border` gives, and weights of distances [N]."""
    ring = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if (y, x) != (0, 0)]
    offsets = np.array([(y * d, x * d) for d in dilations for y, x in ring], np.int32)
    distance = np.sqrt(np.square(offsets, dtype=np.float64).sum(1))
    exponent = -np.square(distance / (distance.std(ddof=1) + _EPSILON) / _WIDTH)
    share = np.exp(exponent - exponent.max())
    share *= _POSITIONS / share.sum()
    return jnp.asarray(offsets + max(dilations)), jnp.asarray(share, jnp.float32)


def _with_border(x, *, width, extent):
    """`x` [D, H, W] with a border, where it and all beyond `extent` is the nearest."""
    for axis in (1, 2):
        places = jnp.arange(-width, x.shape[axis] + width)
        places = jnp.clip(places, 0, extent[axis - 1] - 1)
        x = jnp.take(x, places, axis=axis)
    return x


def _shifted(x, *, at, size):
    """The part of [D, ...] of a size that begins at two indices."""
    return jax.lax.dynamic_slice(x, (0, *at), (x.shape[0], *size))
