"""Depthwise convolutions as sums of shifted products.

Compilers for CPUs turn grouped convolutions into slow loops; shifted products fuse
into one pass over the image, forward and backward.
"""

import functools
import itertools
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from ppcjax.nn.layers import clip_to


class DepthwiseConv(nn.Module):
    """A square depthwise convolution with bias that respects the extent.

    The output has ceil(size / stride) rows and columns.

    kernel: side of the kernel, odd.
    stride: step.
    dilation: spacing of the taps.
    low_pad: zeros before the first row and column; None: dilation * (kernel // 2).
    dtype: type of the computation; parameters stay float32.
    """

    kernel: int = 3
    stride: int = 1
    dilation: int = 1
    low_pad: int | None = None
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x, extent=None):  # [B, h, w, D] -> [B, h', w', D]
        channels, side = x.shape[-1], self.kernel
        kernel = self.param(
            "kernel", nn.initializers.lecun_normal(), (side, side, 1, channels)
        ).astype(self.dtype)
        bias = self.param("bias", nn.initializers.zeros, (channels,))
        x = clip_to(x, extent)
        reach = self.dilation * (side - 1)
        low = reach // 2 if self.low_pad is None else self.low_pad
        taps = Taps(side, self.stride, self.dilation, (low, reach - low))
        y = filter_channels(x, kernel, taps)
        return y + bias.astype(self.dtype)[None, None, None]


class Taps(NamedTuple):
    """Where the taps of a square kernel lie.

    side: number of taps per row and column.
    stride: step of the kernel.
    dilation: spacing of the taps.
    padding: zeros before the first and after the last row and column, together
        dilation * (side - 1).
    """

    side: int
    stride: int
    dilation: int
    padding: tuple[int, int]

    def offsets(self) -> list[tuple[int, int]]:
        """Rows and columns of the taps, from the first one."""
        steps = range(0, self.side * self.dilation, self.dilation)
        return list(itertools.product(steps, steps))


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def filter_channels(x: jax.Array, kernel: jax.Array, taps: Taps) -> jax.Array:
    """Filters each channel by its own kernel.

    The gradient is written out: that of a slice is a padded copy, and one for each
    tap costs more than the filter itself.

    Args:
        x: [B, h, w, D].
        kernel: [k, k, 1, D].
        taps: where its taps lie.

    Returns:
        [B, ceil(h / stride), ceil(w / stride), D].
    """
    padded = _padded(x, taps)
    products = (
        _window(padded, top, left, x.shape, taps.stride) * tap[None, None, None]
        for (top, left), tap in zip(
            taps.offsets(), kernel.reshape(taps.side**2, -1), strict=True
        )
    )
    return sum(products)


def _filter_forward(x, kernel, taps):
    return filter_channels(x, kernel, taps), (x, kernel)


def _filter_backward(taps, residuals, gradient):
    x, kernel = residuals
    padded = _padded(x, taps)

    # One tap after another: as one program all windows would be in memory at once.
    def of_tap(offset):
        window = _window(padded, *offset, x.shape, taps.stride)
        return jnp.sum(window * gradient, axis=(1, 2))  # [B, D]

    # Over the batch, which may lie on several devices, once for all taps.
    of_taps = jnp.sum(jax.lax.map(of_tap, jnp.array(taps.offsets())), axis=1)
    fine = _spread(gradient, x.shape, taps.stride)
    turned = taps._replace(stride=1, padding=taps.padding[::-1])
    of_x = filter_channels(fine, kernel[::-1, ::-1], turned)
    return of_x, of_taps.reshape(kernel.shape)


filter_channels.defvjp(_filter_forward, _filter_backward)


def _padded(x, taps: Taps) -> jax.Array:
    return jnp.pad(x, ((0, 0), taps.padding, taps.padding, (0, 0)))


def _window(padded, top, left, shape, stride: int) -> jax.Array:
    """What the tap at (top, left) sees of an image that had `shape` unpadded."""
    if isinstance(top, int):
        height, width = shape[1:3]
        window = padded[:, top : top + height, left : left + width]
    else:
        window = jax.lax.dynamic_slice(padded, (0, top, left, 0), shape)
    return window[:, ::stride, ::stride]


def _spread(x, shape, stride: int) -> jax.Array:
    """`x` on a grid of `shape`, `stride` times as fine, with zeros between."""
    if stride == 1:
        return x
    beyond = [n - 1 - (m - 1) * stride for n, m in zip(shape, x.shape, strict=True)]
    of_axes = ((0, 0, 0), *((0, high, stride - 1) for high in beyond[1:3]), (0, 0, 0))
    return jax.lax.pad(x, jnp.zeros((), x.dtype), of_axes)
