"""Photos as squares of cells: what a network says of each, and what its mask says."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from PIL import Image

from ppcjax.data_pipelines import large
from ppcjax.predict import devices
from ppcjax.predict.canvases import PROBE
from ppcjax.runs import Run
from ppcjax.types import IGNORE, UserError

# Published sides are the largest multiples of the patch up to here: 504 and 512.
USUAL_SIDE = 512


class Grid(NamedTuple):
    """How photos are cut into cells.

    map: name of the map that describes them.
    side: pixels of the square that every photo is resized to.
    cells: cells along that side.
    """

    map: str
    side: int
    cells: int


def grid_of(run: Run, name: str = "", side: int = 0) -> Grid:
    """The grid of a run's map.

    Args:
        run: network that gives features.
        name: name of the map; empty: the backbone's, "feature", where it gives several.
        side: pixels of the square; 0: the largest multiple of a cell up to 512.

    Raises:
        UserError: there is no such map, or its cells do not fill the square.
    """
    shape = jax.ShapeDtypeStruct
    batch = {
        "image": shape((1, PROBE, PROBE, 3), np.uint8),
        "valid": shape((1, 4), np.int32),
    }
    maps = jax.eval_shape(run.method.predict, run.params, run.model_state, batch)
    name = name or ("feature" if "feature" in maps else next(iter(maps)))
    if name not in maps:
        raise UserError(
            f"--map={name}: {run.name} has no such map; it has {', '.join(maps)}"
        )
    cell, rest = divmod(PROBE, maps[name].shape[1])
    if rest:
        raise UserError(f"--map={name}: its cells are no squares of whole pixels")
    side = side or USUAL_SIDE // cell * cell
    if side % cell:
        raise UserError(
            f"--side={side}: the cells of {name!r} are squares of {cell} pixels; give "
            f"a multiple, such as {max(side // cell, 1) * cell}"
        )
    return Grid(name, side, side // cell)


Describe = Callable[[Sequence[Any]], jax.Array]


def describer(run: Run, grid: Grid, batch_size: int) -> Describe:
    """What asks the network; the only place where that is done.

    Args:
        run: network that gives features.
        grid: how photos are cut.
        batch_size: photos at a time.

    Returns:
        At most `batch_size` examples with `image` [H, W, 3] uint8 -> float32
        [B, cells, cells, D], on the devices; rows beyond the examples are to be passed
        over.
    """
    network = devices.compiled(run.method.predict, run.method)
    weights = devices.replicate((run.params, run.model_state))
    rows = devices.filled(batch_size, batch_size)
    valid = np.tile(np.int32([0, 0, grid.side, grid.side]), (rows, 1))

    def describe(examples: Sequence[Any]) -> jax.Array:
        image = np.zeros((rows, grid.side, grid.side, 3), np.uint8)
        for i, example in enumerate(examples):
            photo = Image.fromarray(example.image)
            size = (grid.side, grid.side)
            image[i] = photo.resize(size, Image.Resampling.BICUBIC)
        batch = devices.seen(run.method, {"image": image, "valid": valid})
        return network(*weights, batch)[grid.map]

    return describe


def labels_of(mask: np.ndarray, grid: Grid, num_classes: int) -> np.ndarray:
    """What share of each cell's pixels is of each class; void ones count nowhere.

    Args:
        mask: [H, W] class ids or IGNORE, of a photo that is resized to the square.
        grid: how it is cut.
        num_classes: C.

    Returns:
        [cells * cells, C] float32 that sum to 1, to 0 where no pixel has a class.

    Raises:
        UserError: the mask holds other classes.
    """
    square = large.nearest(mask, (grid.side, grid.side)).astype(np.int64)
    known = square != IGNORE
    if known.any() and square[known].max() >= num_classes:
        raise UserError(
            f"a mask holds class {square[known].max()}, but there are only the "
            f"{num_classes} classes 0 to {num_classes - 1}"
        )
    place = np.arange(grid.side) // (grid.side // grid.cells)
    cell = place[:, None] * grid.cells + place[None]
    pairs = (cell * num_classes + square)[known]
    shape = (grid.cells**2, num_classes)
    counts = np.bincount(pairs, minlength=shape[0] * shape[1]).reshape(shape)
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    return shares.astype(np.float32)


def chosen(labels: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Cells of a photo that are remembered, of rare classes rather than of common ones.

    The score of a cell is the sum, over the classes in it, of the number of the photo's
    cells that hold the class. Those with the smallest products of score and a random
    number in [0, 1) are chosen.

    Args:
        labels: [P, C] as `labels_of` gives them; cells without a class are not chosen.
        count: how many, >= 0; all where there are fewer.
        rng: what draws.

    Returns:
        Places in ascending order.
    """
    holds = labels > 0
    score = holds @ holds.sum(0)
    drawn = np.where(score > 0, score * rng.random(len(labels)), np.inf)
    order = np.argsort(drawn, kind="stable")[: min(count, int((score > 0).sum()))]
    return np.sort(order)
