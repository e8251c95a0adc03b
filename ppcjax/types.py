"""The nouns that every part of ppcjax shares: batches, methods, metrics, states.

Letters in shapes: B batch, H W image, h w feature grid, C classes (background
included), D channels, P pixels, N ways, K shots, Q queries of an episode.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, NotRequired, TypedDict

import jax
import numpy as np
from flax import struct

from ppcjax.errors import UserError as UserError

# Mask value of pixels that count nowhere: void pixels, padding around an image,
# padding examples at the end of an evaluation.
IGNORE = 255

Array = jax.Array | np.ndarray


class DenseBatch(TypedDict):
    """Images with image-level tags and, where known, masks.

    image: [B, H, W, 3] uint8 RGB; or [B, h, w, D] float16, what a frozen network gave
        of the images.
    valid: [B, 4] int32 rectangle (y0, x0, y1, x1) that holds the image; pixels
        outside are padding. Evaluation images start at (0, 0).
    tags: [B, C] float32 in {0, 1}; the background column is 1.
    mask: [B, H, W] int32 in 0..C-1 or IGNORE.
    saliency: [B, H, W] uint8, 255 where something stands out.
    second_image: [B, h', w', D] float16, what a frozen network gave of smaller copies.
    """

    image: Array
    valid: Array
    tags: Array
    mask: NotRequired[Array]
    saliency: NotRequired[Array]
    second_image: NotRequired[Array]


class ViewBatch(TypedDict):
    """Two crops of each photo, and where they lie in it.

    image: [B, 2, H, W, 3] uint8 RGB; crops, mirrored or not, with their own colours.
    box: [B, 2, 4] float32 (x0, y0, x1, y1), centres of the first and of the last pixel
        of the crop's columns and rows, from 0 (first pixel of the photo) to 1 (last);
        x0 > x1 where the crop is mirrored.
    """

    image: Array
    box: Array


class EpisodeBatch(TypedDict):
    """Episodes: a few masked photos of N classes, and photos to find these in.

    Supports and queries lie on canvases of one size; pixels outside their rectangles
    are padding. Which support pixels are evidence is settled by whoever makes the
    masks (void, other classes, boxes, scribbles), so that a method only reads 1, 0
    and IGNORE.

    support_image: [B, N, K, H, W, 3] uint8 RGB.
    support_valid: [B, N, K, 4] int32 rectangle (y0, x0, y1, x1) that holds the image.
    support_mask: [B, N, K, H, W] int32: 1 the class of the way, 0 its background,
        IGNORE neither.
    shot_valid: [B, N, K] bool; shots that are missing count nowhere, so that one
        compiled program serves all numbers of shots up to K.
    query_image: [B, Q, H, W, 3] uint8 RGB.
    query_valid: [B, Q, 4] int32.
    query_mask: [B, Q, H, W] int32: 0 background, j the j-th way, or IGNORE.
    class_id: [B, N] int32 classes of the data set; no method reads them.
    """

    support_image: Array
    support_valid: Array
    support_mask: Array
    shot_valid: Array
    query_image: Array
    query_valid: Array
    query_mask: NotRequired[Array]
    class_id: NotRequired[Array]


def keep_all(params: Any, model_state: Any) -> tuple[Any, Any]:
    """Both as they are: for methods whose `predict` reads all that they train."""
    return params, model_state


class Method(NamedTuple):
    """A way to train a network, as pure functions, and what it reads and gives.

    init: (key, batch) -> (params, model_state), NumPy or jax arrays; reads only
        the shapes of `batch`.
    loss: (params, model_state, batch, key, step) -> (loss, (model_state, scalars));
        `loss` is a float32 scalar, `model_state` has the structure it had, and
        `scalars` maps names such as "loss/contrast" to float32 scalars. None where
        there is nothing to train.
    predict: (params, model_state, batch) -> prediction, a dict of arrays.
    reads: kind of training batch: "dense" (DenseBatch), "episodes" (EpisodeBatch) or
        "views" (ViewBatch).
    gives: kind of prediction, which chooses the evaluation:
        "maps"      "scores" [B, h, w, C], activation maps, and "tag_logits" [B, C]
        "logits"    "logits" [B, h, w, C], and "extent" [B, 2] where the grid is not
                    ceil(H / stride)
        "affinity"  "affinity" [B, O, h, w]
        "episodes"  "logits" [B, Q, h, w, 1 + N], to be resized to the photo
        "features"  maps [B, h, w, D] by name, of a DenseBatch's images
    keep: (params, model_state) -> the part of both that `predict` reads.
    fit: (params, model_state, supports) -> prototypes, a dict of arrays [B, ...];
        reads the support fields of an EpisodeBatch and "shot_valid" only. None where
        a method does not learn from examples without training.
    segment: (params, model_state, prototypes, queries) -> as `predict`; reads
        "query_image" and "query_valid" only. None where `fit` is.
    gpu_options: options of XLA that its training step and what predicts are compiled
        with on GPUs.
    aligned: whether the corner cells of what `predict` gives lie on the corners of the
        photo; else each cell covers a square of pixels.
    second_view: side of the smaller copy of a batch's canvases that `loss` compares
        with, in pixels; 0 where there is none.
    look: batch of NumPy arrays -> the same with features for photos, looked up or
        computed, where a frozen network looks first; None where none does.
    """

    init: Callable[..., tuple[Any, Any]]
    loss: Callable[..., tuple[jax.Array, tuple[Any, dict[str, jax.Array]]]] | None
    predict: Callable[..., Any]
    reads: str = "dense"
    gives: str = "logits"
    keep: Callable[[Any, Any], tuple[Any, Any]] = keep_all
    fit: Callable[..., dict[str, Any]] | None = None
    segment: Callable[..., Any] | None = None
    gpu_options: Mapping[str, Any] = {}
    aligned: bool = True
    second_view: int = 0
    look: Callable[[Mapping[str, Any]], dict[str, Any]] | None = None


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
