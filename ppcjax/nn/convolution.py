"""Convolutions that learn, in the form that is fastest on a CPU.

GPUs and TPUs keep what their compilers make, and so does whatever is not learnt from:
predictions, and what is exported. In a training step on a CPU there are three forms:

    compiler: XLA's own;
    by_taps: a matrix product for each tap of the kernel, for its gradient alone;
    by_tiles: Winograd's, for 3x3 kernels of stride 1, see ppcjax/nn/winograd.py.

For the gradient of a kernel XLA's own takes up to six times as long as plain products
would, which the other two mend. Forwards, and for the gradient of the input, which is a
convolution, too, it is near the rate of plain products; tiles need half of its time
where there are many channels. `kernel_form` and `map_form` take what costs least by a
model of two-core measurements. By tiles a map differs by 1.5e-5 of its largest value.
"""

import functools
import math
from typing import Literal, NamedTuple

import chex
import jax
import jax.numpy as jnp

from ppcjax.nn import winograd

Form = Literal["compiler", "by_taps", "by_tiles"]
_NHWC = ("NHWC", "HWIO", "NHWC")

# What a float costs that is copied or transformed, in multiply-adds of a product in
# cache: measured over 24 layers of the networks here on an x86 CPU with AVX-512. What
# matters is which form is the cheapest, and that by far where it is not close.
_COPIED = 170
_TRANSFORMED = 110
_GATHERED = 100
_SMALL = 2**26  # multiply-adds below which no form is worth its compile time
# Maps of XLA's own gradient of a kernel - floats or places of the output's gradient,
# and its smaller side - beyond which it falls behind the rate of products.
_LARGE, _LARGE_PLACES, _LARGE_SIDE, _BEHIND = 2**19, 2**12, 17, 4.0
_WORTH = 0.85  # of the compiler's cost that a form may have that rounds otherwise


class Window(NamedTuple):
    """How a square kernel moves over an image.

    side: taps per row and column.
    stride: step.
    dilation: spacing of the taps.
    padding: zeros before the first and behind the last row and column.
    """

    side: int
    stride: int
    dilation: int
    padding: tuple[int, int]


def kernel_form(x: tuple[int, ...], dy: tuple[int, ...], window: Window) -> Form:
    """The form of a kernel's gradient that costs least on a CPU.

    Args:
        x: shape [B, h, w, C] of the input.
        dy: shape [B, h', w', D] of the output.
        window: the kernel's.
    """
    plain, taps = _plain_cost(x, dy, window), window.side**2
    if plain < _SMALL:
        return "compiler"
    places, channels = math.prod(dy[:3]), x[-1] + dy[-1]
    large = places * dy[-1] > _LARGE or places > _LARGE_PLACES
    large &= min(dy[1:3]) >= _LARGE_SIDE
    copied = _COPIED if window.stride == 1 else 2 * _COPIED  # single pixels
    costs = {
        "compiler": plain * (_BEHIND if large else 1.25),
        "by_taps": 1.1 * plain + copied * taps * places * channels,
    }
    if has_tiles(window):
        costs["by_tiles"] = _tiles_cost(x, dy, window)
    return min(costs, key=costs.__getitem__)


def map_form(x: tuple[int, ...], dy: tuple[int, ...], window: Window) -> Form:
    """The form that costs least on a CPU for the output, and for the input's gradient.

    Arguments as of `kernel_form`.
    """
    plain = _plain_cost(x, dy, window)
    if plain < _SMALL or not has_tiles(window):
        return "compiler"
    return "by_tiles" if _tiles_cost(x, dy, window) < _WORTH * plain else "compiler"


def _plain_cost(x, dy, window):
    return window.side**2 * math.prod(dy) * x[-1]


def _tiles_cost(x, dy, window):
    """Products of 36 positions, and what the transforms take."""
    count = dy[0] * window.dilation**2
    for size in dy[1:3]:
        count *= winograd.tiles(size, window.dilation)
    pairs, channels = x[-1] * dy[-1], x[-1] + dy[-1]
    floats = _TRANSFORMED * count * channels + _GATHERED * pairs
    return winograd.IN**2 * (count * pairs + floats)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def convolve(x: chex.Array, kernel: chex.Array, window: Window) -> jax.Array:
    """A convolution over all channels, in the forms above where it is learnt from.

    Args:
        x: [B, h, w, C].
        kernel: [side, side, C, D], of the same type.
        window: how it moves.

    Returns:
        [B, h', w', D].
    """
    return _plain(x, kernel, window)


def _plain(x, kernel, window):
    return jax.lax.conv_general_dilated(
        x,
        kernel,
        (window.stride,) * 2,
        (window.padding,) * 2,
        rhs_dilation=(window.dilation,) * 2,
        dimension_numbers=_NHWC,
    )


def learning(x: chex.Array, kernel: chex.Array, window: Window) -> jax.Array:
    """`convolve` where its gradients are asked for, too; shapes as there."""

    def plain(x, kernel):
        return _plain(x, kernel, window)

    outputs = {"compiler": plain, "by_tiles": _output_by_tiles}
    y = jax.eval_shape(plain, x, kernel)
    return _on_cpu(
        outputs[map_form(x.shape, y.shape, window)], plain, x, kernel, window
    )


def _forward(x, kernel, window):
    return learning(x, kernel, window), (x, kernel)


def _backward(window, kept, dy):
    x, kernel = kept
    shapes = x.shape, dy.shape, window

    def plain_input(kernel, dy):
        return jax.linear_transpose(lambda x: _plain(x, kernel, window), x)(dy)[0]

    def plain_kernel(x, dy):
        return jax.linear_transpose(lambda k: _plain(x, k, window), kernel)(dy)[0]

    def kernel_of_maps(x, dy, window):
        # Laid out anew for it, x would be computed again, element by element.
        del window
        return plain_kernel(*jax.lax.optimization_barrier((x, dy)))

    inputs = {"compiler": plain_input, "by_tiles": _input_by_tiles}
    kernels = {
        "compiler": kernel_of_maps,
        "by_taps": _kernel_by_taps,
        "by_tiles": _kernel_by_tiles,
    }
    with jax.named_scope("gradient_of_input"):
        dx = _on_cpu(inputs[map_form(*shapes)], plain_input, kernel, dy, window)
    with jax.named_scope("gradient_of_kernel"):
        dk = _on_cpu(kernels[kernel_form(*shapes)], plain_kernel, x, dy, window)
    return dx, dk


# XLA decides by the platform that a program is compiled for, not by where it is traced.
def _on_cpu(chosen, plain, a, b, window):
    if chosen is plain:
        return plain(a, b)
    on_cpu = functools.partial(chosen, window=window)
    return jax.lax.platform_dependent(a, b, cpu=on_cpu, default=plain)


convolve.defvjp(_forward, _backward)


@jax.custom_vjp
@jax.named_scope("one_tap")
def product(x: chex.Array, kernel: chex.Array) -> jax.Array:
    """A convolution by a kernel of one tap.

    Args:
        x: [B, h, w, C].
        kernel: [C, D], of the same type.

    Returns:
        [B, h, w, D].
    """
    return jnp.einsum("bhwc,cd->bhwd", x, kernel)


@jax.named_scope("one_tap")
def _product_backward(kept, dy):
    # What comes in stays as it lies in memory. Without the barrier XLA's CPU compiler
    # computes whole chains of normalised maps again, only to lay them out for dk.
    x, kernel, dy = jax.lax.optimization_barrier((*kept, dy))
    dx = jnp.einsum("bhwd,cd->bhwc", dy, kernel)
    return dx, _sum_of_products(x, dy)


product.defvjp(lambda x, kernel: (product(x, kernel), (x, kernel)), _product_backward)


def _sum_of_products(x, dy):
    """x^T dy over all places: [C, D] of [B, h, w, C] and [B, h, w, D]."""
    # The first of both is copied, transposed: better the one of fewer channels. Without
    # the barrier the compiler turns both round again.
    if x.shape[-1] > dy.shape[-1]:
        turned = jnp.einsum("bhwd,bhwc->dc", dy, x)
        return jax.lax.optimization_barrier(turned).T
    return jnp.einsum("bhwc,bhwd->cd", x, dy)


def has_tiles(window: Window) -> bool:
    """Whether Winograd's form covers a window: 3x3, stride 1, sizes kept."""
    low, high = window.padding
    return (window.side, window.stride) == (winograd.KERNEL, 1) and (
        low == high == window.dilation
    )


def _kernel_by_tiles(x, dy, window):
    return winograd.kernel_gradient(x, dy, window.dilation).astype(x.dtype)


def _output_by_tiles(x, kernel, window):
    # The gradient of an input is a convolution by the kernel turned round: this is that
    # of the kernel turned round once more.
    with jax.named_scope("forward_tiles"):
        x, kernel = jax.lax.optimization_barrier((x, kernel))
        turned = kernel[::-1, ::-1].swapaxes(2, 3)
        return winograd.input_gradient(turned, x, window.dilation).astype(x.dtype)


def _input_by_tiles(kernel, dy, window):
    # The transformed kernel is four times as large: not before it is needed.
    kernel, dy = jax.lax.optimization_barrier((kernel, dy))
    return winograd.input_gradient(kernel, dy, window.dilation).astype(dy.dtype)


def _kernel_by_taps(x, dy, window):
    """dk[i, j] = sum over places p of x[stride p + dilation (i, j)]^T dy[p]."""
    x = jnp.pad(x, ((0, 0), window.padding, window.padding, (0, 0)))
    ends = [(n - 1) * window.stride + 1 for n in dy.shape[1:3]]
    steps = (1, window.stride, window.stride, 1)
    products = []
    for i in range(window.side):
        for j in range(window.side):
            row, column = i * window.dilation, j * window.dilation
            limits = (x.shape[0], row + ends[0], column + ends[1], x.shape[3])
            tap = jax.lax.slice(x, (0, row, column, 0), limits, steps)
            products.append(_sum_of_products(tap, dy))
    gradient = jnp.stack(products)
    return gradient.reshape(window.side, window.side, *gradient.shape[1:])
