"""Depthwise convolutions as sums of shifted products.

Compilers for CPUs turn grouped convolutions into slow loops; shifted products fuse
into one pass over the image, forward and backward.
"""

import functools
from typing import Any

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
        total = self.dilation * (side - 1)
        low = total // 2 if self.low_pad is None else self.low_pad
        if self.stride == 1 and low == total // 2:
            y = filter_channels(x, kernel, self.dilation)
        else:
            x = _padded(x, low, total - low)
            y = _sum_of_taps(_windows(x, side, self.dilation, self.stride), kernel)
        return y + bias.astype(self.dtype)[None, None, None]


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def filter_channels(x: jax.Array, kernel: jax.Array, dilation: int) -> jax.Array:
    """Filters each channel by its own kernel, at stride 1 with zeros all around.

    The gradient is written out: that of a slice is a padded copy, and one for each
    tap costs more than the filter itself.

    Args:
        x: [B, h, w, D].
        kernel: [k, k, 1, D], k odd.
        dilation: spacing of the taps.

    Returns:
        [B, h, w, D].
    """
    return _sum_of_taps(_centred_windows(x, kernel, dilation), kernel)


def _filter_forward(x, kernel, dilation):
    return filter_channels(x, kernel, dilation), (x, kernel)


def _filter_backward(dilation, residuals, gradient):
    x, kernel = residuals
    g_x = filter_channels(gradient, kernel[::-1, ::-1], dilation)
    windows = _centred_windows(x, kernel, dilation)
    taps = [jnp.einsum("bhwd,bhwd->d", window, gradient) for window in windows]
    return g_x, jnp.stack(taps).reshape(kernel.shape)


filter_channels.defvjp(_filter_forward, _filter_backward)


def _centred_windows(x, kernel, dilation) -> list[jax.Array]:
    side = kernel.shape[0]
    reach = dilation * (side // 2)
    return _windows(_padded(x, reach, reach), side, dilation, 1)


def _padded(x, low: int, high: int) -> jax.Array:
    return jnp.pad(x, ((0, 0), (low, high), (low, high), (0, 0)))


def _windows(x, side: int, dilation: int, stride: int) -> list[jax.Array]:
    """What each tap of a kernel of that side sees of `x`, which is padded already."""
    reach = dilation * (side - 1)
    height, width = (n - reach for n in x.shape[1:3])
    return [
        x[:, top : top + height : stride, left : left + width : stride]
        for top in range(0, reach + 1, dilation)
        for left in range(0, reach + 1, dilation)
    ]


def _sum_of_taps(windows: list[jax.Array], kernel: jax.Array) -> jax.Array:
    taps = kernel.reshape(len(windows), 1, 1, 1, -1)
    return sum(window * tap for window, tap in zip(windows, taps, strict=True))
