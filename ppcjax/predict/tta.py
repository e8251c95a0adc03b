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

import dataclasses
import functools
import operator
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Annotated, Any, Literal

import jax
import numpy as np

from ppcjax.console import memory
from ppcjax.fields import Free, Length, Range, kinds
from ppcjax.predict import devices, merge
from ppcjax.predict.canvases import (
    PROBE,
    canvas_size,
    groups,
    scaled_images,
    scaled_side,
)
from ppcjax.predict.prediction import Finished, Prediction
from ppcjax.predict.windows import Windows, mean_of_windows
from ppcjax.types import Method

Convention = Literal["ppc", "eps"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scaling:
    """How photos are brought to the network, and how many at a time.

    scales: factors of the photo's sides whose predictions are merged.
    flip: whether each scale is also predicted mirrored.
    batch_size: photos of up to 512 x 512 pixels per batch; fewer if larger.
    max_side: longest side for the network; longer photos are shrunk to it.
    enlarge: whether shorter photos are enlarged to it, so that all have one size there.
    canvas_steps: canvas sizes per octave; fewer compile less and pad more.
    """

    scales: Annotated[tuple[kinds.Factor, ...], Length(1)] = (0.5, 1.0, 1.5, 2.0)
    flip: bool = True
    batch_size: Annotated[kinds.Batch, "photos", Free()] = 8
    max_side: kinds.Side = 1024
    enlarge: bool = False
    canvas_steps: Annotated[int, Range(1, 64)] = 4


def predict(
    method: Method,
    params: Any,
    model_state: Any,
    examples: Iterable[Any],
    *,
    scaling: Scaling | None = None,
    convention: Convention = "ppc",
    windows: Windows | None = None,
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
        method: gives "maps" or "logits".
        params: parameters of the method.
        model_state: state of the method.
        examples: photos with `id`, `image` [H, W, 3] uint8 and `tags` [C] or None; a
            `Finished` one only keeps its place.
        scaling: scales, mirrors and batches; None: `Scaling()`.
        convention: "ppc" or "eps": how activation maps are resized and normalised.
        windows: where given, logits at scales of at least 1 are means over windows,
            see `ppcjax.predict.windows`.

    Yields:
        One prediction per example that is not finished.
    """
    scaling = scaling or Scaling()
    network = devices.compiled(method.predict, method)
    params, model_state = devices.replicate((params, model_state))
    canvas = partial(canvas_size, steps=scaling.canvas_steps)
    name, of_kind = {
        "maps": ("scores", partial(_activation_maps, convention, method.aligned)),
        "logits": ("logits", partial(_class_probabilities, method.aligned)),
    }[method.gives]
    if windows is not None and name != "logits":
        raise ValueError("only segmenters, which give logits, use windows")
    stride, num_classes = grid_of(method, params, model_state)

    def run(group):
        return of_kind(
            group,
            lambda image, valid: network(
                params,
                model_state,
                devices.seen(method, {"image": image, "valid": valid}),
            ),
            canvas=canvas,
            scales=scaling.scales,
            flip=scaling.flip,
            stride=stride,
            num_classes=num_classes,
            windows=windows,
        )

    names = ("batch_size", "max_side", "enlarge")
    sizes = {name: getattr(scaling, name) for name in names}
    found = groups(examples, canvas, **sizes)
    yield from _in_flight(found, run)


def _in_flight(found, run) -> Iterator[Prediction]:
    """Predictions of groups; one stays in flight: the host works while the device does.

    What a group needs is known only when its results are there, so that a lack of
    memory may show at the next one.
    """
    previous = None
    for group in found:
        if all(isinstance(example, Finished) for example in group.examples):
            continue
        with memory.guarded(_said(group)):
            current = group, run(group)
        if previous is not None:
            with memory.guarded(_said(previous[0])):
                predictions = list(_collect(*previous))
            yield from predictions
        previous = current
    if previous is not None:
        with memory.guarded(_said(previous[0])):
            predictions = list(_collect(*previous))
        yield from predictions


def _said(group) -> str:
    rows, columns = group.canvas
    return f"predicting {group.size} photos of up to {columns} x {rows} pixels at once"


def _activation_maps(convention, aligned, group, network, **settings):
    """Scores [B, H, W, C] and tags [B, C] of a group, on the device."""
    logits = 0.0

    def maps_of(prediction):
        nonlocal logits
        parts = prediction["tag_logits"]
        logits += parts.reshape(-1, group.size, parts.shape[-1]).mean(0)
        return prediction["scores"]

    resizing = "both" if convention == "ppc" and aligned else "half_pixel"
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


def _class_probabilities(aligned, group, network, **settings):
    """Probabilities [B, H, W, C] of a group, on the device."""
    maps_of = operator.itemgetter("logits")
    resizing = "aligned" if aligned else "half_pixel"
    total, _ = _sum_of_maps(group, network, maps_of, resizing=resizing, **settings)
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
    zeros = np.zeros((group.size, *group.canvas, num_classes), np.float32)
    total = devices.shard(zeros)
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


def _collect(group, results) -> Iterator[Prediction]:
    results = [np.asarray(result) for result in results]
    for i, example in enumerate(group.examples):
        if isinstance(example, Finished):
            continue
        height, width = example.image.shape[:2]
        # A copy, so that keeping one prediction does not keep its whole batch.
        maps = results[0][i, :height, :width].copy()
        if len(results) == 1:
            yield Prediction.of_probabilities(example, maps)
        else:
            yield Prediction(example, maps, results[1][i])


def grid_of(method: Method, params: Any, model_state: Any) -> tuple[int, int]:
    """Stride and number of classes of a network that gives "maps" or "logits"."""
    name = {"maps": "scores", "logits": "logits"}[method.gives]
    _, height, _, num_classes = _output_spec(method, params, model_state)[name].shape
    return round(PROBE / height), num_classes


def _output_spec(method, params, model_state):
    """Shapes of what the network says of one image of `PROBE` pixels a side."""
    leaves, structure = jax.tree.flatten((params, model_state))
    shapes = tuple((leaf.shape, np.dtype(leaf.dtype)) for leaf in leaves)
    return _traced_spec(method.predict, structure, shapes)


@functools.lru_cache(maxsize=16)  # tracing takes longer than predicting a photo
def _traced_spec(predict, structure, shapes):
    leaves = [jax.ShapeDtypeStruct(*shape) for shape in shapes]
    batch = {
        "image": jax.ShapeDtypeStruct((1, PROBE, PROBE, 3), np.uint8),
        "valid": jax.ShapeDtypeStruct((1, 4), np.int32),
    }
    return jax.eval_shape(predict, *jax.tree.unflatten(structure, leaves), batch)
