"""Batch normalisation as in PyTorch, whose statistics trained networks carry along.

Ioffe and Szegedy, "Batch Normalization: Accelerating Deep Network Training by Reducing
Internal Covariate Shift", ICML 2015.
"""

import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

_named = jax.named_scope("batch_norm")  # for profiles


class BatchNorm(nn.Module):
    """Batch normalisation over all axes but the last.

        y = (x - mean) / sqrt(var + epsilon) * scale + bias

    In training, mean and variance are those of the batch - of the whole one, on however
    many devices it lies, since a mean under jit is global - and move the stored ones:

        stored = (1 - momentum) stored + momentum * batch

    where the variance stored is the unbiased one and the variance divided by is not, as
    in PyTorch. Statistics are float32 whatever the input. Padding in a training crop
    counts as in the released programs; evaluation knows stored statistics only.

    momentum: weight of the newest batch, PyTorch's convention (Flax's is 1 - this).
    epsilon: added to the variance.
    frozen: whether training uses and keeps the stored statistics, as evaluation does.

    Variables: parameters "scale" and "bias", batch_stats "mean" and "var", each [D].
    """

    momentum: float = 0.1
    epsilon: float = 1e-5
    frozen: bool = False

    @nn.compact
    def __call__(self, x: Any, *, train: bool = False):  # [..., D] -> same
        shape = (x.shape[-1],)
        scale = self.param("scale", nn.initializers.ones, shape)
        bias = self.param("bias", nn.initializers.zeros, shape)
        stored_mean = self.variable("batch_stats", "mean", jnp.zeros, shape)
        stored_var = self.variable("batch_stats", "var", jnp.ones, shape)
        if self.frozen or not train:
            mean, var = stored_mean.value, stored_var.value
            return _normalized(x, mean, var, scale, bias, self.epsilon)
        y, mean, var = normalize(x, scale, bias, self.epsilon)
        if not self.is_initializing():
            count = x.size // x.shape[-1]
            unbiased = var * (count / max(count - 1, 1))
            stored_mean.value += self.momentum * (mean - stored_mean.value)
            stored_var.value += self.momentum * (unbiased - stored_var.value)
        return y


@functools.partial(jax.custom_vjp, nondiff_argnums=(3,))
def normalize(
    x: Any, scale: Any, bias: Any, epsilon: float
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Batch normalisation by the batch's own statistics.

    Its gradient is written out, with two sums over the batch where the one that is
    derived has eight; r = 1 / sqrt(var + epsilon), N the number of examples:

        dbias = sum dy
        dscale = r sum (dy (x - mean))
        dx = scale r (dy - dbias / N - (x - mean) r dscale / N)

    Args:
        x: [..., D].
        scale: [D].
        bias: [D].
        epsilon: added to the variance.

    Returns:
        y [..., D] of the type of `x`, and mean and biased variance [D], float32.
    """
    mean, var = batch_statistics(x)
    return _normalized(x, mean, var, scale, bias, epsilon), mean, var


def _normalize_forward(x, scale, bias, epsilon):
    y, mean, var = normalize(x, scale, bias, epsilon)
    return (y, mean, var), (x, mean, var, scale)


@_named
def _normalize_backward(epsilon, kept, changes):
    x, mean, var, scale = kept
    dy, dmean, dvar = changes
    count = x.size // x.shape[-1]
    axes = tuple(range(x.ndim - 1))
    r = jax.lax.rsqrt(var + epsilon)
    centred = x.astype(jnp.float32) - _like(x, mean)
    dy = dy.astype(jnp.float32)
    dbias = jnp.sum(dy, axes)
    dscale = r * jnp.sum(dy * centred, axes)
    # One multiply-add per value: all that is per channel stands in these three.
    of_dy = scale * r
    of_x = (2 * dvar - of_dy * r * dscale) / count
    offset = (dmean - of_dy * dbias) / count
    dx = dy * _like(x, of_dy) + centred * _like(x, of_x) + _like(x, offset)
    return dx.astype(x.dtype), dscale, dbias


normalize.defvjp(_normalize_forward, _normalize_backward)


@_named
def _normalized(x, mean, var, scale, bias, epsilon):
    # Centred before it is scaled: in bfloat16 the other order loses the difference.
    centred = x.astype(jnp.float32) - _like(x, mean)
    factor = scale * jax.lax.rsqrt(var + epsilon)
    return (centred * _like(x, factor) + _like(x, bias)).astype(x.dtype)


@_named
def batch_statistics(x: Any) -> tuple[jax.Array, jax.Array]:
    """Mean and biased variance over all axes but the last.

    Args:
        x: [..., D].

    Returns:
        [D] and [D] >= 0, float32.
    """
    x = x.astype(jnp.float32)
    axes = tuple(range(x.ndim - 1))
    mean = jnp.mean(x, axes)
    # In two passes: E[x^2] - E[x]^2 cancels where the mean is large.
    return mean, jnp.mean(jnp.square(x - _like(x, mean)), axes)


def _like(x: jax.Array, values: jax.Array) -> jax.Array:
    """Values [D] shaped to meet `x` [..., D]."""
    return values.reshape((1,) * (x.ndim - 1) + values.shape)
