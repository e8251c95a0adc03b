"""Networks of one matrix, which say where they are wrong, and photos of noise."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ppcjax.types import Method

STRIDE, CLASSES = 8, 4
WEIGHTS = np.random.default_rng(0).normal(size=(3, CLASSES)).astype(np.float32)


class Photo(NamedTuple):
    id: str
    image: np.ndarray
    tags: np.ndarray | None = None


def cell_means(image, valid):
    """Mean colour of each 8 x 8 cell, padding counted as black."""
    batch, height, width, _ = image.shape
    rows = jnp.arange(height)[None, :, None, None] < valid[:, 2, None, None, None]
    columns = jnp.arange(width)[None, None, :, None] < valid[:, 3, None, None, None]
    x = jnp.where(rows & columns, image, 0).astype(jnp.float32) / 255
    pad = [(0, -side % STRIDE) for side in (height, width)]
    x = jnp.pad(x, [(0, 0), *pad, (0, 0)])
    h, w = x.shape[1] // STRIDE, x.shape[2] // STRIDE
    return x.reshape(batch, h, STRIDE, w, STRIDE, 3).mean((2, 4))


def make_toy(traces=None):
    """A linear map of stride 8, exact on padded canvases."""

    def predict(params, model_state, batch):
        if traces is not None:
            traces.append(batch["image"].shape)
        cells = cell_means(batch["image"], batch["valid"])
        area = jnp.prod(batch["valid"][:, 2:], axis=1)[:, None]
        scores = jnp.einsum(
            "bhwk,kc->bhwc", cells, params, precision=jax.lax.Precision.HIGHEST
        )
        logits = scores.sum((1, 2)) / area * STRIDE**2
        return {"scores": jax.nn.relu(scores), "tag_logits": logits}

    return Method(None, None, predict, gives="maps")


def photo(height, width, *, seed=0, tags=(1, 1, 0, 1)):
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (height, width, 3), np.uint8)
    tags = None if tags is None else np.asarray(tags, np.float32)
    return Photo(f"{height}x{width}", image, tags)
