"""Networks of every backbone that has published names, small or without memory."""

import functools
import gzip
import json

import numpy as np

from ppcjax.weights import guess
from tests.weights.record_names import FILE


@functools.cache
def recorded():
    """Name -> shape of networks of other libraries, by "LIBRARY/NETWORK"."""
    return json.loads(gzip.decompress(FILE.read_bytes()))


def without_memory(shapes):
    """Arrays of these shapes that take no memory."""
    return {name: np.broadcast_to(np.float32(0), s) for name, s in shapes.items()}


def small(backbone, settings, seed=0):
    """Parameters and statistics of a backbone by path, random and with few channels.

    Sides of kernels and counts up to 4 stay; all other lengths become 6, so that a
    query, a key and a value fit side by side.
    """
    rng = np.random.default_rng(seed)

    def draw(shape):
        sides = shape[:2] if len(shape) == 4 else ()
        rest = (n if n <= 4 else 6 for n in shape[len(sides) :])
        return rng.standard_normal((*sides, *rest)).astype(np.float32)

    leaves = guess.leaves(backbone, settings)
    return {path: draw(leaf.shape) for path, leaf in leaves.items()}
