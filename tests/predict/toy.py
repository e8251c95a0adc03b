"""Networks of one matrix, which say where they are wrong, and photos of noise."""

from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ppcjax.runs import Run
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


def segmenter(classes=("background", "red", "green")):
    """A run whose network says the colour of a pixel; compiled in no time."""

    def predict(params, model_state, batch):
        x = batch["image"][:, ::STRIDE, ::STRIDE].astype(jnp.float32) / 255
        return {"logits": jnp.roll(x, 1, axis=-1) * params["gain"]}

    config = {"name": "x", "method": {"name": "toy"}, "eval": {"scales": [1.0]}}
    method = Method(None, None, predict)
    return Run(Path("runs/x"), 1, config, classes, method, {"gain": np.float32(9)}, {})


def few_shot():
    """A run that compares colours with the mean colours of masks."""

    def embed(image):
        x = image.astype(jnp.float32) - 127.5
        return x / jnp.maximum(jnp.linalg.norm(x, axis=-1, keepdims=True), 1e-6)

    def fit(params, model_state, batch):
        x, mask = embed(batch["support_image"]), batch["support_mask"]
        there = batch["shot_valid"][..., None, None]
        sums = [
            jnp.einsum("bnkhwc,bnkhw->bnc", x, (mask == value) & there)
            for value in (0, 1)
        ]
        return {"prototypes": jnp.concatenate([sums[0].sum(1)[:, None], sums[1]], 1)}

    def segment(params, model_state, learnt, batch):
        prototypes = learnt["prototypes"]
        prototypes /= jnp.maximum(jnp.linalg.norm(prototypes, axis=-1), 1e-6)[..., None]
        x = embed(batch["query_image"])
        return {"logits": 20 * jnp.einsum("bqhwc,bnc->bqhwn", x, prototypes)}

    def predict(params, model_state, batch):
        return segment(params, model_state, fit(params, model_state, batch), batch)

    config = {"name": "x", "method": {"name": "panet"}, "data": {"crop": 32}}
    method = Method(
        None, None, predict, "episodes", "episodes", fit=fit, segment=segment
    )
    return Run(Path("runs/y"), 1, config, (), method, {}, {})
