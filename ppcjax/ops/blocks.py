"""Maps over blocks of cells, so that memory is linear in their number."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp


def over_blocks(function: Callable[[Any], Any], cells: Any, *, block: int) -> Any:
    """`function` of all cells, `block` of them at a time.

    Blocks are recomputed for the gradient, so that what `function` forms inside, such
    as similarities of its cells to all others, never exists for more than one block.

    Args:
        function: a tree of [B, b, ...] -> a tree of [B, b, ...]; row i of what comes
            out depends on row i of what goes in only.
        cells: tree of [B, P, ...].
        block: cells at once, >= 1; from P on, there is one block and no loop.

    Returns:
        Tree of [B, P, ...], equal to function(cells) up to rounding.
    """
    count = jax.tree.leaves(cells)[0].shape[1]
    blocks = -(-count // block)
    if blocks == 1:
        return function(cells)

    def split(x):  # [B, P, ...] -> [blocks, B, b, ...]
        border = [(0, 0)] * x.ndim
        border[1] = (0, blocks * block - count)
        x = jnp.pad(x, border)
        return x.reshape(x.shape[0], blocks, block, *x.shape[2:]).swapaxes(0, 1)

    def join(x):  # [blocks, B, b, ...] -> [B, P, ...]
        x = x.swapaxes(0, 1)
        return x.reshape(x.shape[0], blocks * block, *x.shape[3:])[:, :count]

    results = jax.lax.map(jax.checkpoint(function), jax.tree.map(split, cells))
    return jax.tree.map(join, results)
