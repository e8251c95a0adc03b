"""Queries of few-shot networks: how they are predicted, logits at the photo's size."""

import dataclasses
from typing import Annotated

import jax
import numpy as np

from ppcjax import fields
from ppcjax.fields import Range
from ppcjax.ops.resize import bilinear_matrix
from ppcjax.runs import Run


@dataclasses.dataclass(frozen=True, kw_only=True)
class QueryPrediction:
    """How queries are predicted.

    align_corners: convention in which logits are resized to the photo.
    batch_size: episodes predicted at a time.
    """

    align_corners: bool = False
    batch_size: Annotated[int, Range(1), "episodes"] = 4

    @classmethod
    def of(cls, run: Run) -> "QueryPrediction":
        """From the config.eval of a run."""
        settings = run.evaluation
        names = fields.fields_of(cls)
        chosen = {name: settings[name] for name in names if name in settings}
        return fields.build(cls, chosen, where="config.eval", what="episodes")


def query_stride(run: Run) -> int:
    """Pixels of the canvas per cell of the logits."""
    side = 256
    batch = {
        "support_image": jax.ShapeDtypeStruct((1, 1, 1, side, side, 3), np.uint8),
        "support_valid": jax.ShapeDtypeStruct((1, 1, 1, 4), np.int32),
        "support_mask": jax.ShapeDtypeStruct((1, 1, 1, side, side), np.int32),
        "shot_valid": jax.ShapeDtypeStruct((1, 1, 1), np.bool_),
        "query_image": jax.ShapeDtypeStruct((1, 1, side, side, 3), np.uint8),
        "query_valid": jax.ShapeDtypeStruct((1, 1, 4), np.int32),
    }
    spec = jax.eval_shape(run.method.predict, run.params, run.model_state, batch)
    return side // spec["logits"].shape[2]


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
