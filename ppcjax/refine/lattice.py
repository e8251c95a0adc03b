"""Gaussian filters of scattered points in linear time, on the permutohedral lattice.

Adams, Baek and Davis, "Fast High-Dimensional Filtering Using the Permutohedral
Lattice", Eurographics 2010. A point with d features lies in a simplex of a lattice in
d + 1 coordinates whose sum is 0. It is splatted onto the d + 1 vertices of that
simplex, the vertices are blurred along the d + 1 axes, and the result is sliced at the
points. All three are sparse products here.

A vertex of remainder k (0..d) has coordinates (d + 1) q + k with integers q, so the
vertices of each remainder are a class of their own, and a step along an axis leads from
class k to class k + 1. Within a class a vertex is the integer that packs its q; a step
along an axis adds a constant to it.

Letters in shapes: P points, d features, M vertices, S simplices that hold points.
"""

from typing import NamedTuple

import numpy as np
import scipy.sparse

# Points of which the simplices are found at a time: bounds the temporaries.
_CHUNK = 1 << 17
# As in the released dense CRF; keeps the square root finite.
_EPSILON = 1e-20


class Lattice(NamedTuple):
    """Where points lie in a permutohedral lattice.

    vertices: [P, d + 1] int32 in 0..M-1, the corners of each point's simplex.
    weights: [P, d + 1] float32 barycentric coordinates; each row sums to 1.
    steps: [d + 1, M] int32, the vertex one step along each axis; M where none is.
    """

    vertices: np.ndarray
    weights: np.ndarray
    steps: np.ndarray


class Packing(NamedTuple):
    """How the integers q_1..q_d and the ranks of a simplex become one integer.

    low: [d] int64 lower bound of each q.
    strides: [d] int64 of q_1..q_d; q_0 follows, since the coordinates sum to 0.
    """

    low: np.ndarray
    strides: np.ndarray


def build(features: np.ndarray) -> Lattice:
    """The lattice that holds given points.

    Args:
        features: [P, d] float32, P >= 1, in units of the Gaussian's standard
            deviation.

    Returns:
        The lattice; M is at most P (d + 1).

    Raises:
        ValueError: the features spread so far that vertices do not pack into 63 bits.
    """
    points, d = features.shape
    packing = _packing(features)
    simplices = np.empty(points, np.int64)
    weights = np.empty((points, d + 1), np.float32)
    for start in range(0, points, _CHUNK):
        rows = slice(start, start + _CHUNK)
        quotients, ranks, weights[rows] = _enclosing_simplices(features[rows])
        simplices[rows] = _pack(packing, quotients, ranks)
    simplices, of_point = np.unique(simplices, return_inverse=True)
    of_point = of_point.astype(np.int32)
    keys, corners = _corners(simplices, packing.strides)
    vertices = np.empty((points, d + 1), np.int32)
    for start in range(0, points, _CHUNK):
        rows = slice(start, start + _CHUNK)
        np.take(corners, of_point[rows], axis=0, out=vertices[rows])
    return Lattice(vertices, weights, _steps(keys, packing.strides))


def _scales(d: int) -> np.ndarray:
    """[d] factors that give the blurred lattice a standard deviation of 1."""
    i = np.arange(1, d + 1)
    return (np.sqrt(2 / 3) * (d + 1) / np.sqrt(i * (i + 1))).astype(np.float32)


def _elevation(d: int) -> np.ndarray:
    """[d + 1, d] matrix from scaled features to lattice coordinates."""
    upper = np.triu(np.ones((d + 1, d)))
    return upper - np.diag(np.arange(1, d + 1), -1)[:, :d]


def _packing(features: np.ndarray) -> Packing:
    """Bounds of q over the box around the features, one step on either side."""
    d = features.shape[1]
    matrix = (_elevation(d) * _scales(d))[1:] / (d + 1)  # [d, d]
    box = np.stack([features.min(axis=0), features.max(axis=0)]).astype(np.float64)
    ends = np.sort(matrix * box[:, None, :], axis=0).sum(axis=2)  # [2, d]
    # 1 for rounding, 1 for the other corners of a simplex, 1 for steps beyond.
    low, high = np.floor(ends[0]) - 3, np.ceil(ends[1]) + 3
    sizes = high - low + 1
    if not np.prod(sizes) * (d + 1) ** d < 2.0**62:
        raise ValueError(
            f"lattice of {' x '.join(f'{n:.0f}' for n in sizes)} cells is too fine; "
            "the standard deviations are too small for these features"
        )
    strides = np.cumprod([1, *sizes[:-1]]).astype(np.int64)
    return Packing(low.astype(np.int64), strides)


def _enclosing_simplices(
    features: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The simplex around each point.

    Args:
        features: [P, d] float32.

    Returns:
        [d + 1, P] int32 q of the vertex of remainder 0, [d + 1, P] int8 rank of each
        coordinate (0: furthest above that vertex), and [P, d + 1] float32 weights of
        the vertices of remainder 0..d.
    """
    d = features.shape[1]
    elevated = _elevate(features)
    quotients = np.rint(elevated * np.float32(1 / (d + 1))).astype(np.int32)
    offsets = elevated - (d + 1) * quotients.astype(np.float32)
    ranks = np.zeros(offsets.shape, np.int8)
    for i in range(d):
        for j in range(i + 1, d + 1):
            less = offsets[i] < offsets[j]
            ranks[i] += less
            ranks[j] += ~less
    # The rounded coordinates may miss the plane of sum 0: the excess is taken from
    # those that were rounded the most.
    ranks += quotients.sum(axis=0).astype(np.int8)
    moves = (ranks < 0).astype(np.int8) - (ranks > d)
    ranks += np.int8(d + 1) * moves
    quotients += moves
    offsets -= np.float32(d + 1) * moves
    return quotients, ranks, _barycentric(offsets, ranks)


def _elevate(features: np.ndarray) -> np.ndarray:
    """Lattice coordinates [d + 1, P] of features [P, d]: `_elevation` in O(P d)."""
    points, d = features.shape
    elevated = np.empty((d + 1, points), np.float32)
    total = np.zeros(points, np.float32)
    for j, scale in zip(range(d, 0, -1), _scales(d)[::-1], strict=True):
        scaled = features[:, j - 1] * scale
        elevated[j] = total - np.float32(j) * scaled
        total += scaled
    elevated[0] = total
    return elevated


def _barycentric(offsets: np.ndarray, ranks: np.ndarray) -> np.ndarray:
    """Weights [P, d + 1] of the vertices of remainder 0..d; inputs [d + 1, P]."""
    d = len(offsets) - 1
    ordered = np.empty_like(offsets)  # by rank: descending
    np.put_along_axis(
        ordered, ranks.astype(np.intp), offsets * np.float32(1 / (d + 1)), axis=0
    )
    weights = np.empty((offsets.shape[1], d + 1), np.float32)
    weights[:, 0] = 1 + (ordered[d] - ordered[0])
    for k in range(1, d + 1):
        weights[:, k] = ordered[d - k] - ordered[d - k + 1]
    return weights


def _pack(packing: Packing, quotients: np.ndarray, ranks: np.ndarray) -> np.ndarray:
    """[P] int64 of each simplex: q_1..q_d, then the ranks 1..d as digits."""
    d = len(ranks) - 1
    packed = np.zeros(ranks.shape[1], np.int64)
    for q, low, stride in zip(quotients[1:], *packing, strict=True):
        packed += (q - low) * stride
    for rank in ranks[1:]:
        packed *= d + 1
        packed += rank
    return packed


def _corners(
    simplices: np.ndarray, strides: np.ndarray
) -> tuple[list[np.ndarray], np.ndarray]:
    """The vertices that packed simplices [S] have.

    Returns:
        Ascending packed q of the vertices of each remainder, and [S, d + 1] int32, the
        vertex of each remainder at each simplex; vertices count on over remainders.
    """
    d = len(strides)
    base, ranks = simplices, []
    for _ in range(d):
        base, rank = np.divmod(base, d + 1)
        ranks.append(rank.astype(np.int8))
    corners = np.empty((len(simplices), d + 1), np.int32)
    keys, count = [], 0
    for k in range(d + 1):
        packed = base.copy()
        for rank, stride in zip(reversed(ranks), strides, strict=True):
            packed -= stride * (rank > d - k)
        found, of_simplex = np.unique(packed, return_inverse=True)
        corners[:, k] = of_simplex + count
        keys.append(found)
        count += len(found)
    return keys, corners


def _steps(keys: list[np.ndarray], strides: np.ndarray) -> np.ndarray:
    """[d + 1, M] int32 vertex one step along each axis, M where there is none.

    A step along axis j adds 1 to every coordinate and takes d + 1 from coordinate j.
    """
    d = len(strides)
    starts = np.cumsum([0, *map(len, keys)])
    steps = np.full((d + 1, starts[-1]), starts[-1], np.int32)
    for k, origins in enumerate(keys):
        targets = keys[(k + 1) % (d + 1)]
        carry = strides.sum() if k == d else 0
        for j in range(d + 1):
            wanted = origins + (carry - (strides[j - 1] if j else 0))
            place = np.searchsorted(targets, wanted)
            np.minimum(place, len(targets) - 1, out=place)
            hit = targets[place] == wanted
            row = steps[j, starts[k] : starts[k + 1]]
            row[hit] = place[hit] + starts[(k + 1) % (d + 1)]
    return steps


class GaussianFilter:
    """The symmetrically normalised Gaussian filter of the points of a lattice.

        F = N W B_d ... B_0 W^T N,   N = diag(1 / sqrt(W B_d ... B_0 W^T 1))

    with the barycentric weights W [P, M] and the blurs B_j along the axes; a point's
    own contribution counts. Takes over the lattice's vertices and weights, which are
    scaled in place: `weights` [P, d + 1] are the entries of N W.
    """

    def __init__(self, lattice: Lattice):
        self.weights = lattice.weights
        points, corners = lattice.vertices.shape
        vertices = lattice.steps.shape[1]
        # No copies: scaling the weights scales the matrix.
        self._slice = scipy.sparse.csr_array(
            (
                lattice.weights.reshape(-1),
                lattice.vertices.reshape(-1),
                np.arange(0, points * corners + 1, corners, dtype=np.int32),
            ),
            shape=(points, vertices),
        )
        halves = np.full(2 * vertices, 0.5, np.float32)
        self._blurs = [_half_neighbours(step, halves) for step in lattice.steps]
        norm = self(np.ones((points, 1), np.float32))
        self.weights *= 1 / np.sqrt(norm + np.float32(_EPSILON))

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Filters values [P, C] float32."""
        values = self._slice.T @ values
        for blur in self._blurs:
            values += blur @ values
        return self._slice @ values


def neighbours(step: np.ndarray) -> np.ndarray:
    """[M, 2] int32, the vertices one step [M] up and down an axis; M where none is."""
    vertices = len(step)
    pairs = np.full((vertices, 2), vertices, np.int32)
    pairs[:, 0] = step
    origins = np.flatnonzero(step < vertices)
    pairs[step[origins], 1] = origins
    return pairs


def _half_neighbours(step: np.ndarray, halves: np.ndarray) -> scipy.sparse.csr_array:
    """The matrix [M, M] whose product is half the sum of both neighbours on an axis.

    A blur adds it to the values themselves: the filter is normalised, so that the sum
    of the weights is of no account. All matrices share the array of halves.
    """
    pairs = neighbours(step)
    there = pairs < len(step)
    indices = pairs[there]
    ends = np.cumsum(there.sum(axis=1, dtype=np.int32), dtype=np.int32)
    return scipy.sparse.csr_array(
        (halves[: len(indices)], indices, np.concatenate([np.int32([0]), ends])),
        shape=(len(step), len(step)),
    )
