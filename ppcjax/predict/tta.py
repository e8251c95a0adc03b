"""Class scores of whole images: several scales and mirrors, at any image size.

Two kinds of networks are served. Activation maps ("scores" and "tag_logits") become
scores that a threshold turns into masks; "logits" become class probabilities.

A compiled program has fixed shapes, photos do not. Images therefore lie in the
corner of canvases whose sides come from a short ladder (`canvases.py`), with their
true size beside them, and everything that looks at neighbours or borders uses the
true size: the network (see `ppcjax.nn.layers`), the resizing and the normalisation.
The result is that of the unpadded image, and a data set of hundreds of sizes needs
a handful of programs.

Sources and equations: `ppcjax.predict.merge`, the device's side of this module.
"""

import operator
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ppcjax.predict import merge
from ppcjax.predict.canvases import canvas_size, groups, scaled_images, scaled_side
from ppcjax.predict.windows import Windows, mean_of_windows
from ppcjax.types import Method, UserError

_SIDE = 256  # of the image that tells the network's stride; no network's exceeds it


class Prediction(NamedTuple):
    """Scores of one image.

    example: what was predicted, as it came.
    scores: [H, W, C] float32 at the image's size, mostly in [0, 1]; zero for the
        background. Of activation maps also zero for classes the image is not tagged
        with; of class probabilities, see `ppcjax.predict.merge.against_background`.
    tags: [C] bool classes the image shows: given, else predicted.
    probabilities: [H, W, C] float32 where the network or a refinement gives them.
    """

    example: Any
    scores: np.ndarray
    tags: np.ndarray
    probabilities: np.ndarray | None = None

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
        return cls(
            example, merge.against_background(probabilities), tags, probabilities
        )


def predict(
    method: Method,
    params: Any,
    model_state: Any,
    examples: Iterable[Any],
    *,
    scales: Sequence[float] = (0.5, 1.0, 1.5, 2.0),
    flip: bool = True,
    batch_size: int = 8,
    max_side: int = 1024,
    canvas_steps: int = 4,
    convention: str = "ppc",
    window: int | tuple[int, int] | None = None,
    window_stride: int | tuple[int, int] | None = None,
) -> Iterator[Prediction]:
    """Multi-scale class scores of images of any size.

    At each scale the image is resized (bicubic, sides rounded half to even), and its
    mirror goes along. A low-resolution activation map is resized to the scaled image
    with aligned corners, from there to the image with half-pixel centres; the maps
    of all scales and mirrors are summed, then normalised by `merge.normalize_scores`.
    With the convention of EPS, an activation map is resized to the image at once, with
    half-pixel centres, and the sum is divided by its maximum.
    Logits are resized to the image with aligned corners and averaged, then the
    softmax is taken.

    Images whose canvases are equal share a batch, so predictions come in another
    order than examples.

    Args:
        method: `predict` gives "scores" [B, h, w, C] and "tag_logits" [B, C], or
            "logits" [B, h, w, C] and, unless h = ceil(H / stride), their true rows
            and columns "extent" [B, 2].
        params: its parameters.
        model_state: its state.
        examples: each with `id`, `image` [H, W, 3] uint8 and `tags` [C] or None.
        scales: factors of the image's sides.
        flip: whether each scale is also predicted mirrored.
        batch_size: images of up to 512 x 512 pixels per batch; fewer if larger.
        max_side: images longer than this, in pixels, are shrunk to it before they
            are scaled. Scores still have the size of the image.
        canvas_steps: canvas sizes per octave. Fewer compile less and pad more.
        convention: "ppc" or "eps", of activation maps.
        window: side or (rows, columns) in pixels. Where given, logits at scales of at
            least 1 are means over windows of this size, see `ppcjax.predict.windows`.
        window_stride: pixels from one window to the next; None: no overlap.

    Yields:
        One prediction per example.
    """
    if not scales or min(scales) <= 0 or batch_size < 1 or canvas_steps < 1:
        raise UserError(
            f"eval: scales {tuple(scales)} and batch_size {batch_size} must be positive"
        )
    if convention not in ("ppc", "eps"):
        raise UserError(f"eval.convention={convention!r}: choose 'ppc' or 'eps'")
    windows = Windows.of(window, window_stride)
    params, model_state = jax.device_put((params, model_state))
    canvas = partial(canvas_size, steps=canvas_steps)
    kind = output_kind(method, params, model_state)
    if windows is not None and kind != "logits":
        raise UserError("eval.window: only segmenters, which give logits, use windows")
    of_kind = {
        "scores": partial(_activation_maps, convention),
        "logits": _class_probabilities,
    }[kind]
    _, height, _, num_classes = _output_spec(method, params, model_state)[kind].shape

    def run(group):
        return of_kind(
            group,
            partial(_network, method.predict, params, model_state),
            canvas=canvas,
            scales=scales,
            flip=flip,
            stride=round(_SIDE / height),
            num_classes=num_classes,
            windows=windows,
        )

    # One group stays in flight, so that the host works while the device does.
    previous = None
    for group in groups(examples, canvas, batch_size=batch_size, max_side=max_side):
        current = group, run(group)
        if previous is not None:
            yield from _collect(*previous)
        previous = current
    if previous is not None:
        yield from _collect(*previous)


def _activation_maps(convention, group, network, **settings):
    """Scores [B, H, W, C] and tags [B, C] of a group, on the device."""
    logits = 0.0

    def maps_of(prediction):
        nonlocal logits
        parts = prediction["tag_logits"]
        logits += parts.reshape(-1, group.size, parts.shape[-1]).mean(0)
        return prediction["scores"]

    resizing = {"ppc": "both", "eps": "half_pixel"}[convention]
    total, extent = _sum_of_maps(group, network, maps_of, resizing=resizing, **settings)
    num_classes = settings["num_classes"]
    tags = np.zeros((group.size, num_classes), np.float32)
    known = np.zeros(group.size, bool)
    for i, example in enumerate(group.examples):
        if example.tags is not None:
            tags[i], known[i] = example.tags, True
    return merge.finish_maps(
        total, logits, tags, known, extent, from_least=convention == "ppc"
    )


def _class_probabilities(group, network, **settings):
    """Probabilities [B, H, W, C] of a group, on the device."""
    maps_of = operator.itemgetter("logits")
    total, _ = _sum_of_maps(group, network, maps_of, resizing="aligned", **settings)
    copies = len(settings["scales"]) * (1 + settings["flip"])
    return (merge.finish_logits(total, copies),)


def _sum_of_maps(
    group,
    network,
    maps_of,
    *,
    canvas,
    scales,
    flip,
    stride,
    num_classes,
    resizing,
    windows,
):
    """Sum of all scales' maps [B, H, W, C], and true sizes [B, 2] of the images."""
    total = jnp.zeros((group.size, *group.canvas, num_classes), jnp.float32)
    extent = np.ones((group.size, 2), np.int32)  # rows that fill the batch: one pixel
    extent[: len(group.examples)] = [e.image.shape[:2] for e in group.examples]
    for scale in scales:
        sides = tuple(canvas(scaled_side(n, scale)) for n in group.network_canvas)
        images, scaled = scaled_images(group, scale, sides, flip=flip)
        if windows is None or scale < 1:
            valid = np.concatenate([np.zeros_like(scaled), scaled], 1)
            prediction = network(images, valid)
            maps = maps_of(prediction)
            cells = prediction.get("extent", -(-scaled // stride))
        else:
            maps = mean_of_windows(
                images, scaled, network, windows, stride=stride, num_classes=num_classes
            )
            cells = scaled
        total = merge.add_maps(
            total,
            maps,
            extent,
            scaled[: group.size],
            cells[: group.size],
            mid=sides,
            resizing=resizing,
        )
    return total, extent


@partial(jax.jit, static_argnums=0)
def _network(predict, params, model_state, images, valid):
    return predict(params, model_state, {"image": images, "valid": valid})


def _collect(group, results) -> Iterator[Prediction]:
    results = [np.asarray(result) for result in results]
    for i, example in enumerate(group.examples):
        height, width = example.image.shape[:2]
        # A copy, so that keeping one prediction does not keep its whole batch.
        maps = results[0][i, :height, :width].copy()
        if len(results) == 1:
            yield Prediction.of_probabilities(example, maps)
        else:
            yield Prediction(example, maps, results[1][i])


def output_kind(method: Method, params: Any, model_state: Any) -> str:
    """What the network gives: "scores" (activation maps), "logits" or "affinity"."""
    spec = _output_spec(method, params, model_state)
    return next(kind for kind in ("scores", "logits", "affinity") if kind in spec)


def _output_spec(method, params, model_state):
    """Shapes of what the network says of one image of `_SIDE` pixels a side."""
    batch = {
        "image": jax.ShapeDtypeStruct((1, _SIDE, _SIDE, 3), np.uint8),
        "valid": jax.ShapeDtypeStruct((1, 4), np.int32),
    }
    return jax.eval_shape(method.predict, params, model_state, batch)
