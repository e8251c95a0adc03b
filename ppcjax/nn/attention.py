"""Attention and the block of a vision transformer.

Dosovitskiy et al., "An Image is Worth 16x16 Words", ICLR 2021; factors of channels are
those of Touvron et al., "Going deeper with Image Transformers", ICCV 2021.
"""

import functools
from typing import Any

import flax.linen as nn
import jax
import jax.export
import jax.numpy as jnp

_FEW = 3  # heads at once on CPUs


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
        """Tokens [B, T, D] -> those mixed, what they ask by, and weights or None.

        `mask` [B, T] says which tokens are looked at. What they ask by are queries and
        keys, each [B, T, D] with the heads side by side; weights are [B, heads, T, T].
        """
        batch, tokens, width = x.shape
        qkv = nn.Dense(3 * width, dtype=self.dtype, name="qkv")(x)
        qkv = qkv.reshape(batch, tokens, 3, self.heads, width // self.heads)
        query, key, value = (qkv[:, :, i] for i in range(3))  # [B, T, heads, d]
        y = attend(query, key, value, mask, block=self.block)
        y = nn.Dense(width, dtype=self.dtype, name="proj")(y.reshape(x.shape))
        found = attention_weights(query, key, mask) if weights else None
        return y, (query.reshape(x.shape), key.reshape(x.shape)), found


def attend(
    query: jax.Array,
    key: jax.Array,
    value: jax.Array,
    mask: jax.Array | None,
    *,
    block: int,
    by_head: bool | None = None,
) -> jax.Array:
    """What queries read: softmax(q k / sqrt(d)) v, softmax in float32.

    Args:
        query: [B, T, heads, d].
        key: [B, T, heads, d].
        value: [B, T, heads, d].
        mask: [B, T] which keys are looked at; None: all.
        block: queries whose weights are formed at once. Where there are more, the
            weights are formed anew in the backward pass, so that memory is linear in
            the number of tokens.
        by_head: whether heads are taken a few at a time, which on CPUs is four times as
            fast; None: on CPUs.

    Returns:
        [B, T, heads, d] of the type of `query`.
    """
    if by_head is None:
        by_head = jax.default_backend() == "cpu"
    if not by_head:
        mask = None if mask is None else mask[:, None, None, :]
        read = functools.partial(
            jax.nn.dot_product_attention, key=key, value=value, mask=mask
        )
        return _in_blocks(read, query, block)
    batch, tokens, heads, depth = query.shape
    few = max(n for n in range(1, _FEW + 1) if heads % n == 0)
    query, key, value = (
        jnp.moveaxis(x, 2, 1).reshape(batch * heads // few, few, tokens, depth)
        for x in (query, key, value)
    )
    mask = None if mask is None else jnp.repeat(mask, heads // few, axis=0)

    def few_heads(parts):
        query, *others = parts
        return _in_blocks(functools.partial(_read, *others), query, block)

    y = jax.lax.map(few_heads, (query, key, value, mask))
    return jnp.moveaxis(y.reshape(batch, heads, tokens, depth), 1, 2)


def _read(key, value, mask, query):
    """What queries [heads, t, d] of a photo read of its T tokens: [heads, t, d]."""
    scores = jnp.matmul(
        query * query.shape[-1] ** -0.5,
        jnp.swapaxes(key, -1, -2),
        preferred_element_type=jnp.float32,
    )
    if mask is not None:
        scores = jnp.where(mask, scores, -jnp.inf)
    # As the softmax, but that what is read is divided: T / d times fewer numbers.
    most = jax.lax.stop_gradient(jnp.max(scores, axis=-1, keepdims=True))
    weights = jnp.exp(scores - most)
    found = jnp.matmul(
        weights.astype(value.dtype), value, preferred_element_type=jnp.float32
    )
    return (found / jnp.sum(weights, axis=-1, keepdims=True)).astype(value.dtype)


def _in_blocks(read, query, block):
    """`read` of queries [B, T, ...], at most `block` at once."""
    batch, tokens, *rest = query.shape
    # A number that is a letter, in an exported program, cannot be divided into blocks.
    if jax.export.is_symbolic_dim(tokens) or tokens <= block:
        return read(query)
    blocks = -(-tokens // block)
    size = -(-tokens // blocks)
    beyond = [(0, 0)] * query.ndim
    beyond[1] = (0, blocks * size - tokens)
    parts = jnp.pad(query, beyond).reshape(batch, blocks, size, *rest)
    y = jax.lax.map(jax.checkpoint(read), jnp.moveaxis(parts, 1, 0))
    return jnp.moveaxis(y, 0, 1).reshape(batch, blocks * size, *rest)[:, :tokens]


def attention_weights(
    query: jax.Array, key: jax.Array, mask: jax.Array | None
) -> jax.Array:
    """Weights that `attend` reads values by.

    Args:
        query: [B, Q, heads, d].
        key: [B, T, heads, d].
        mask: [B, T] which keys are looked at; None: all.

    Returns:
        [B, heads, Q, T] float32, sums over T are 1.
    """
    scores = jnp.einsum(
        "bihd,bjhd->bhij", query, key, preferred_element_type=jnp.float32
    )
    scores *= query.shape[-1] ** -0.5
    if mask is not None:
        scores = jnp.where(mask[:, None, None, :], scores, -jnp.inf)
    return jax.nn.softmax(scores, axis=-1)


class LayerScale(nn.Module):
    """A factor for each channel."""

    @nn.compact
    def __call__(self, x):  # [B, T, D] -> [B, T, D]
        gamma = self.param("gamma", nn.initializers.ones, (x.shape[-1],))
        return x * gamma.astype(x.dtype)[None, None]


def gelu(x: jax.Array) -> jax.Array:
    """A value times the normal distribution's share below it, as in PyTorch.

    `jax.nn.gelu` is exact for its smallest values, too, which takes longer: a
    transformer would make 3 % fewer photos per second on a CPU.
    """
    return x * (0.5 * (1 + jax.lax.erf(x * 0.5**0.5)))


class Block(nn.Module):
    """Attention and a two-layer perceptron, each normalised before and added.

    heads: heads of the attention.
    ratio: width of the perceptron over that of the tokens.
    layer_scale: whether channels of what is added have factors.
    epsilon: what the normalisations add to variances.
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
        """Tokens [B, T, D] -> the next, and what else `Attention` gives."""
        norm = functools.partial(nn.LayerNorm, epsilon=self.epsilon, dtype=self.dtype)
        dense = functools.partial(nn.Dense, dtype=self.dtype)
        attention = Attention(
            self.heads, self.attention_block, dtype=self.dtype, name="attn"
        )
        width = x.shape[-1]
        y, asked, found = attention(norm(name="norm1")(x), mask, weights)
        x = x + (LayerScale(name="ls1")(y) if self.layer_scale else y)
        y = dense(self.ratio * width, name="fc1")(norm(name="norm2")(x))
        y = dense(width, name="fc2")(gelu(y))
        return x + (LayerScale(name="ls2")(y) if self.layer_scale else y), asked, found
