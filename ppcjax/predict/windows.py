"""Class scores of large images from windows of the size that the network trained on."""

import dataclasses
from collections.abc import Callable, Iterator
from functools import partial
from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ppcjax.fields import Range, kinds
from ppcjax.nn.layers import inside
from ppcjax.ops.resize import resize
from ppcjax.types import UserError


class Windows(NamedTuple):
    """How an image is cut, in pixels of the scaled image.

    size: (rows, columns) of a window.
    step: rows and columns from one window to the next.
    """

    size: tuple[int, int]
    step: tuple[int, int]


_Side = Annotated[int, Range(1, kinds.LONGEST_SIDE), "pixels"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class WindowSettings:
    """How large photos are cut into windows; without them they are seen whole.

    window: side of a window, or its rows and columns; None: no windows.
    window_stride: pixels from one window to the next; None: no overlap.
    """

    window: _Side | tuple[_Side, _Side] | None = None
    window_stride: _Side | tuple[_Side, _Side] | None = None

    def __post_init__(self):
        """Raises UserError where the two do not go together."""
        if self.window is None and self.window_stride is not None:
            raise UserError(
                f"eval.window_stride={self.window_stride}: give eval.window as well"
            )
        self.resolved()

    def resolved(self) -> Windows | None:
        """The windows; None for none."""
        if self.window is None:
            return None
        size = _pair(self.window)
        step = size if self.window_stride is None else _pair(self.window_stride)
        if step[0] > size[0] or step[1] > size[1]:
            raise UserError(
                f"eval.window_stride={self.window_stride}: larger than "
                f"eval.window={self.window}, so that pixels between would not be seen"
            )
        return Windows(size, step)


def starts(length: int, size: int, step: int) -> list[int]:
    """First pixels of the windows along one side; the last ends with the side."""
    if length <= size:
        return [0]
    return sorted({*range(0, length - size, step), length - size})


def mean_of_windows(
    images: np.ndarray,
    scaled: np.ndarray,
    network: Callable[[np.ndarray, np.ndarray], dict[str, jax.Array]],
    windows: Windows,
    *,
    stride: int,
    num_classes: int,
) -> jax.Array:
    """Logits of images at their own size: of each pixel, the mean over its windows.

    The logits of a window are resized to it with aligned corners. All windows have one
    shape, whatever the images' sizes, so that few programs are compiled.

    Args:
        images: [N, H, W, 3] uint8 in the corners of canvases.
        scaled: [N, 2] their true rows and columns.
        network: (images, valid) -> "logits" [N, h, w, C] and maybe "extent" [N, 2].
        windows: how they are cut; windows larger than the canvas are cut to it.
        stride: pixels per cell, for networks that give no "extent".
        num_classes: C.

    Returns:
        [N, H, W, C] float32, zero beyond the true sizes.

    Source: sliding mode of the released ContrastiveSeg.
    """
    sides = images.shape[1:3]
    rows, columns = (
        min(size, side) for size, side in zip(windows.size, sides, strict=True)
    )
    total = jnp.zeros((*images.shape[:3], num_classes), jnp.float32)
    hits = jnp.zeros((*images.shape[:3], 1), jnp.float32)
    for places, used in _batches(scaled, (rows, columns), windows.step, len(images)):
        extent = np.minimum((rows, columns), scaled[places[:, 0]] - places[:, 1:])
        extent = extent.astype(np.int32)
        patches = np.stack(
            [images[n, y : y + rows, x : x + columns] for n, y, x in places]
        )
        out = network(patches, np.concatenate([np.zeros_like(extent), extent], 1))
        cells = out.get("extent", -(-extent // stride))
        total, hits = _add(
            total, hits, out["logits"], cells, extent, places, used, (rows, columns)
        )
    return total / jnp.maximum(hits, 1.0)


def _batches(
    scaled: np.ndarray, size: tuple[int, int], step: tuple[int, int], count: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Places [count, 3] (image, row, column), and whether each is used [count]."""
    places = [
        (n, y, x)
        for n, (height, width) in enumerate(scaled.tolist())
        for y in starts(height, size[0], step[0])
        for x in starts(width, size[1], step[1])
    ]
    for first in range(0, len(places), count):
        part = places[first : first + count]
        used = np.arange(count) < len(part)
        filled = part + part[:1] * (count - len(part))
        yield np.array(filled, np.int32), used


@partial(jax.jit, static_argnames="size", donate_argnums=(0, 1))
def _add(total, hits, logits, cells, extent, places, used, size):
    """Adds windows' logits to the sums of their images, and counts them."""
    maps = resize(logits, size, align_corners=True, in_extent=cells, out_extent=extent)
    seen = inside(maps, extent) & used[:, None, None, None]
    maps = jnp.where(seen, maps, 0.0)

    def add(i, sums):
        corner = (places[i, 0], places[i, 1], places[i, 2], 0)

        def added(whole, part):
            part = part[i][None]
            old = jax.lax.dynamic_slice(whole, corner, part.shape)
            return jax.lax.dynamic_update_slice(whole, old + part, corner)

        return added(sums[0], maps), added(sums[1], seen.astype(jnp.float32))

    return jax.lax.fori_loop(0, len(places), add, (total, hits))


def _pair(side: int | tuple[int, int]) -> tuple[int, int]:
    return side if isinstance(side, tuple) else (side, side)
