"""The dense CRF of `ppcjax.refine.crf` in JAX, for batches of photos on a device.

Lattices are built on the host; filtering and mean field are one compiled program. Its
shapes are those of the photos and, padded to powers of two, of the lattices, so that
few programs are compiled.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np

from ppcjax.refine import crf
from ppcjax.refine.kernels import Kernel, kernel_lattice
from ppcjax.refine.lattice import GaussianFilter, Lattice, neighbours


class Tables(NamedTuple):
    """A weighted, normalised Gaussian filter of each photo as arrays.

    See `ppcjax.refine.lattice`. B is 1 where all photos share the filter.

    vertices: [B, P, d + 1] int32.
    weights: [B, P, d + 1] float32; the normalisation and the root of the kernel's
        compat included.
    neighbours: [B, d + 1, M, 2] int32; M where there is none.
    """

    vertices: chex.Array
    weights: chex.Array
    neighbours: chex.Array


def refine_batch(
    images: np.ndarray, probabilities: np.ndarray, settings: crf.CrfSettings
) -> jax.Array:
    """Label distributions of a dense CRF on photos of equal size.

    Args:
        images: [B, H, W, 3] uint8 RGB, B >= 1.
        probabilities: [B, H, W, C], as of `crf.refine`.
        settings: such as `crf.PRESETS["k1"]`.

    Returns:
        [B, H, W, C] float32 on the default device, the numbers of `crf.refine`.

    Raises:
        UserError: where `crf.refine` raises one.
    """
    images, probabilities = np.asarray(images), np.asarray(probabilities)
    chex.assert_rank([images, probabilities], 4)
    chex.assert_equal_shape_prefix([images, probabilities], 1)
    for image, scores in zip(images, probabilities, strict=True):
        crf.check_inputs(image, scores, settings)
    energies = crf.unary(probabilities, settings)
    energies = energies.reshape(len(images), -1, probabilities.shape[-1])
    q = mean_field(energies, *filter_tables(images, settings), settings.iterations)
    return q.reshape(probabilities.shape)


def filter_tables(
    images: np.ndarray, settings: crf.CrfSettings
) -> tuple[Tables, Tables]:
    """The filters of both kernels on photos [B, H, W, 3] uint8.

    Those of positions have a batch of 1. UserError: a deviation is too small for
    photos of this size.
    """
    size = images.shape[1:3]
    bilateral = [
        _tables(settings.bilateral, kernel_lattice(settings.bilateral, size, image))
        for image in images
    ]
    return _position_tables(settings.gaussian, size), _stack(bilateral)


@lru_cache(maxsize=4)
def _position_tables(kernel: Kernel, size: tuple[int, int]) -> Tables:
    return jax.device_put(_stack([_tables(kernel, kernel_lattice(kernel, size))]))


def _tables(kernel: Kernel, lattice: Lattice) -> Tables:
    """Tables of one photo, without the axis of the batch."""
    weights = GaussianFilter(lattice).weights * np.float32(np.sqrt(kernel.compat))
    pairs = np.stack([neighbours(step) for step in lattice.steps])
    return Tables(lattice.vertices, weights, pairs)


def _stack(tables: Sequence[Tables]) -> Tables:
    """Tables [B, ...], the vertices padded to a common power of two."""
    largest = max(table.neighbours.shape[1] for table in tables)
    padded = 1 << (largest - 1).bit_length()

    def pad(table):
        axes, count, _ = table.neighbours.shape
        pairs = np.full((axes, padded, 2), padded, np.int32)
        pairs[:, :count] = np.where(table.neighbours < count, table.neighbours, padded)
        return table._replace(neighbours=pairs)

    return jax.tree.map(lambda *leaves: np.stack(leaves), *map(pad, tables))


@jax.jit
def mean_field(
    energies: chex.Array,
    positions: Tables,
    bilateral: Tables,
    iterations: chex.Numeric,
) -> jax.Array:
    """`crf.mean_field` on a batch.

    Args:
        energies: [B, P, C] float32 unary energies.
        positions: with a batch of 1.
        bilateral: with a batch of B.
        iterations: [] number of updates.

    Returns:
        [B, P, C] float32.
    """
    chex.assert_rank(energies, 3)
    near = jax.tree.map(lambda leaf: leaf[0], positions)

    def of_photo(energies, alike):
        def update(_, q):
            return jax.nn.softmax(-energies + _filter(near, q) + _filter(alike, q))

        return jax.lax.fori_loop(0, iterations, update, jax.nn.softmax(-energies))

    return jax.vmap(of_photo)(energies, bilateral)


def _filter(tables: Tables, q: jax.Array) -> jax.Array:
    """Filters q [P, C] of one photo: splat, blur, slice."""
    corners = range(tables.vertices.shape[1])
    values = jnp.zeros((tables.neighbours.shape[1], q.shape[1]), q.dtype)
    for k in corners:
        values = values.at[tables.vertices[:, k]].add(tables.weights[:, k, None] * q)
    for pairs in tables.neighbours:
        both = values.at[pairs].get(mode="fill", fill_value=0)  # [M, 2, C]
        values = values + 0.5 * both.sum(axis=1)
    return sum(
        tables.weights[:, k, None] * values[tables.vertices[:, k]] for k in corners
    )
