"""Vision transformer, as a source of features.

Dosovitskiy et al., "An Image is Worth 16x16 Words", ICLR 2021, in the form of timm's
`vit_base_patch16_224` and of DeiT and DINO, whose names these are up to "conv" and the
words for kernels and scales.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from ppcjax.nn.modules import Channels, Count
from ppcjax.ops.resize import resize


class Attention(nn.Module):
    """Multi-head self-attention; the softmax is float32.

    heads: number of heads, a divisor of the width.
    dtype: type of the products.
    """

    heads: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x):  # [B, T, D] -> [B, T, D]
        batch, tokens, width = x.shape
        qkv = nn.Dense(3 * width, dtype=self.dtype, name="qkv")(x)
        qkv = qkv.reshape(batch, tokens, 3, self.heads, width // self.heads)
        query, key, value = (qkv[:, :, i] for i in range(3))  # [B, T, heads, d]
        scores = jnp.einsum("bihd,bjhd->bhij", query, key).astype(jnp.float32)
        weights = jax.nn.softmax(scores * (width // self.heads) ** -0.5, axis=-1)
        y = jnp.einsum("bhij,bjhd->bihd", weights.astype(self.dtype), value)
        return nn.Dense(width, dtype=self.dtype, name="proj")(y.reshape(x.shape))


class Block(nn.Module):
    """Attention and a two-layer perceptron, each normalised before and added.

    heads: heads of the attention.
    ratio: width of the perceptron over that of the tokens.
    dtype: type of the products.
    """

    heads: int
    ratio: int = 4
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x):  # [B, T, D] -> [B, T, D]
        width = x.shape[-1]
        y = nn.LayerNorm(epsilon=1e-6, dtype=self.dtype, name="norm1")(x)
        x = x + Attention(self.heads, self.dtype, name="attn")(y)
        y = nn.LayerNorm(epsilon=1e-6, dtype=self.dtype, name="norm2")(x)
        y = nn.Dense(self.ratio * width, dtype=self.dtype, name="fc1")(y)
        y = nn.Dense(width, dtype=self.dtype, name="fc2")(nn.gelu(y, approximate=False))
        return x + y


class VisionTransformer(nn.Module):
    """The network without its classifier.

    patch: side of a patch in pixels.
    width: D, channels of a token.
    depth: number of blocks.
    heads: heads of each attention, a divisor of the width.
    grid: (rows, columns) of patches that positions are learnt for.
    dtype: type of the products.
    """

    patch: Count = 16
    width: Channels = 768
    depth: Count = 12
    heads: Count = 12
    grid: tuple[Count, Count] = (14, 14)
    dtype: Any = jnp.float32

    def __post_init__(self):
        """Raises ValueError for settings that do not fit each other."""
        if self.width % self.heads:
            raise ValueError(f"vit width={self.width} is no multiple of heads")
        super().__post_init__()

    @nn.compact
    def __call__(self, x):
        """Tokens of normalised images.

        Args:
            x: [B, H, W, 3]; what exceeds a multiple of the patch is left out.

        Returns:
            [B, 1 + h w, D] of the last normalisation: the class token, then the
            patches in row-major order, h = H // patch.

        Deviations: positions of another grid than `grid` are resized bilinearly, where
            timm and DINO do it bicubically.
        """
        rows, columns = (n // self.patch for n in x.shape[1:3])
        x = nn.Conv(
            self.width,
            (self.patch, self.patch),
            strides=self.patch,
            padding="VALID",
            dtype=self.dtype,
            name="patch_embed",
        )(x)
        x = x.reshape(x.shape[0], rows * columns, self.width)
        normal = nn.initializers.normal(0.02)
        first = self.param("cls_token", normal, (1, 1, self.width))
        cells = self.grid[0] * self.grid[1]
        position = self.param("pos_embed", normal, (1, 1 + cells, self.width))
        patches = position[:, 1:].reshape(1, *self.grid, self.width)
        patches = resize(patches, (rows, columns), align_corners=False)
        position = jnp.concatenate(
            [position[:, :1], patches.reshape(1, rows * columns, self.width)], axis=1
        )
        first = jnp.broadcast_to(first, (x.shape[0], 1, self.width))
        x = jnp.concatenate([first.astype(x.dtype), x], axis=1)
        x = x + position.astype(x.dtype)
        for i in range(self.depth):
            x = Block(self.heads, dtype=self.dtype, name=f"block{i}")(x)
        return nn.LayerNorm(epsilon=1e-6, dtype=self.dtype, name="norm")(x)


def token_map(
    tokens: jax.Array, grid: tuple[int, int], *, class_token: str
) -> jax.Array:
    """Tokens as a map.

    Args:
        tokens: [B, 1 + h w, D], the class token first.
        grid: (h, w).
        class_token: "dropped"; or "kept", a known mistake that leaves out the last
            patch instead, so that cell k shows patch k - 1 and cell 0 the class token.

    Returns:
        [B, h, w, D].
    """
    cells = tokens[:, 1:] if class_token == "dropped" else tokens[:, :-1]
    return cells.reshape(tokens.shape[0], *grid, tokens.shape[-1])
