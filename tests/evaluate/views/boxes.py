"""Boxes of views, and descriptions of their cells that know where they lie."""

import numpy as np

from ppcjax.data_pipelines import views
from ppcjax.data_pipelines.crops import crop_box, draw_crop
from ppcjax.data_pipelines.order import Draws
from ppcjax.evaluate.views.metric import unit

WHOLE = np.float32([0, 0, 1, 1])


def random_boxes(count, seed=0):
    sizes = {"scale": (0.3, 1.0), "ratio": (0.75, 1.33)}
    return np.stack(
        [
            [crop_box(draw_crop(200, 300, draws, **sizes), 200, 300) for _ in range(2)]
            for draws in (Draws(seed, i) for i in range(count))
        ]
    )


def describe_places(box, grid):
    """[h, w, D] of unit norm: alike where cells are near each other in the photo."""
    x = box[0] + (np.arange(grid[1]) + 0.5) / grid[1] * (box[2] - box[0])
    y = box[1] + (np.arange(grid[0]) + 0.5) / grid[0] * (box[3] - box[1])
    knots = np.linspace(-0.1, 1.1, 24)
    near_x, near_y = (
        np.exp(-((v[:, None] - knots) ** 2) / 0.006).astype(np.float32) for v in (x, y)
    )
    both = near_y[:, None, :, None] * near_x[None, :, None, :]
    return unit(both.reshape(*grid, -1))


def example(box, image=None):
    image = np.zeros((2, 8, 8, 3), np.uint8) if image is None else image
    return views.PairExample("a/photo", views.Pair(image, np.float32(box)))
