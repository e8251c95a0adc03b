"""Attention and the block of a vision transformer.

Dosovitskiy et al., "An Image is Worth 16x16 Words", ICLR 2021; factors of channels are
those of Touvron et al., "Going deeper with Image Transformers", ICCV 2021.
"""

import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp


class Attention(nn.Module):
    """Multi-head self-attention; the softmax is float32.

    heads: number of heads, a divisor of the width.
    block: queries whose weights are formed at once.
    dtype: type of the products.
    """

    heads: int
    block: int = 1024
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x, mask=None, weights=False):
        """Tokens [B, T, D] -> those mixed, keys [B, T, D], and weights or None.

        `mask` [B, T] says which tokens are looked at; weights are [B, heads, T, T].
        """
        batch, tokens, width = x.shape
        qkv = nn.Dense(3 * width, dtype=self.dtype, name="qkv")(x)
        qkv = qkv.reshape(batch, tokens, 3, self.heads, width // self.heads)
        query, key, value = (qkv[:, :, i] for i in range(3))  # [B, T, heads, d]
        mask = None if mask is None else mask[:, None, None, :]
        y = attend(query, key, value, mask, block=self.block)
        y = nn.Dense(width, dtype=self.dtype, name="proj")(y.reshape(x.shape))
        found = _weights(query, key, mask) if weights else None
        return y, key.reshape(x.shape), found


def attend(
    query: jax.Array,
    key: jax.Array,
    value: jax.Array,
    mask: jax.Array | None,
    *,
    block: int,
) -> jax.Array:
    """What queries read: softmax(q k / sqrt(d)) v, softmax in float32.

    Args:
        query: [B, T, heads, d].
        key: [B, T, heads, d].
        value: [B, T, heads, d].
        mask: [B, 1, 1, T] which keys are looked at; None: all.
        block: queries whose weights are formed at once. Where there are more, the
            weights are formed anew in the backward pass, so that memory is linear in
            the number of tokens.

    Returns:
        [B, T, heads, d] of the type of `query`.
    """
    read = functools.partial(
        jax.nn.dot_product_attention, key=key, value=value, mask=mask
    )
    batch, tokens, *rest = query.shape
    if tokens <= block:
        return read(query)
    blocks = -(-tokens // block)
    size = -(-tokens // blocks)
    parts = jnp.pad(query, ((0, 0), (0, blocks * size - tokens), (0, 0), (0, 0)))
    parts = jnp.moveaxis(parts.reshape(batch, blocks, size, *rest), 1, 0)
    y = jnp.moveaxis(jax.lax.map(jax.checkpoint(read), parts), 0, 1)
    return y.reshape(batch, blocks * size, *rest)[:, :tokens]


def _weights(query, key, mask):
    """Weights [B, heads, T, T] float32 that `attend` reads values by."""
    scores = jnp.einsum(
        "bihd,bjhd->bhij", query, key, preferred_element_type=jnp.float32
    )
    scores *= query.shape[-1] ** -0.5
    if mask is not None:
        scores = jnp.where(mask, scores, -jnp.inf)
    return jax.nn.softmax(scores, axis=-1)


class LayerScale(nn.Module):
    """A factor for each channel."""

    @nn.compact
    def __call__(self, x):  # [B, T, D] -> [B, T, D]
        gamma = self.param("gamma", nn.initializers.ones, (x.shape[-1],))
        return x * gamma.astype(x.dtype)[None, None]


class Block(nn.Module):
    """Attention and a two-layer perceptron, each normalised before and added.

    heads: heads of the attention.
    ratio: width of the perceptron over that of the tokens.
    layer_scale: whether channels of what is added have factors.
    epsilon: of the normalisations.
    attention_block: queries whose weights are formed at once.
    dtype: type of the products.
    """

    heads: int
    ratio: int = 4
    layer_scale: bool = False
    epsilon: float = 1e-6
    attention_block: int = 1024
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x, mask=None, weights=False):
        """Tokens [B, T, D] -> the next, and keys and weights as `Attention` gives."""
        norm = functools.partial(nn.LayerNorm, epsilon=self.epsilon, dtype=self.dtype)
        dense = functools.partial(nn.Dense, dtype=self.dtype)
        attention = Attention(
            self.heads, self.attention_block, dtype=self.dtype, name="attn"
        )
        width = x.shape[-1]
        y, keys, found = attention(norm(name="norm1")(x), mask, weights)
        x = x + (LayerScale(name="ls1")(y) if self.layer_scale else y)
        y = dense(self.ratio * width, name="fc1")(norm(name="norm2")(x))
        y = dense(width, name="fc2")(nn.gelu(y, approximate=False))
        return x + (LayerScale(name="ls2")(y) if self.layer_scale else y), keys, found
