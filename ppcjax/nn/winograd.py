"""3x3 convolutions and their gradients by tiles, for a quarter of the products.

Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016. Their
F(4x4, 3x3) makes 4x4 outputs Y of a tile d of 6x6 inputs and a kernel g:

    Y = A^T [(G g G^T) * (B^T d B)] A

with one product for each of 36 positions where a plain sum takes 144. Y is linear in g,
so that the gradient of g is the same read backwards, with dY in the place of Y, and the
sum over all tiles is a matrix product at each position:

    dg = G^T [sum over tiles of (B^T d B) * (A dY A^T)] G

In float32 either differs from the plain sum by about 1e-5 of the largest value.
"""

import chex
import jax
import jax.numpy as jnp
import numpy as np

# For the points 0, 1, -1, 2, -2 and infinity, as in the paper's section 5.1.
B = np.array(
    [
        [4, 0, 0, 0, 0, 0],
        [0, -4, 4, -2, 2, 4],
        [-5, -4, -4, -1, -1, 0],
        [0, 1, -1, 2, -2, -5],
        [1, 1, 1, 1, 1, 0],
        [0, 0, 0, 0, 0, 1],
    ],
    np.float32,
)
G = np.array(
    [
        [1 / 4, 0, 0],
        [-1 / 6, -1 / 6, -1 / 6],
        [-1 / 6, 1 / 6, -1 / 6],
        [1 / 24, 1 / 12, 1 / 6],
        [1 / 24, -1 / 12, 1 / 6],
        [0, 0, 1],
    ],
    np.float32,
)
A = np.array(
    [
        [1, 0, 0, 0],
        [1, 1, 1, 1],
        [1, -1, 1, -1],
        [1, 2, 4, 8],
        [1, -2, 4, -8],
        [0, 0, 0, 1],
    ],
    np.float32,
)
OUT, KERNEL, IN = 4, 3, 6  # sides of a tile of outputs, of the kernel, of the inputs
# What profiles tell from the products.
_transforms = jax.named_scope("transforms_of_tiles")


def tiles(size: int, dilation: int) -> int:
    """Tiles that cover `size` rows or columns of an output."""
    return -(-size // (OUT * dilation))


def kernel_gradient(x: chex.Array, dy: chex.Array, dilation: int = 1) -> jax.Array:
    """The gradient of the kernel of a 3x3 convolution with stride 1.

    A dilated convolution is a plain one on each of dilation x dilation interleaved
    parts of the image; a tile takes every dilation-th row and column.

    Args:
        x: [B, h, w, C] input, to which the convolution adds `dilation` zeros on each
            side.
        dy: [B, h, w, D] gradient of the output.
        dilation: spacing of the taps.

    Returns:
        [3, 3, C, D], float32: shorter types do not hold the constants.
    """
    x, dy = x.astype(jnp.float32), dy.astype(jnp.float32)
    inputs = _transformed(_cut(x, dilation, IN, border=dilation), B.T)
    outputs = _transformed(_cut(dy, dilation, OUT), A)
    # Both [36, B, tiles, dilation, tiles, dilation, channels]: no axis is merged here,
    # so that a batch that lies on several devices stays where it is.
    summed = tuple(range(1, 6))
    products = jax.lax.dot_general(inputs, outputs, ((summed,) * 2, ((0,), (0,))))
    gradient = _summed("pk,pcd->kcd", _twice(G), products)
    return gradient.reshape(KERNEL, KERNEL, *gradient.shape[1:])


def input_gradient(kernel: chex.Array, dy: chex.Array, dilation: int = 1) -> jax.Array:
    """The gradient of the input of a 3x3 convolution with stride 1.

    It is such a convolution, too: of dy, by the kernel turned round.

    Args:
        kernel: [3, 3, C, D].
        dy: [B, h, w, D] gradient of the output.
        dilation: spacing of the taps, and the zeros that the convolution adds on each
            side.

    Returns:
        [B, h, w, C], float32.
    """
    rows, columns = dy.shape[1:3]
    kernel, dy = kernel.astype(jnp.float32), dy.astype(jnp.float32)
    inputs = _transformed(_cut(dy, dilation, IN, border=dilation), B.T)
    taps = kernel.reshape(KERNEL**2, *kernel.shape[2:])
    turned = _twice(G)[:, ::-1]
    weights = _summed("pk,kcd->pcd", turned, taps)
    products = jax.lax.dot_general(inputs, weights, (((6,), (2,)), ((0,), (0,))))
    outputs = _summed("pq,p...->q...", _twice(A), products)
    return _joined(outputs)[:, :rows, :columns]


@_transforms
def _joined(outputs: jax.Array) -> jax.Array:
    """Tiles of 4x4 [16, B, T, dilation, T', dilation, D] as [B, rows, columns, D]."""
    _, batch, down, dilation, right, _, depth = outputs.shape
    outputs = outputs.reshape(OUT, OUT, *outputs.shape[1:])
    outputs = outputs.transpose(2, 3, 0, 4, 5, 1, 6, 7)
    step = OUT * dilation
    return outputs.reshape(batch, down * step, right * step, depth)


@_transforms
def _cut(x: jax.Array, dilation: int, side: int, border: int = 0) -> jax.Array:
    """[B, h, w, C] in tiles of side x side: [columns, rows, B, T, dil., T', dil., C].

    Tiles begin every 4 rows and columns; of larger sides they overlap. Zeros stand
    before the first `border` rows and columns, and behind the last.
    """
    counts = [tiles(size, dilation) for size in x.shape[1:3]]
    sizes = [(count + (side > OUT)) * OUT * dilation for count in counts]
    behind = [a - b - border for a, b in zip(sizes, x.shape[1:3], strict=True)]
    x = jnp.pad(x, ((0, 0), *((border, more) for more in behind), (0, 0)))
    for axis, count in zip((1, 4), counts, strict=True):
        x = _cut_axis(x, axis, count, dilation, side)
    return x


def _cut_axis(
    x: jax.Array, axis: int, count: int, dilation: int, side: int
) -> jax.Array:
    """One axis as [side, ..., count, dilation, ...]: a slice for each place."""
    shape = list(x.shape)
    shape[axis : axis + 1] = [shape[axis] // (OUT * dilation), OUT, dilation]
    x = x.reshape(shape)
    places = []
    for place in range(side):
        first, within = divmod(place, OUT)
        part = jax.lax.slice_in_dim(x, first, first + count, axis=axis)
        places.append(jax.lax.index_in_dim(part, within, axis + 1, keepdims=False))
    return jnp.stack(places)


@_transforms
def _summed(equation: str, matrix: np.ndarray, x: jax.Array) -> jax.Array:
    """A constant matrix times what stands at positions or taps."""
    return jnp.einsum(equation, matrix, x)


@_transforms
def _transformed(cut: jax.Array, matrix: np.ndarray) -> jax.Array:
    """Each tile t as matrix t matrix^T: [36 positions, B, T, dil., T', dil., C]."""
    # By one product with a constant: passes of sums over the maps take twice as long.
    twice = _twice(matrix).reshape(36, *cut.shape[:2])
    return jnp.einsum("prc,cr...->p...", twice, cut)


def _twice(matrix: np.ndarray) -> np.ndarray:
    """What rows and columns together do: the Kronecker product with itself."""
    return np.kron(matrix, matrix)
