"""Photos of whole cells, as all that is made of features takes them.

Whatever reads features takes cell j of n for the j-th of n equal parts of a photo's
side H. A network of stride s has n = ceil(H / s) cells, which stand for s n pixels: at
97 pixels and s = 32 the last one would lie up to 31 pixels beside its part. So the
photo is brought to s n pixels, which changes nothing where H is a multiple of s.

What a trained convolutional cell looks at lies near the middle of its square, whatever
its padding says: kernels of stride 2 learn to look beside their own middle, as photos
were mirrored in training, and paddings at even sizes are each other's mirror image.
On photos of VOC, by squared slopes, rows and columns of EfficientNet-Lite0's fourth
stage lie at pixels 1.9 and 2.8 of cell 0 at stride 8, and at 8.5 and 11.3 at stride 16;
the middle is at 3.5 and 7.5, and padding says 7 and 15. So no photo is moved.
"""

import dataclasses
from typing import Any

import chex

from ppcjax.frozen.settings import FrozenSettings
from ppcjax.frozen.variables import module_of
from ppcjax.nn.layers import shrink
from ppcjax.nn.vit import VisionTransformer
from ppcjax.ops.resize import resize


def whole_cells(
    pixels: chex.Array, extent: chex.Array | None, stride: int
) -> tuple[Any, Any]:
    """Photos brought to whole cells.

    Args:
        pixels: [B, H, W, 3], zero beyond the photos.
        extent: [B, 2] their rows and columns, or None.
        stride: pixels per cell.

    Returns:
        The same with sides that are multiples of `stride`, next above what they were.
    """

    def whole(size):
        return None if size is None else shrink(size, stride) * stride

    size = tuple(map(whole, pixels.shape[1:3]))
    low = whole(extent)
    if extent is None and size == pixels.shape[1:3]:
        return pixels, None
    found = resize(pixels, size, align_corners=False, in_extent=extent, out_extent=low)
    return found, low


def settled(settings: FrozenSettings) -> FrozenSettings:
    """Settings that say whether photos are brought to whole cells.

    Args:
        settings: config.frozen; what it says stays.
    """
    if settings.whole_cells is not None:
        return settings
    module, _ = module_of(settings)
    transformer = isinstance(module, VisionTransformer)
    return dataclasses.replace(settings, whole_cells=not transformer)
