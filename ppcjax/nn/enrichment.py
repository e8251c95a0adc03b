"""From query features, guide and prior to a mask: the context modules of ASGNet.

`FeatureEnrichment` is the multi-scale module of PFENet (Tian et al., "Prior Guided
Feature Enrichment Network for Few-Shot Segmentation", TPAMI 2020) that ASGNet uses;
`PyramidDecoder` its alternative in the released program.
"""

import functools
from typing import Annotated, Any

import flax.linen as nn
import jax.numpy as jnp
import numpy as np

from ppcjax.fields import Length, Range
from ppcjax.nn.batch_norm import BatchNorm
from ppcjax.nn.deeplab import global_mean
from ppcjax.nn.init import torch_uniform
from ppcjax.nn.layers import Conv, channel_dropout
from ppcjax.nn.modules import Channels, Count, Dropout
from ppcjax.ops.pooling import adaptive_mean
from ppcjax.ops.resize import resize


class MaskClassifier(nn.Module):
    """A 3x3 convolution, ReLU, channel drop-out and a 1x1 classifier of two classes.

    width: channels.
    dropout: rate.
    dtype: type of the hidden layer; the classifier is float32.
    """

    width: int
    dropout: Dropout = 0.1
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x, extent, train):  # [B, h, w, D] -> [B, h, w, 2] float32
        y = nn.relu(Conv(self.width, dtype=self.dtype, name="hidden")(x, extent))
        y = channel_dropout(self.dropout, train)(y)
        y = y.astype(jnp.float32)
        return Conv(2, 1, use_bias=True, name="classifier")(y)


# Cells of a square, or a share of the grid.
Scale = Count | Annotated[float, Range(above=0, most=1)]


class FeatureEnrichment(nn.Module):
    """Features, guide and prior at several scales, each fed by the larger one before.

        u_l = relu(conv1x1[pool(query, guide), resize(prior)])
        u_l += relu(conv1x1[u_l, resize(out_{l-1})])                 for l > 0
        u_l += relu(conv3x3 relu(conv3x3 u_l));  out_l = resize(u_l)

    scales: sizes of the levels, large to small: whole numbers are cells of a square
        (released for VOC), fractions are shares of the grid, rounded down.
    width: channels.
    classifier_dropout: rate before each classifier.
    dtype: type of the convolutions.
    """

    scales: Annotated[tuple[Scale, ...], Length(1)] = (60, 30, 15, 8)
    width: Channels = 256
    classifier_dropout: Dropout = 0.1
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, features, prior, low, extent, train):
        """Scores of the query.

        Args:
            features: [B, h, w, D] query features and guide.
            prior: [B, h, w, 1].
            low: ignored.
            extent: [B, 2] true rows and columns of the grid, or None.
            train: whether drop-out is on.

        Returns:
            [B, h, w, 2] float32 logits, and those of each level at its own scale as
            pairs of [B, h_l, w_l, 2] and their extent.
        """
        del low
        conv = functools.partial(Conv, self.width, dtype=self.dtype)
        classify = functools.partial(
            MaskClassifier, self.width, self.classifier_dropout, self.dtype
        )
        size = features.shape[1:3]
        outputs, auxiliary = [], []
        for i, scale in enumerate(self.scales):
            small, small_extent = level_size(scale, size, extent)
            at = {"in_extent": extent, "out_extent": small_extent}
            pooled = adaptive_mean(features, small, **at)
            resized = resize(prior, small, align_corners=True, **at)
            u = jnp.concatenate([pooled, resized], axis=-1)
            u = nn.relu(conv(1, name=f"merge{i}")(u))
            if i > 0:
                larger = resize(outputs[-1], small, align_corners=True, **at)
                both = jnp.concatenate([u, larger.astype(u.dtype)], axis=-1)
                u = u + nn.relu(conv(1, name=f"pass{i}")(both))
            u = u + self._refine(u, small_extent, f"refine{i}")
            level = classify(name=f"auxiliary{i}")(u, small_extent, train)
            auxiliary.append((level, small_extent))
            back = {"in_extent": small_extent, "out_extent": extent}
            outputs.append(resize(u, size, align_corners=True, **back))
        v = nn.relu(conv(1, name="mix")(jnp.concatenate(outputs, axis=-1)))
        v = v + self._refine(v, extent, "refine")
        return classify(name="final")(v, extent, train), tuple(auxiliary)

    def _refine(self, x, extent, name):
        for part in ("a", "b"):
            conv = Conv(self.width, dtype=self.dtype, name=f"{name}{part}")
            x = nn.relu(conv(x, extent))
        return x


def level_size(
    scale: int | float, size: tuple[int, int], extent: Any
) -> tuple[tuple[int, int], Any]:
    """Rows and columns of a level, and its extent [B, 2] or None."""
    if isinstance(scale, int):
        full = None if extent is None else jnp.full(extent.shape, scale, jnp.int32)
        return (scale, scale), full
    small = tuple(max(1, int(n * scale)) for n in size)
    if extent is None:
        return small, None
    # Looked up, so that traced sizes are rounded as the others are.
    table = np.int32([max(1, int(n * scale)) for n in range(max(size) + 1)])
    return small, jnp.asarray(table)[extent]


class PyramidDecoder(nn.Module):
    """Dilated convolutions at one scale, then early features of the query.

    A 3x3 convolution, three residual pairs, an atrous pyramid (1x1, three rates and the
    image's mean), and the decoder of DeepLab v3+ on features at stride 4.

    rates: dilation of the 3x3 branches.
    width: channels.
    dropout: rate within.
    classifier_dropout: rate before each classifier.
    frozen_statistics: whether training uses the stored statistics and keeps them.
    dtype: type of the convolutions.
    """

    rates: tuple[Count, ...] = (6, 12, 18)
    width: Channels = 256
    dropout: Dropout = 0.5
    classifier_dropout: Dropout = 0.1
    frozen_statistics: bool = False
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, features, prior, low, extent, train):
        """Scores of the query.

        Args:
            features: [B, h, w, D] query features and guide.
            prior: [B, h, w, 1].
            low: [B, 2h, 2w, D'] early features; and their extent [B, 2] or None.
            extent: [B, 2] true rows and columns of the grid, or None.
            train: whether drop-out and batch statistics are on.

        Returns:
            [B, 2h, 2w, 2] float32 logits, and those of the pyramid as in
            FeatureEnrichment.
        """
        low, low_extent = low
        conv = functools.partial(Conv, self.width, dtype=self.dtype)
        drop = channel_dropout(self.dropout, train)
        x = jnp.concatenate([features, prior], axis=-1)
        x = drop(nn.relu(conv(name="merge")(x, extent)))
        for i in range(1, 4):
            # The released blocks open with a ReLU in place, hence on the shortcut too.
            x = nn.relu(x)
            y = nn.relu(conv(name=f"skip{i}a")(x, extent))
            x = x + conv(name=f"skip{i}b")(y, extent)
        x = self._pyramid(x, extent, drop)
        classify = functools.partial(
            MaskClassifier, self.width, self.classifier_dropout, self.dtype
        )
        auxiliary = ((classify(name="auxiliary")(x, extent, train), extent),)
        norm = functools.partial(BatchNorm, frozen=self.frozen_statistics)
        low = Conv(self.width // 4, 1, dtype=self.dtype, name="low")(low)
        low = nn.relu(norm(name="low_bn")(low, train=train))
        at = {"in_extent": extent, "out_extent": low_extent}
        x = resize(x, low.shape[1:3], align_corners=True, **at).astype(low.dtype)
        x = jnp.concatenate([x, low], axis=-1)
        x = norm(name="decode_bn")(conv(name="decode")(x, low_extent), train=train)
        x = nn.Dropout(self.dropout, deterministic=not train)(nn.relu(x))
        return classify(name="final")(x, low_extent, train), auxiliary

    def _pyramid(self, x, extent, drop):
        conv = functools.partial(Conv, self.width, use_bias=True, dtype=self.dtype)
        mean = global_mean(x, extent).astype(x.dtype)
        mean = drop(nn.relu(conv(1, name="image")(mean)))
        point = drop(nn.relu(conv(1, name="pointwise")(x)))
        branches = [jnp.broadcast_to(mean, point.shape), point]
        for rate in self.rates:
            branch = conv(3, dilation=rate, name=f"rate{rate}")(x, extent)
            branches.append(drop(nn.relu(branch)))
        x = jnp.concatenate(branches, axis=-1)
        return drop(nn.relu(conv(1, name="mix")(x)))


HEADS = {"enrichment": FeatureEnrichment, "aspp": PyramidDecoder}


# PyTorch's default for convolutions, in and around the head.
INIT_RULES = (
    (r"^params/(head|reduction|vit_projection)/.*kernel", torch_uniform),
    (r"^params/head/.*conv/bias", torch_uniform),
)
