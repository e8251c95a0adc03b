"""The nouns that every part of ppcjax shares: batches, methods, metrics, states.

Letters in shapes: B batch, H W image, h w feature grid, C classes (background
included), D channels, P pixels.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, NotRequired, TypedDict

import jax
import numpy as np
from flax import struct

# Mask value of pixels that count nowhere: void pixels, padding around an image,
# padding examples at the end of an evaluation.
IGNORE = 255

Array = jax.Array | np.ndarray


class UserError(Exception):
    """A mistake that the user can mend; the command line prints it as one line.

    The text says what was wrong, where, and what to do.
    """


class DenseBatch(TypedDict):
    """Images with image-level tags and, where known, masks.

    image: [B, H, W, 3] uint8 RGB.
    valid: [B, 4] int32 rectangle (y0, x0, y1, x1) that holds the image; pixels
        outside are padding. Evaluation images start at (0, 0).
    tags: [B, C] float32 in {0, 1}; the background column is 1.
    mask: [B, H, W] int32 in 0..C-1 or IGNORE.
    saliency: [B, H, W] uint8, 255 where something stands out.
    """

    image: Array
    valid: Array
    tags: Array
    mask: NotRequired[Array]
    saliency: NotRequired[Array]


class Method(NamedTuple):
    """A way to train a network, as three pure functions.

    init: (key, batch) -> (params, model_state), NumPy or jax arrays; reads only
        the shapes of `batch`.
    loss: (params, model_state, batch, key, step) -> (loss, (model_state, scalars));
        `loss` is a float32 scalar, `model_state` has the structure it had, and
        `scalars` maps names such as "loss/contrast" to float32 scalars.
    predict: (params, model_state, batch) -> prediction.
    """

    init: Callable[..., tuple[Any, Any]]
    loss: Callable[..., tuple[jax.Array, tuple[Any, dict[str, jax.Array]]]]
    predict: Callable[..., Any]


class Metric(NamedTuple):
    """A score computed from counts that add up over examples.

    count: (prediction, example) -> counts, a dict of integer arrays.
    summarize: (counts) -> dict of results.
    """

    count: Callable[..., dict[str, np.ndarray]]
    summarize: Callable[..., dict[str, Any]]


class TrainState(struct.PyTreeNode):
    """All that a training step changes; arrays only.

    step: [] int32 number of updates made.
    params: parameters of the method.
    model_state: what changes without a gradient, such as batch statistics.
    opt_state: state of the optax transformation.
    """

    step: Array
    params: Any
    model_state: Any
    opt_state: Any
