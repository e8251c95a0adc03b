"""Arrays of a network under published names: `matching`, the other way round."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ppcjax.types import UserError
from ppcjax.weights import namemap
from ppcjax.weights.matching import leaves_of, maps_of
from ppcjax.weights.namemap import NameMap, Term


def network_leaves(params: Any, model_state: Any) -> dict[str, Any]:
    """Parameters and statistics of a network by path.

    Statistics have the path that they have as parameters where they are frozen; other
    collections keep theirs in front.
    """
    rest = {k: v for k, v in model_state.items() if k != "batch_stats"}
    stats = leaves_of(model_state.get("batch_stats", {}))
    return leaves_of(params) | stats | leaves_of(rest)


def writable(paths: Any) -> dict[str, NameMap]:
    """Maps of a network whose files PyTorch can read, by naming."""
    return {names.naming: names for names in maps_of(paths) if names.style == "torch"}


def backbone_arrays(
    params: Any, model_state: Any, *, naming: str = ""
) -> tuple[dict[str, np.ndarray], str]:
    """A network's backbone by published name, in PyTorch's layout.

    Args:
        params: with the backbone under "backbone".
        model_state: may hold its statistics under "batch_stats", "backbone".
        naming: whose names, a naming of its map; "" for the first.

    Returns:
        float32 arrays: kernels OIHW, scales and biases as "weight" and "bias",
        statistics as "running_mean" and "running_var", whose variance is the unbiased
        one, as in PyTorch; and the naming. Where normalisation was folded away, it is
        one that changes nothing.

    Raises:
        UserError: there is no backbone, or it has no such names.
    """
    inside = "backbone/"
    leaves = {
        path.removeprefix(inside): leaf
        for path, leaf in network_leaves(params, model_state).items()
        if path.startswith(inside)
    }
    if not leaves:
        raise UserError("this network has no backbone to export")
    known = writable(leaves)
    if naming and naming not in known:
        others = ", ".join(known) or "none: it is a network of ppcjax alone"
        raise UserError(
            f"the backbone has no names of {naming!r}; it has those of {others}"
        )
    if not known:
        raise UserError(
            f"the parameter backbone/{next(iter(leaves))} has no published name; other "
            "runs start from this run's folder with --config.init_from, and "
            "--export_weights writes the network under names of ppcjax"
        )
    chosen = naming or next(iter(known))
    return to_names(leaves, known[chosen]), chosen


def maps_of_method(method: str, paths: Any) -> list[NameMap]:
    """Maps of the checkpoints that a method was released with, if there are any."""
    return [names for names in maps_of(paths) if names.network == method]


def whole_arrays(
    method: str, params: Any, model_state: Any
) -> tuple[dict[str, np.ndarray], str]:
    """A whole network by name, in PyTorch's layout, and whose names these are.

    They are those of the released checkpoint where there is one of such a network,
    else the backbone's published names behind "backbone." and our own for the rest.

    Args:
        method: name of the method.
        params: parameters that the method predicts with.
        model_state: state that it predicts with.
    """
    leaves = network_leaves(params, model_state)
    known = [n for n in maps_of_method(method, leaves) if not _leaves_out(n, leaves)]
    names = known[0] if known else own_names(leaves)
    return to_names(leaves, names), names.naming


def own_names(paths: Any) -> NameMap:
    """The map for a network that nobody else has."""
    inside = [p.removeprefix("backbone/") for p in paths if p.startswith("backbone/")]
    known = writable(inside) if inside else {}
    fitting = [n for n in known.values() if not _leaves_out(n, inside)]
    return namemap.of_ppcjax(fitting[0] if fitting else None)


def _leaves_out(names: NameMap, paths: Any) -> bool:
    return any(names.terms(path) == () for path in paths)


def to_names(leaves: Mapping[str, Any], names: NameMap) -> dict[str, np.ndarray]:
    """Arrays by published name; what no file has is left out.

    Raises:
        UserError: the names have no place for a value.
    """
    arrays: dict[str, np.ndarray] = {}
    for path, leaf in leaves.items():
        terms = names.terms(path)
        if not terms:
            continue
        value = np.asarray(leaf, np.float32)
        axes = {4: (3, 2, 0, 1), 2: (1, 0)}
        value = value.transpose(axes.get(value.ndim, range(value.ndim)))
        for term, part in zip(terms, _split(value, terms, path), strict=True):
            if term.name:
                arrays |= _written(term, part, names.eps)
    return {name: np.ascontiguousarray(array) for name, array in arrays.items()}


def _split(value, terms: tuple[Term, ...], path: str) -> list[np.ndarray]:
    if len(terms) == 1:
        return [value]
    axis = 1 if value.ndim == 3 else 0
    if terms[0].name:
        return np.split(value, len(terms), axis=axis)
    first, rest = np.split(value, [1], axis=axis)
    if first.any():
        raise UserError(
            f"{path}: these names have no place for the position of the class token, "
            "which is not zero; export under the names of another program"
        )
    return [first, rest]


def _written(term: Term, value: np.ndarray, eps: float) -> dict[str, np.ndarray]:
    if not term.norm:
        return {term.name: value}
    scale, bias, mean, var = term.norm
    if term.kernel:
        zeros = np.zeros_like(value)
        # With this variance the factor rounds to 1 and values come back bit for bit.
        ones, unit = np.ones_like(value), np.full_like(value, 1 - eps)
        return {scale: ones, bias: value, mean: zeros, var: unit}
    return {term.name: value}
