"""Training batches as shapes, of every kind that a method reads."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from ppcjax.data_pipelines.episodes.arrays import layout
from ppcjax.data_pipelines.episodes.plans import Shape
from ppcjax.data_pipelines.geometry import crop_size


def batch(data: Mapping[str, Any], reads: str, *, classes: int, rows: int) -> Any:
    """The global batch that a config trains on, as ShapeDtypeStructs.

    Args:
        data: `config.data`.
        reads: kind of batch, `Method.reads`.
        classes: C.
        rows: B, of all devices together.
    """
    sides = crop_size(data["crop"])
    if reads == "episodes":
        shape = Shape(data["way"], data["shot"], data.get("query", 1))
        arrays = layout(shape, sides[0])
    elif reads == "views":
        arrays = {"image": ((2, *sides, 3), np.uint8), "box": ((2, 4), np.float32)}
    else:
        arrays = {
            "image": ((*sides, 3), np.uint8),
            "valid": ((4,), np.int32),
            "tags": ((classes,), np.float32),
        }
        if data.get("with_masks"):
            arrays["mask"] = (sides, np.int32)
        if "saliency" in data:
            arrays["saliency"] = (sides, np.uint8)
    return {
        name: jax.ShapeDtypeStruct((rows, *size), dtype)
        for name, (size, dtype) in arrays.items()
    }
