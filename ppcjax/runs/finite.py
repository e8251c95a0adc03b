"""Weights that are no numbers, named before anything is computed with them."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from ppcjax.types import UserError

_SHOWN = 3  # arrays that a message names


def not_finite(
    arrays: Mapping[str, Any], shown: Callable[[str], str] = str
) -> str | None:
    """Says which arrays hold NaN or infinite numbers, and how many; None if none does.

    Args:
        arrays: arrays by name, of any dtype.
        shown: makes a name fit for a message.
    """
    counts: dict[int, int] = {}
    bad: dict[str, str] = {}
    for name, array in arrays.items():
        array = np.asarray(array)
        if array.dtype.kind in "biuOSUMm":
            continue
        if id(arrays[name]) not in counts:
            counts[id(arrays[name])] = array.size - int(np.isfinite(array).sum())
        if counts[id(arrays[name])]:
            bad[name] = f"{shown(name)} ({counts[id(arrays[name])]} of {array.size})"
    if not bad:
        return None
    some = ", ".join(list(bad.values())[:_SHOWN])
    more = f" and {len(bad) - _SHOWN} more" if len(bad) > _SHOWN else ""
    return (
        f"{len(bad)} of {len(arrays)} arrays hold NaN or infinite numbers: {some}{more}"
    )


def leaves(tree: Any) -> dict[str, Any]:
    """Leaves of a tree by path, such as "head/kernel"."""
    flat, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): leaf
        for path, leaf in flat
    }


def refuse(tree: Any, what: str, advice: str) -> None:
    """Raises UserError where an array of a tree holds NaN or infinite numbers.

    Args:
        tree: arrays.
        what: what they are of, for the message.
        advice: what to do.
    """
    bad = not_finite(leaves(tree))
    if bad is not None:
        raise UserError(f"{what}: {bad}; {advice}")
