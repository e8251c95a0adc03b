"""Finds out how a file names the parameters of a network, and takes their values."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from ppcjax.types import UserError
from ppcjax.weights import namemap
from ppcjax.weights.namemap import NameMap, Term

# Where several networks of a file fit, the first of these that is among their
# prefixes: what learnt slowly, or was meant for use, comes first.
PREFERRED = (
    *("teacher", "ema", "model_ema", "state_dict_ema", "encoder_q", "online"),
    *("encoder", "student", "encoder_k", "momentum_encoder"),
)


class Match(NamedTuple):
    """A way to name the parameters of a network.

    names: the map.
    prefix: what stands before each of its names in the file.
    others: prefixes that would have fitted as well.
    missing: names that the file lacks.
    wanted: names that the map asks for.
    """

    names: NameMap
    prefix: str
    others: tuple[str, ...]
    missing: tuple[str, ...]
    wanted: tuple[str, ...]

    @property
    def share(self) -> float:
        """Share of the wanted names that the file has."""
        return 1 - len(self.missing) / max(len(self.wanted), 1)

    def with_eps(self, eps: float) -> "Match":
        """The same with another number that is added to variances."""
        facts = {**self.names.facts, "eps": eps}
        return self._replace(names=self.names._replace(facts=facts))


def leaves_of(tree: Any) -> dict[str, Any]:
    """Leaves of a tree by path, such as "layer1_0/conv1/conv/kernel"."""
    flat, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): leaf
        for path, leaf in flat
    }


def maps_of(paths: Iterable[str]) -> list[NameMap]:
    """The maps that know every parameter of a network."""
    paths = tuple(paths)
    return [
        names
        for network in namemap.networks()
        for names in namemap.namings(network).values()
        if all(names.terms(path) is not None for path in paths)
        and set(names.requires) <= set(paths)
        and not set(names.excludes) & set(paths)
    ]


def best_match(
    paths: Iterable[str], arrays: Mapping[str, Any], maps: Iterable[NameMap]
) -> Match | None:
    """The map and the prefix under which a file has most of a network.

    Args:
        paths: paths of the network's parameters.
        arrays: arrays of the file by name.
        maps: maps that know the network.

    Returns:
        The best one; None where the file has nothing of the network.
    """
    paths, matches = tuple(paths), []
    for names in maps:
        wanted = _wanted(names, paths)
        found: dict[str, tuple[str, ...]] = {}
        for prefix in _prefixes(wanted, arrays):
            found[prefix] = tuple(n for n in wanted if prefix + n not in arrays)
        if not found:
            continue
        fewest = min(map(len, found.values()))
        fitting = sorted((p for p in found if len(found[p]) == fewest), key=_rank)
        prefix, *others = fitting
        matches.append(Match(names, prefix, tuple(others), found[prefix], wanted))
    matches = [match for match in matches if match.share > 0]
    # Of two that fit wholly, the one that takes more of the file.
    return max(matches, key=lambda m: (m.share, len(m.wanted)), default=None)


def _wanted(names: NameMap, paths: tuple[str, ...]) -> tuple[str, ...]:
    """Names that a file must have."""
    wanted: dict[str, None] = {}
    for path in paths:
        for term in names.terms(path) or ():
            own = () if term.kernel or not term.name else (term.name,)
            wanted.update(dict.fromkeys((*own, *term.norm)))
    return tuple(wanted)


def _prefixes(wanted: tuple[str, ...], arrays: Mapping[str, Any]) -> set[str]:
    """What stands before the wanted names, judged by some of them."""
    some = wanted[:: max(1, len(wanted) // 8)]
    ends = ("", ".", "/")
    return {
        name.removesuffix(one)
        for one in some
        for name in arrays
        if name.endswith(one) and name.removesuffix(one)[-1:] in ends
    }


def _rank(prefix: str) -> tuple[int, int, str]:
    parts = re.split(r"[./]", prefix)
    places = [PREFERRED.index(part) for part in parts if part in PREFERRED]
    return min(places, default=len(PREFERRED)), len(prefix), prefix


def value_of(
    names: NameMap, path: str, leaf: Any, arrays: Mapping[str, np.ndarray], prefix: str
) -> np.ndarray:
    """The value of a parameter, in the layout of ppcjax.

    Args:
        names: the map.
        path: path of the parameter.
        leaf: what has its shape.
        arrays: arrays of the file by name.
        prefix: what stands before each name of the map in the file.

    Returns:
        float32 array; its shape is that of the file where this differs from the leaf's.
    """
    rank = len(leaf.shape)
    parts = [_one(term, arrays, prefix, names.eps) for term in names.terms(path)]
    if len(parts) > 1:
        # Tokens come second, after an axis of one; rows of a matrix come first.
        axis = 1 if rank == 3 else 0
        known = next(part for part in parts if part is not None)
        zeros = np.zeros(known.shape[:axis] + (1,) + known.shape[axis + 1 :])
        parts = [zeros if part is None else part for part in parts]
        value = np.concatenate(parts, axis=axis)
    else:
        (value,) = parts
    with np.errstate(over="ignore"):  # whoever takes it looks for infinite numbers
        value = np.asarray(value, np.float32)
    if not names.oihw:
        return value
    if rank == 4 and value.ndim == 2:
        value = value[:, :, None, None]  # a matrix is a convolution of side 1
    if rank == 2 and value.ndim == 4 and value.shape[2:] == (1, 1):
        value = value[:, :, 0, 0]
    axes = {4: (2, 3, 1, 0), 2: (1, 0)}
    return value.transpose(axes.get(value.ndim, range(value.ndim)))


def _one(term: Term, arrays, prefix: str, eps: float) -> np.ndarray | None:
    """The array of a term; a normalisation is folded in float64."""
    if not term.name:
        return None
    own = arrays.get(prefix + term.name)
    if not term.norm:
        return own
    scale, bias, mean, var = (
        np.asarray(arrays[prefix + name], np.float64) for name in term.norm
    )
    if np.any(var + eps <= 0):
        raise UserError(
            f"{prefix}{term.norm[3]} holds variances that are not positive; take the "
            "weights from elsewhere"
        )
    factor = scale / np.sqrt(var + eps)
    if term.kernel:
        shift = 0.0 if own is None else np.asarray(own, np.float64)
        return bias + (shift - mean) * factor
    own = np.asarray(own, np.float64)
    return own * factor.reshape(-1, *(1,) * (own.ndim - 1))
