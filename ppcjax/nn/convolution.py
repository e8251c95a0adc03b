"""Convolutions whose kernels get their gradients in the form that is fastest on a CPU.

GPUs and TPUs keep what their compilers make, and so do forward passes and gradients of
inputs everywhere: they run near a CPU's rate of plain products. For the gradient of a
kernel XLA's CPU compiler takes up to six times as long as that. There are three forms:

    compiler: XLA's own;
    by_taps: a matrix product for each tap of the kernel;
    by_tiles: Winograd's, for 3x3 kernels of stride 1, see ppcjax/nn/winograd.py.

`form` takes the one that costs least by a model of two-core measurements.
"""

import functools
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
_SMALL = 2**26  # multiply-adds below which no form is worth its compile time
_COPIED = 170
_TRANSFORMED = 120
_GATHERED = 90
# Maps of XLA's own form, in floats of the output's gradient and its smaller side,
# beyond which it falls behind the rate of products by this factor.
_LARGE, _LARGE_SIDE, _BEHIND = 2**19, 17, 4.0


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


def form(x: tuple[int, ...], dy: tuple[int, ...], window: Window) -> Form:
    """The form of a kernel's gradient that costs least on a CPU.

    Args:
        x: shape [B, h, w, C] of the input.
        dy: shape [B, h', w', D] of the output.
        window: the kernel's.
    """
    batch, *size, out = dy
    places, taps, channels = batch * size[0] * size[1], window.side**2, x[-1] + out
    plain = taps * places * x[-1] * out
    if plain < _SMALL:
        return "compiler"
    copied = _COPIED if window.stride == 1 else 2 * _COPIED  # single pixels
    large = places * out > _LARGE and min(size) >= _LARGE_SIDE
    costs = {
        "compiler": plain * (_BEHIND if large else 1.25),
        "by_taps": 1.1 * plain + copied * taps * places * channels,
    }
    if has_tiles(window):
        count = batch * window.dilation**2
        count *= winograd.tiles(size[0], window.dilation)
        count *= winograd.tiles(size[1], window.dilation)
        pairs = x[-1] * out
        positions = winograd.IN**2
        costs["by_tiles"] = positions * (
            count * pairs + _TRANSFORMED * count * channels + _GATHERED * pairs
        )
    return min(costs, key=costs.__getitem__)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def convolve(x: chex.Array, kernel: chex.Array, window: Window) -> jax.Array:
    """A convolution over all channels, whose kernel gets its gradient by `form`.

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


def _forward(x, kernel, window):
    return _plain(x, kernel, window), (x, kernel)


def _backward(window, kept, dy):
    x, kernel = kept
    (dx,) = jax.linear_transpose(lambda x: _plain(x, kernel, window), x)(dy)

    def compiler(x, dy):
        return jax.linear_transpose(lambda k: _plain(x, k, window), kernel)(dy)[0]

    forms = {"by_taps": _by_taps, "by_tiles": _by_tiles}
    chosen = form(x.shape, dy.shape, window)
    if chosen == "compiler":
        return dx, compiler(x, dy)
    on_cpu = functools.partial(forms[chosen], window=window)
    return dx, jax.lax.platform_dependent(x, dy, cpu=on_cpu, default=compiler)


convolve.defvjp(_forward, _backward)


@jax.custom_vjp
def product(x: chex.Array, kernel: chex.Array) -> jax.Array:
    """A convolution by a kernel of one tap.

    Args:
        x: [B, h, w, C].
        kernel: [C, D], of the same type.

    Returns:
        [B, h, w, D].
    """
    return jnp.einsum("bhwc,cd->bhwd", x, kernel)


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


def _by_tiles(x, dy, window):
    return winograd.kernel_gradient(x, dy, window.dilation).astype(x.dtype)


def _by_taps(x, dy, window):
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
