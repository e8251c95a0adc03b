"""Queries of few-shot networks: how they are predicted, logits at the photo's size."""

import dataclasses
from collections.abc import Iterator
from typing import Annotated, Any

import jax
import numpy as np

from ppcjax import fields
from ppcjax.fields import kinds
from ppcjax.ops.resize import bilinear_matrix
from ppcjax.predict import devices
from ppcjax.predict.canvases import PROBE
from ppcjax.runs import Run


@dataclasses.dataclass(frozen=True, kw_only=True)
class QueryPrediction:
    """How queries are predicted.

    align_corners: convention in which logits are resized to the photo.
    batch_size: episodes predicted at a time.
    """

    align_corners: bool = False
    batch_size: Annotated[kinds.Batch, "episodes"] = 4

    @classmethod
    def of(cls, run: Run) -> "QueryPrediction":
        """From the config.eval of a run."""
        settings = run.evaluation
        names = fields.fields_of(cls)
        chosen = {name: settings[name] for name in names if name in settings}
        return fields.build(cls, chosen, where="config.eval", what="episodes")


def query_stride(run: Run) -> int:
    """Pixels of the canvas per cell of the logits."""
    batch = {
        "support_image": jax.ShapeDtypeStruct((1, 1, 1, PROBE, PROBE, 3), np.uint8),
        "support_valid": jax.ShapeDtypeStruct((1, 1, 1, 4), np.int32),
        "support_mask": jax.ShapeDtypeStruct((1, 1, 1, PROBE, PROBE), np.int32),
        "shot_valid": jax.ShapeDtypeStruct((1, 1, 1), np.bool_),
        "query_image": jax.ShapeDtypeStruct((1, 1, PROBE, PROBE, 3), np.uint8),
        "query_valid": jax.ShapeDtypeStruct((1, 1, 4), np.int32),
    }
    spec = jax.eval_shape(run.method.predict, run.params, run.model_state, batch)
    return round(PROBE / spec["logits"].shape[2])


def to_photo(
    logits: np.ndarray,
    extent: np.ndarray,
    size: tuple[int, int],
    *,
    stride: int,
    align_corners: bool,
) -> np.ndarray:
    """Logits of a photo on a canvas, resized to any size of that photo.

    Args:
        logits: [h, w, J] of the canvas.
        extent: [2] rows and columns of the photo on the canvas.
        size: (H, W) wanted.
        stride: pixels of the canvas per cell of the logits.
        align_corners: convention of the resize.

    Returns:
        [H, W, J] float32.
    """
    rows, columns = (-(-int(n) // stride) for n in extent)
    y, x = (
        bilinear_matrix(out_size, in_size, align_corners=align_corners)
        for out_size, in_size in zip(size, (rows, columns), strict=True)
    )
    part = logits[:rows, :columns]
    wide = np.tensordot(x, part, axes=(1, 1))  # [W, h, J]
    return np.tensordot(y, wide, axes=(1, 1))  # [H, W, J]


def predict_queries(
    run: Run, examples: Iterator[Any], settings: QueryPrediction
) -> Iterator[tuple[Any, int, np.ndarray]]:
    """Queries of episodes, predicted in batches of equal canvases.

    Args:
        run: few-shot network.
        examples: episodes with `arrays`, an EpisodeBatch without its batch axis, and
            `truths`, a mask for each query at the size that is scored.
        settings: how queries are predicted.

    Yields:
        For each query its episode, its place there, and its mask [H, W] in 0..N.
    """
    network = devices.compiled(run.method.predict, run.method)
    params, model_state = devices.replicate((run.params, run.model_state))
    stride = query_stride(run)

    def finish(group, logits):
        logits = np.asarray(logits["logits"])
        for example, of_example in zip(group, logits, strict=False):
            for q, truth in enumerate(example.truths):
                valid = example.arrays["query_valid"][q]
                found = to_photo(
                    of_example[q],
                    valid[2:],
                    truth.shape,
                    stride=stride,
                    align_corners=settings.align_corners,
                )
                yield example, q, found.argmax(-1)

    previous = None
    size = devices.filled(settings.batch_size, settings.batch_size)
    for group in _groups(examples, size):
        filled = group + [group[-1]] * (size - len(group))
        batch = {
            key: np.stack([example.arrays[key] for example in filled])
            for key in group[0].arrays
            if key not in ("query_mask", "class_id")
        }
        # The device works on this group while the host counts the one before.
        seen = devices.seen(run.method, batch)
        current = group, network(params, model_state, seen)
        if previous is not None:
            yield from finish(*previous)
        previous = current
    if previous is not None:
        yield from finish(*previous)


def _groups(examples: Iterator[Any], size: int) -> Iterator[list[Any]]:
    """Consecutive examples on canvases of one size, at most `size` of them."""
    group: list[Any] = []
    for example in examples:
        side = example.arrays["query_image"].shape
        if group and (
            len(group) == size or side != group[0].arrays["query_image"].shape
        ):
            yield group
            group = []
        group.append(example)
    if group:
        yield group
