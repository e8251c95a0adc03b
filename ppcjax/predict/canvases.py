"""Images of many sizes on canvases of few sizes: the host's side of `predict.tta`."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from ppcjax.predict import devices

# Side of the image that tells a network's stride, a multiple of all: 14, 8, 16, 32.
PROBE = 448


def canvas_size(length: int, *, steps: int = 4, smallest: int = 32) -> int:
    """The smallest side on the ladder of canvas sides that holds `length` pixels.

    Each octave is divided evenly: with 4 steps ..., 128, 160, 192, 224, 256, 320, ...
    """
    octave = smallest
    while 2 * octave < length:
        octave *= 2
    step = max(octave // steps, 1)
    return max(smallest, -(-length // step) * step)


class Group(NamedTuple):
    """Examples that share all shapes.

    examples: at most `size`.
    sizes: (rows, columns) of each at scale 1 of the network.
    canvas: rows and columns of the scores' canvas.
    network_canvas: the same for the network's input at scale 1.
    size: rows of the batch, a multiple of the devices; what is left is filled.
    """

    examples: list[Any]
    sizes: list[tuple[int, int]]
    canvas: tuple[int, int]
    network_canvas: tuple[int, int]
    size: int


def groups(
    examples: Iterable[Any],
    canvas: Callable[[int], int],
    *,
    batch_size: int,
    max_side: int,
    enlarge: bool = False,
) -> Iterator[Group]:
    """Collects examples of equal canvases; at the end, the incomplete batches.

    Args:
        examples: each with `image` [H, W, 3].
        canvas: side -> side of its canvas.
        batch_size: images of up to 512 x 512 pixels in a batch; fewer if larger.
        max_side: longest side for the network, pixels; longer images are shrunk.
        enlarge: whether shorter ones are enlarged.
    """
    pending: dict[tuple[int, ...], Group] = {}
    compiled = set()  # canvases whose full batch has a program already
    for example in examples:
        height, width = example.image.shape[:2]
        factor = max_side / max(height, width)
        factor = factor if enlarge else min(1.0, factor)
        size = scaled_side(height, factor), scaled_side(width, factor)
        key = tuple(canvas(side) for side in (height, width, *size))
        if key not in pending:
            fit = batch_size * 512 * 512 // (key[0] * key[1])
            full = min(max(fit, 1), batch_size)
            full = devices.filled(full, full)
            pending[key] = Group([], [], key[:2], key[2:], full)
        group = pending[key]
        group.examples.append(example)
        group.sizes.append(size)
        if len(group.examples) == group.size:
            compiled.add(key)
            yield pending.pop(key)
    for key, group in pending.items():
        if key not in compiled:
            size = devices.filled(len(group.examples), group.size)
            group = group._replace(size=size)
        yield group


def scaled_side(length: int, scale: float) -> int:
    """Pixels of a side after scaling, half rounded to even as Python does."""
    return max(round(length * scale), 1)


def scaled_images(
    group: Group, scale: float, sides: tuple[int, int], *, flip: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Resizes the images of a group (bicubic) into the corners of canvases.

    Args:
        group: B examples.
        scale: factor of their sides.
        sides: rows and columns of the canvases.
        flip: whether all images follow once more, mirrored.

    Returns:
        images [B or 2B, *sides, 3] uint8 and their rows and columns [B or 2B, 2]
        int32; what fills an incomplete batch is one black pixel.
    """
    copies = 2 if flip else 1
    images = np.zeros((copies, group.size, *sides, 3), np.uint8)
    scaled = np.ones((copies, group.size, 2), np.int32)
    for i, (example, size) in enumerate(zip(group.examples, group.sizes, strict=True)):
        height, width = scaled_side(size[0], scale), scaled_side(size[1], scale)
        image = np.asarray(
            Image.fromarray(example.image).resize(
                (width, height), Image.Resampling.BICUBIC
            )
        )
        images[0, i, :height, :width] = image
        images[-1, i, :height, :width] = image[:, ::-1] if flip else image
        scaled[:, i] = height, width
    return images.reshape(-1, *sides, 3), scaled.reshape(-1, 2)
