"""Which image comes when, and with which random numbers: pure functions.

All randomness is raw Philox output, whose bits NumPy guarantees across versions and
machines; the distributions of numpy.random carry no such promise.
"""

import functools

import numpy as np


@functools.lru_cache(maxsize=4)
def permutation(seed: int, epoch: int, size: int) -> np.ndarray:
    """[size] int64 order of the images of an epoch."""
    keys = np.random.Philox(key=[seed, epoch]).random_raw(size)
    return np.argsort(keys, kind="stable")


def image_at(seed: int, position: int, size: int, attempt: int = 0) -> int:
    """Index of the image at a position of the endless stream.

    Args:
        seed: seed of the run.
        position: step * batch_size + row.
        size: images in the source.
        attempt: how many neighbours in the order were found unusable.
    """
    epoch, place = divmod(position, size)
    return int(permutation(seed, epoch, size)[(place + attempt) % size])


class Draws:
    """Random numbers of one image, the same on every machine."""

    def __init__(self, seed: int, position: int):
        """Starts at the first number of stream (seed, position)."""
        # The second counter word keeps these apart from the permutations' numbers.
        self._bits = np.random.Philox(key=[seed, position], counter=[0, 1, 0, 0])

    def integer(self, low: int, high: int) -> int:
        """Uniform in low..high, both included."""
        return low + ((int(self._bits.random_raw()) * (high - low + 1)) >> 64)

    def uniform(self, low: float, high: float) -> float:
        """Uniform in [low, high), in steps of 2^-53 of its length."""
        return low + (high - low) * (self.integer(0, (1 << 53) - 1) / (1 << 53))
