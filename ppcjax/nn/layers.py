"""Layers shared by the networks, and exact inference on padded canvases.

Evaluation puts images of many sizes on canvases of few sizes. `extent` [B, 2] gives
the true rows and columns of each image (None in training: all of it). A spatial
convolution zeroes its input beyond the extent, so results inside are those of the
unpadded image, to the border.
"""

from typing import Any

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp

from ppcjax.nn import convolution


def inside(x: chex.Array, extent: chex.Array | None) -> jax.Array | None:
    """Which cells of `x` [B, h, w, D] lie within `extent` [B, 2]: [B, h, w, 1] bool."""
    if extent is None:
        return None
    rows = jnp.arange(x.shape[1])[None, :] < extent[:, :1]  # [B, h]
    columns = jnp.arange(x.shape[2])[None, :] < extent[:, 1:]  # [B, w]
    return (rows[:, :, None] & columns[:, None, :])[..., None]


def clip_to(x: chex.Array, extent: chex.Array | None) -> chex.Array:
    """`x` [B, h, w, D] with zeros beyond `extent`."""
    return x if extent is None else x * inside(x, extent)


def shrink(extent: chex.Array | None, stride: int) -> chex.Array | None:
    """The extent [B, 2] after a stride: ceil(extent / stride)."""
    return None if extent is None else -(-extent // stride)


def stride_of(size: tuple[int, int], grid: tuple[int, int], *, known: int = 1) -> int:
    """The step from rows and columns to those of a grid of ceil(size / step) cells.

    It is a known step if that fits, or the least power of two that does. Where none
    does, as after a pooling that rounds up, it is the least step whose cells cover the
    rows.
    """
    # Several fit a grid of one cell alone, where they are all the same.
    for stride in (known, 1, 2, 4, 8, 16, 32, 64):
        if all(-(-n // stride) == m for n, m in zip(size, grid, strict=True)):
            return stride
    return -(-size[0] // grid[0])


def features_extent(
    backbone: nn.Module, extent: chex.Array | None
) -> chex.Array | None:
    """The extent [B, 2] of a backbone's features, by its stride or `grid_extent`."""
    if extent is None or not hasattr(backbone, "grid_extent"):
        return shrink(extent, backbone.stride)
    return backbone.grid_extent(extent)


class Conv(nn.Module):
    """A square convolution, padded as in PyTorch, that respects the extent.

    The output has ceil(size / stride) rows and columns.

    features: output channels.
    kernel: side of the kernel, odd.
    stride: step.
    dilation: spacing of the taps.
    groups: number of channel groups.
    use_bias: whether to add a bias.
    low_pad: zeros before the first row and column; None: dilation * (kernel // 2).
        TensorFlow's networks of even input size have 0 at stride 2.
    dtype: type of the computation; parameters stay float32.
    """

    features: int
    kernel: int = 3
    stride: int = 1
    dilation: int = 1
    groups: int = 1
    use_bias: bool = False
    low_pad: int | None = None
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x, extent=None):  # [B, h, w, D] -> [B, h', w', features]
        total = self.dilation * (self.kernel - 1)
        low = total // 2 if self.low_pad is None else self.low_pad
        if self.kernel > 1:
            x = clip_to(x, extent)
        return nn.Conv(
            self.features,
            (self.kernel, self.kernel),
            strides=self.stride,
            padding=((low, total - low),) * 2,
            kernel_dilation=self.dilation,
            feature_group_count=self.groups,
            use_bias=self.use_bias,
            dtype=self.dtype,
            conv_general_dilated=self._form(),
            name="conv",
        )(x)

    def _form(self):
        if self.groups > 1:
            return None
        # A matrix product has faster gradients than a 1x1 convolution on CPUs.
        return _matrix_product if self.kernel == 1 else _square


def _matrix_product(x, kernel, strides, *_, **__):
    """`jax.lax.conv_general_dilated` for kernels of side 1 without padding."""
    # By lax, as sizes that are letters in an export are those of a convolution then.
    x = jax.lax.slice(x, (0, 0, 0, 0), x.shape, (1, *strides, 1))
    return convolution.product(x, kernel[0, 0])


def _square(x, kernel, strides, padding, *, rhs_dilation, **__):
    """`jax.lax.conv_general_dilated` for square kernels and windows."""
    window = convolution.Window(
        kernel.shape[0], strides[0], rhs_dilation[0], tuple(padding[0])
    )
    return convolution.convolve(x, kernel, window)


def max_pool(
    x: chex.Array, extent: chex.Array | None, stride: int = 2, *, ceil: bool = False
) -> jax.Array:
    """Largest of each 3x3 window, padded as in PyTorch, that respects the extent.

    Args:
        x: [B, h, w, D].
        extent: [B, 2] true rows and columns, or None.
        stride: step.
        ceil: whether a window that only its padding completes counts (PyTorch's
            ceil_mode, known for stride 2 here): see `ceil_pooled`.

    Returns:
        [B, ceil(h / stride), ceil(w / stride), D], with `ceil` [B, h // 2 + 1,
        w // 2 + 1, D]; zero beyond the extent.
    """
    if extent is not None:
        x = jnp.where(inside(x, extent), x, -jnp.inf)
    # Padding apart from pooling and keywords: exporters know no other form.
    border = ((0, 0), (1, 1 + ceil), (1, 1 + ceil), (0, 0))
    x = jnp.pad(x, border, constant_values=-jnp.inf)
    y = nn.max_pool(
        inputs=x, window_shape=(3, 3), strides=(stride, stride), padding="VALID"
    )
    if extent is None:
        return y
    pooled = ceil_pooled(extent) if ceil else shrink(extent, stride)
    return jnp.where(inside(y, pooled), y, 0)


def ceil_pooled(extent: chex.Array | None) -> chex.Array | None:
    """The extent [B, 2] after a pooling of stride 2 with ceil: one more than half."""
    return None if extent is None else extent // 2 + 1


class FrozenBatchNorm(nn.Module):
    """Batch normalisation by stored statistics, in training as in evaluation.

        y = (x - mean) / sqrt(var + 1e-5) * scale + bias

    All four are parameters, so that a checkpoint holds them; the optimizer is told
    to leave them alone.
    """

    @nn.compact
    def __call__(self, x, *, train=False):  # [B, h, w, D] -> same
        del train  # taken so that it can stand where a BatchNorm does
        shape = (x.shape[-1],)
        scale = self.param("scale", nn.initializers.ones, shape)
        bias = self.param("bias", nn.initializers.zeros, shape)
        mean = self.param("mean", nn.initializers.zeros, shape)
        var = self.param("var", nn.initializers.ones, shape)
        with jax.named_scope("batch_norm"):
            factor = scale * jax.lax.rsqrt(var + 1e-5)
            factor, offset = (
                v.astype(x.dtype)[None, None, None]
                for v in (factor, bias - mean * factor)
            )
            return x * factor + offset


def channel_dropout(rate: float, train: bool) -> nn.Dropout:
    """Drop-out of whole channels per example, as PyTorch's Dropout2d."""
    return nn.Dropout(rate, broadcast_dims=(1, 2), deterministic=not train)
