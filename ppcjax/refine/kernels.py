"""Gaussian kernels between the pixels of a photo, as filters."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from ppcjax.refine.lattice import GaussianFilter, Lattice, build
from ppcjax.types import UserError

# Filters of positions are kept for photos up to this size: at most 30 MiB each.
_CACHED_PIXELS = 1 << 20


class Kernel(NamedTuple):
    """A Gaussian kernel between pixels, and how much it counts.

        k(i, j) = exp(-|p_i - p_j|^2 / (2 sxy^2) - |I_i - I_j|^2 / (2 srgb^2))

    sxy: standard deviation in pixels.
    compat: weight of the kernel; energy of two wholly similar pixels that disagree.
    srgb: standard deviation in grey levels (0..255); None: colour does not matter.
    """

    sxy: float
    compat: float
    srgb: float | None = None


def kernel_filter(kernel: Kernel, image: np.ndarray) -> GaussianFilter:
    """The filter of a kernel on a photo [H, W, 3] uint8; of positions it is cached."""
    height, width = image.shape[:2]
    if kernel.srgb is None and height * width <= _CACHED_PIXELS:
        return _position_filter(kernel, height, width)
    return GaussianFilter(kernel_lattice(kernel, (height, width), image))


@lru_cache(maxsize=4)
def _position_filter(kernel: Kernel, height: int, width: int) -> GaussianFilter:
    return GaussianFilter(kernel_lattice(kernel, (height, width)))


def kernel_lattice(
    kernel: Kernel, size: tuple[int, int], image: np.ndarray | None = None
) -> Lattice:
    """The lattice of the H W pixels of a photo, in rows.

    Args:
        kernel: whose deviations are the units.
        size: (H, W).
        image: [H, W, 3] uint8, where the kernel knows colour.

    Returns:
        The lattice, of 2 or 5 features.

    Raises:
        UserError: the deviations are too small for so large a photo.
    """
    try:
        return build(pixel_features(kernel, size, image))
    except ValueError as error:
        raise UserError(f"crf: {kernel}: {error}") from error


def pixel_features(
    kernel: Kernel, size: tuple[int, int], image: np.ndarray | None = None
) -> np.ndarray:
    """[H W, 2 or 5] float32: column, row and colours over their deviations."""
    channels = 2 if kernel.srgb is None else 5
    features = np.empty((*size, channels), np.float32)
    rows, columns = (
        np.arange(n, dtype=np.float32) / np.float32(kernel.sxy) for n in size
    )
    features[..., 0], features[..., 1] = columns, rows[:, None]
    if kernel.srgb is not None:
        np.divide(image, np.float32(kernel.srgb), out=features[..., 2:])
    return features.reshape(-1, channels)
