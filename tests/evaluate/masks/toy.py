"""Photos whose class is their colour, and a network that sees colours."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from PIL import Image

from ppcjax.types import IGNORE, Method

CLASSES = ("background", "red", "green")


class Masked(NamedTuple):
    id: str
    image: np.ndarray
    tags: np.ndarray | None
    mask: np.ndarray | None
    full_size: tuple[int, int] | None = None


def make_example(index, *, masked=True, size=(40, 48)):
    """A dark image with a square of the colour that is its class."""
    label = 1 + index % 2
    image = np.full((*size, 3), 20, np.uint8)
    mask = np.zeros(size, np.int32)
    image[8:28, 8:32, label - 1] = 250
    mask[8:28, 8:32], mask[0] = label, IGNORE
    tags = np.eye(3, dtype=np.float32)[label] + np.eye(3, dtype=np.float32)[0]
    return Masked(f"photo{index}", image, tags, mask if masked else None)


def colour_method():
    """Scores are how red and how green a cell of 4 x 4 pixels is."""

    def predict(params, model_state, batch):
        x = batch["image"].astype(jnp.float32) / 255
        b, height, width, _ = x.shape
        x = x.reshape(b, height // 4, 4, width // 4, 4, 3).mean((2, 4))
        scores = jnp.pad(x[..., :2], [(0, 0)] * 3 + [(1, 0)])
        return {"scores": scores, "tag_logits": scores.mean((1, 2)) - 0.1}

    return Method(None, None, predict, gives="maps")


def write_photos(folder, *, count=3):
    folder.mkdir(parents=True)
    for i in range(count):
        Image.fromarray(make_example(i).image).save(folder / f"p{i}.png")
