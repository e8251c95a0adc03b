"""Segmentation heads on features of one grid, and the heads by name.

HRNet: Wang et al., TPAMI 2020. OCR: Yuan et al., "Object-Contextual Representations for
Semantic Segmentation", ECCV 2020. Both as ContrastiveSeg (Wang et al., ICCV 2021)
trains them.
"""

import functools
from typing import Annotated, Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from ppcjax.fields import Range
from ppcjax.nn import deeplab
from ppcjax.nn.deeplab import ConvNormRelu
from ppcjax.nn.layers import Conv, channel_dropout, inside
from ppcjax.nn.modules import Channels, Dropout, Momentum


class HRNetHead(nn.Module):
    """A 3x3 layer as wide as its input, then the classifier, which has no bias.

    num_classes: C.
    dropout: rate of whole channels before the classifier.
    momentum: weight of the newest batch in the statistics, PyTorch's convention.
    dtype: type of the hidden layer; the classifier is float32.
    """

    num_classes: int
    dropout: Dropout = 0.1
    momentum: Momentum = 0.1
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x, extent=None, *, train=False):  # [B, h, w, D] -> [B, h, w, C]
        hidden = ConvNormRelu(
            x.shape[-1],
            3,
            use_bias=True,
            momentum=self.momentum,
            dtype=self.dtype,
            name="hidden",
        )
        y = channel_dropout(self.dropout, train)(hidden(x, extent, train))
        return Conv(self.num_classes, 1, name="classifier")(y)


class AuxiliaryHead(nn.Module):
    """A 3x3 layer and a classifier, for a loss on features on the way.

    num_classes: C.
    width: channels of the layer; 0: those of its input.
    momentum: weight of the newest batch in the statistics, PyTorch's convention.
    dtype: type of the hidden layer; the classifier is float32.
    """

    num_classes: int
    width: Annotated[int, Range(0, 2**14), "channels"] = 256
    momentum: Momentum = 0.1
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x, extent=None, *, train=False):  # [B, h, w, D] -> [B, h, w, C]
        hidden = ConvNormRelu(
            self.width or x.shape[-1],
            3,
            use_bias=True,
            momentum=self.momentum,
            dtype=self.dtype,
            name="hidden",
        )
        y = hidden(x, extent, train)
        return Conv(self.num_classes, 1, use_bias=True, name="classifier")(y)


class OCRHead(nn.Module):
    """Pixels described by the regions that look like them.

        context_k = sum_p softmax_p(r_pk) x_p           region k of coarse scores r
        w_pk = softmax_k(query(x_p) . key(context_k) / sqrt(key_width))
        y_p = mix([up(sum_k w_pk value(context_k)); x_p])

    Gathering has no parameters and no ground truth.

    num_classes: C.
    width: channels of x and y.
    key_width: channels of queries, keys and values.
    dropout: rate of whole channels before the classifier.
    momentum: weight of the newest batch in the statistics, PyTorch's convention.
    dtype: type of the layers; both softmaxes and the classifier are float32.
    """

    num_classes: int
    width: Channels = 512
    key_width: Channels = 256
    dropout: Dropout = 0.05
    momentum: Momentum = 0.1
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x, regions, extent=None, *, train=False):
        """Class scores.

        Args:
            x: [B, h, w, D] features.
            regions: [B, h, w, C] scores of an auxiliary head.
            extent: [B, 2] true rows and columns, or None.
            train: whether drop-out and batch statistics are on.

        Returns:
            [B, h, w, C] float32 logits.
        """
        layer = functools.partial(
            ConvNormRelu, use_bias=True, momentum=self.momentum, dtype=self.dtype
        )
        x = layer(self.width, 3, name="pixels")(x, extent, train)
        context = gather_regions(x, regions, extent)[:, :, None].astype(x.dtype)
        narrow = functools.partial(layer, self.key_width, 1)
        query, key = x, context
        for i in (1, 2):
            query = narrow(name=f"query{i}")(query, None, train)
            key = narrow(name=f"key{i}")(key, None, train)
        value = narrow(name="value")(context, None, train)
        scores = jnp.einsum("bhwd,bkd->bhwk", query, key[:, :, 0])
        scores = scores.astype(jnp.float32) * self.key_width**-0.5
        weights = jax.nn.softmax(scores).astype(x.dtype)
        object_context = jnp.einsum("bhwk,bkd->bhwd", weights, value[:, :, 0])
        object_context = layer(self.width, 1, name="up")(object_context, None, train)
        both = jnp.concatenate([object_context, x], axis=-1)
        y = layer(self.width, 1, name="mix")(both, None, train)
        y = channel_dropout(self.dropout, train)(y)
        return Conv(self.num_classes, 1, use_bias=True, name="classifier")(y)


def gather_regions(x: Any, regions: Any, extent: Any) -> jax.Array:
    """Mean feature of each soft region.

    Args:
        x: [B, h, w, D].
        regions: [B, h, w, C] scores.
        extent: [B, 2] true rows and columns, or None; cells beyond have no weight.

    Returns:
        [B, C, D] float32.
    """
    regions = regions.astype(jnp.float32)
    if extent is not None:
        regions = jnp.where(inside(regions, extent), regions, -jnp.inf)
    weights = jax.nn.softmax(regions, axis=(1, 2))
    return jnp.einsum("bhwk,bhwd->bkd", weights, x.astype(jnp.float32))


# (num_classes, ...) -> module of features and extent; "ocr" reads scores between them.
HEADS = {**deeplab.HEADS, "hrnet": HRNetHead, "ocr": OCRHead}
