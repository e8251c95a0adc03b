"""Class scores of whole images: several scales and mirrors, at any image size.

A compiled program has fixed shapes, photos do not. Images therefore lie in the
corner of canvases whose sides come from a short ladder (`canvases.py`), with their
true size beside them, and everything that looks at neighbours or borders uses the
true size: the network (see `ppcjax.nn.layers`), the resizing and the normalisation.
The result is that of the unpadded image, and a data set of hundreds of sizes needs
a handful of programs.

Source: multi-scale inference of the released PPC (usr922/wseg).
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np

from ppcjax.canvases import canvas_size, groups, scaled_images, scaled_side
from ppcjax.ops.resize import bilinear_matrix
from ppcjax.types import Method, UserError

_EPSILON = 1e-5
_EXACT = jax.lax.Precision.HIGHEST


class Prediction(NamedTuple):
    """Scores of one image.

    example: what was predicted, as it came.
    scores: [H, W, C] float32 at the image's size, mostly in [0, 1); zero for
        background and for classes the image is not tagged with.
    tags: [C] bool, given or, where the example has none, predicted.
    """

    example: Any
    scores: np.ndarray
    tags: np.ndarray


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
) -> Iterator[Prediction]:
    """Multi-scale class scores of images of any size.

    At each scale the image is resized (bicubic, sides rounded half to even), and its
    mirror goes along. A low-resolution map is resized to the scaled image with
    aligned corners, from there to the image with half-pixel centres, and the maps of
    all scales and mirrors are summed, then normalised by `normalize_scores`.

    Images whose canvases are equal share a batch, so predictions come in another
    order than examples.

    Args:
        method: `predict` gives "scores" [B, h, w, C] and "tag_logits" [B, C].
        params: its parameters.
        model_state: its state.
        examples: each with `id`, `image` [H, W, 3] uint8 and `tags` [C] or None.
        scales: factors of the image's sides.
        flip: whether each scale is also predicted mirrored.
        batch_size: images of up to 512 x 512 pixels per batch; fewer if larger.
        max_side: images longer than this, in pixels, are shrunk to it before they
            are scaled. Scores still have the size of the image.
        canvas_steps: canvas sizes per octave. Fewer compile less and pad more.

    Yields:
        One prediction per example.
    """
    if not scales or min(scales) <= 0 or batch_size < 1 or canvas_steps < 1:
        raise UserError(
            f"eval: scales {tuple(scales)} and batch_size {batch_size} must be positive"
        )
    params, model_state = jax.device_put((params, model_state))
    canvas = partial(canvas_size, steps=canvas_steps)
    stride, num_classes = _output_spec(method, params, model_state)

    def run(group):
        return _run_group(
            group,
            partial(_network, method.predict, params, model_state),
            canvas=canvas,
            scales=scales,
            flip=flip,
            stride=stride,
            num_classes=num_classes,
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


def normalize_scores(total: jax.Array, tags: jax.Array, extent: jax.Array) -> jax.Array:
    """Scores from summed activation maps, per image and class.

        x = max(total, 0), then 0 where x < min x + 1e-5
        score = (x - min x - 1e-5) / (max x - min x + 1e-5)

    The extremes are those before the small values are zeroed, over true pixels.

    Args:
        total: [B, H, W, C], any real values.
        tags: [B, C] in {0, 1}; classes without a tag score 0, background too.
        extent: [B, 2] true rows and columns; pixels beyond score 0.

    Returns:
        [B, H, W, C] float32 below 1. Pixels at the minimum are negative, as released:
        slightly so as a rule, -1 for a map that is 0 everywhere, far below for a
        constant one. No threshold looks below 0.
    """
    chex.assert_rank([total, tags, extent], [4, 2, 2])
    rows = jnp.arange(total.shape[1])[None, :] < extent[:, :1]  # [B, H]
    columns = jnp.arange(total.shape[2])[None, :] < extent[:, 1:]  # [B, W]
    inside = (rows[:, :, None] & columns[:, None, :])[..., None]  # [B, H, W, 1]
    x = jnp.maximum(total, 0)
    low = jnp.min(jnp.where(inside, x, jnp.inf), (1, 2), keepdims=True)
    high = jnp.max(jnp.where(inside, x, 0), (1, 2), keepdims=True)
    x = jnp.where(x < low + _EPSILON, 0, x)
    scores = (x - low - _EPSILON) / (high - low + _EPSILON)
    tagged = jnp.asarray(tags, bool).at[:, 0].set(False)
    return jnp.where(inside & tagged[:, None, None, :], scores, 0)


def _run_group(group, network, *, canvas, scales, flip, stride, num_classes):
    """Scores [B, H, W, C] and tags [B, C] of a group, on the device."""
    shape = (group.size, *group.canvas, num_classes)
    total = jnp.zeros(shape, jnp.float32)
    logits = jnp.zeros((group.size, num_classes), jnp.float32)
    extent = np.ones((group.size, 2), np.int32)  # rows that fill the batch: one pixel
    extent[: len(group.examples)] = [e.image.shape[:2] for e in group.examples]
    for scale in scales:
        sides = tuple(canvas(scaled_side(n, scale)) for n in group.network_canvas)
        images, scaled = scaled_images(group, scale, sides, flip=flip)
        valid = np.concatenate([np.zeros_like(scaled), scaled], 1)
        prediction = network(images, valid)
        total = _add_maps(
            total,
            prediction["scores"],
            extent,
            scaled[: group.size],
            mid=sides,
            stride=stride,
        )
        parts = prediction["tag_logits"].reshape(-1, group.size, num_classes)
        logits = logits + parts.mean(0) / len(scales)
    tags = np.zeros((group.size, num_classes), np.float32)
    known = np.zeros(group.size, bool)
    for i, example in enumerate(group.examples):
        if example.tags is not None:
            tags[i], known[i] = example.tags, True
    return _finish(total, logits, tags, known, extent)


@partial(jax.jit, static_argnums=0)
def _network(predict, params, model_state, images, valid):
    prediction = predict(params, model_state, {"image": images, "valid": valid})
    return {name: prediction[name] for name in ("scores", "tag_logits")}


@partial(jax.jit, static_argnames=("mid", "stride"), donate_argnums=0)
def _add_maps(total, maps, extent, scaled, *, mid, stride):
    """Adds low-resolution maps [B or 2B, h, w, C], resized, to total [B, H, W, C].

    The scaled images have canvas `mid` and true sizes `scaled` [B, 2].
    """
    batch, height, width, num_classes = total.shape
    rows, columns = (
        jax.vmap(partial(_two_resizes, out, mid[axis], maps.shape[1 + axis], stride))(
            extent[:, axis], scaled[:, axis]
        )
        for axis, out in enumerate((height, width))
    )  # [B, H, h], [B, W, w]
    maps = maps.reshape(-1, batch, *maps.shape[1:])
    both = [columns, jax.vmap(_mirror)(columns, extent[:, 1])]
    columns = jnp.stack(both[: len(maps)])
    wide = jnp.einsum("kbjw,kbhwc->bhjc", columns, maps, precision=_EXACT)
    return total + jnp.einsum("bih,bhjc->bijc", rows, wide, precision=_EXACT)


def _two_resizes(out_size, mid_size, in_size, stride, out_extent, mid_extent):
    """Matrix [out, in] of aligned corners to the middle, then half-pixel centres.

    One product of two small matrices: the map in between is never formed.
    """
    to_mid = bilinear_matrix(
        mid_size,
        in_size,
        align_corners=True,
        out_extent=mid_extent,
        in_extent=-(-mid_extent // stride),
    )
    to_out = bilinear_matrix(
        out_size,
        mid_size,
        align_corners=False,
        out_extent=out_extent,
        in_extent=mid_extent,
    )
    return jnp.matmul(to_out, to_mid, precision=_EXACT)


def _mirror(matrix, extent):
    """The matrix [out, in] whose output is mirrored within `extent` rows."""
    row = jnp.arange(matrix.shape[0])
    mirrored = matrix[jnp.maximum(extent - 1 - row, 0)]
    return jnp.where((row < extent)[:, None], mirrored, 0)


@jax.jit
def _finish(total, logits, tags, known, extent):
    """Scores [B, H, W, C] and tags [B, C]: given, else those with a positive logit.

    A photo without tags shows something: the likeliest class always counts.
    """
    foreground = logits.at[:, 0].set(-jnp.inf)
    likeliest = jax.nn.one_hot(foreground.argmax(1), logits.shape[1], dtype=bool)
    tags = jnp.where(known[:, None], tags > 0, (foreground > 0) | likeliest)
    tags = tags.at[:, 0].set(True)
    return normalize_scores(total, tags, extent), tags


def _collect(group, results) -> Iterator[Prediction]:
    scores, tags = (np.asarray(result) for result in results)
    for i, example in enumerate(group.examples):
        height, width = example.image.shape[:2]
        # A copy, so that keeping one prediction does not keep its whole batch.
        yield Prediction(example, scores[i, :height, :width].copy(), tags[i])


def _output_spec(method, params, model_state) -> tuple[int, int]:
    """Output stride and class count of the network."""
    side = 256
    batch = {
        "image": jax.ShapeDtypeStruct((1, side, side, 3), np.uint8),
        "valid": jax.ShapeDtypeStruct((1, 4), np.int32),
    }
    spec = jax.eval_shape(method.predict, params, model_state, batch)["scores"]
    return side // spec.shape[1], spec.shape[-1]
