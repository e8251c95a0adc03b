"""Textures of the classes of `shapes`: whole numbers only, as there."""

import numpy as np

PERIOD = 72  # in 1/1024 of the image side


def of_class(
    class_id: int, v: np.ndarray, u: np.ndarray, grain: np.ndarray, size: int
) -> np.ndarray:
    """The texture of a class on the pixels of a window.

    Speckled, lined, banded, netted, tiled, none of which the patterns of parts are.

    Args:
        class_id: class of the body, 1 to 5.
        v: [rows, columns] int places along the body, in 1/16 pixel.
        u: [rows, columns] int places across it, in 1/16 pixel.
        grain: [rows, columns] int32 noise in 0..255.
        size: side of the image, pixels.

    Returns: [rows, columns] int32 in 0..255.
    """
    if class_id == 1:
        return grain
    period = 16 * size * PERIOD // 1024
    if class_id == 2:
        light = u % period < period // 2
    elif class_id == 3:
        light = v % (3 * period) < 3 * period // 2
    elif class_id == 4:
        light = (u % period < period // 3) | (v % period < period // 3)
    else:
        wide = 3 * period // 2
        light = (u % wide < period) & (v % wide < period)
    return 255 * light.astype(np.int32)
