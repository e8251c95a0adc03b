"""The gradient of a batch, by parts that fit into memory one after another.

Part i of n has the rows i, i + n, i + 2n, ... of the batch. So each device keeps its
own rows, none travel, and the parts are the same on any number of devices.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from ppcjax.types import Method

# (params, model_state, batch, key, step)
#   -> ((loss, (model_state, scalars)), gradients of params)
Gradient = Callable[..., tuple[tuple[jax.Array, tuple[Any, Any]], Any]]


def gradient_of(method: Method, parts: int, mesh: Mesh) -> Gradient:
    """As `jax.value_and_grad` of `method.loss`, by so many parts of a batch.

    Loss, scalars and gradients are means over the parts, which see the same
    parameters. Part i has the random numbers of fold_in(key, i), and starts from the
    model state that part i - 1 returned: batch statistics, memories and target networks
    move with every part.

    Args:
        method: what is trained.
        parts: number n of parts; the rows of a batch on each device are a multiple.
        mesh: one axis, "data", over which the rows are split.
    """
    gradient = jax.value_and_grad(method.loss, has_aux=True)
    if parts == 1:
        return gradient
    sharding = NamedSharding(mesh, PartitionSpec(None, "data"))

    def split(rows):  # [B, ...] -> [n, B / n, ...]
        rows = rows.reshape(-1, parts, *rows.shape[1:]).swapaxes(0, 1)
        return jax.lax.with_sharding_constraint(rows, sharding)

    def accumulated(params, model_state, batch, key, step):
        def add(carry, numbered):
            model_state, total = carry
            i, part = numbered
            (loss, (model_state, scalars)), found = gradient(
                params, model_state, part, jax.random.fold_in(key, i), step
            )
            total = jax.tree.map(lambda a, b: a + b / parts, total, found)
            return (model_state, total), (loss, scalars)

        start = (model_state, jax.tree.map(jnp.zeros_like, params))
        numbered = (jnp.arange(parts), jax.tree.map(split, batch))
        (model_state, total), values = jax.lax.scan(add, start, numbered)
        loss, scalars = jax.tree.map(lambda x: jnp.mean(x, axis=0), values)
        return (loss, (model_state, scalars)), total

    return accumulated
