"""Starting a network from weights on disk: published files or another run."""

import logging
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ppcjax.runs.finite import not_finite
from ppcjax.types import UserError
from ppcjax.weights import guess, start
from ppcjax.weights.matching import Match, best_match, leaves_of, maps_of, value_of
from ppcjax.weights.namemap import Term
from ppcjax.weights.readers.errors import quoted
from ppcjax.weights.runs import load_run
from ppcjax.weights.start import Source

_LOGGER = logging.getLogger(__name__)

# Parts of a network that have files of their own.
PARTS = ("backbone", "vit")


def load_into(
    params: Any,
    model_state: Any,
    sources: str | Path | Sequence[Source],
    *,
    bgr: bool = False,
    log: Callable[[str], None] = _LOGGER.warning,
) -> tuple[Any, Any]:
    """Parameters and statistics with those that a file or a run holds replaced.

    A file must fill the whole backbone, or the whole "vit" that stands beside it in
    some methods; heads keep their initial values. Of a run everything of the same path
    and shape is taken, the whole backbone at least: see `runs.load_run`.

    Args:
        params: parameter tree with the backbone under "backbone".
        model_state: tree that may hold the backbone's statistics as "batch_stats",
            again under "backbone".
        sources: what `start.find` found; or files or directories of runs, several
            separated by commas.
        bgr: whether the network turns the colours round itself.
        log: takes the lines that say what was loaded, skipped and left new.

    Returns:
        Trees of the same structure, NumPy arrays.

    Raises:
        UserError: no such file, unknown kind, or a backbone not fully matched.
    """
    if isinstance(sources, str | Path):
        sources = start.find(str(sources), {})
    for source in sources:
        if source.path.is_dir():
            params, model_state = load_run(params, model_state, source.path, log=log)
        else:
            params, model_state = _load_file(params, model_state, source, bgr, log)
    return params, model_state


def _load_file(params, model_state, source: Source, bgr: bool, log) -> tuple[Any, Any]:
    path, arrays = source.path, source.arrays
    stats = model_state.get("batch_stats", {})
    found = []
    for part in PARTS:
        if part in params:
            leaves = leaves_of(params[part]) | leaves_of(stats.get(part, {}))
            match = best_match(leaves, arrays, maps_of(leaves))
            if match is not None:
                found.append((match.share, part, leaves, match))
    if not found:
        raise UserError(f"{path} holds nothing of this network; {guess.advice(arrays)}")
    _, part, leaves, match = max(found, key=lambda one: one[0])
    if "eps" in source.facts:
        match = match.with_eps(source.facts["eps"])
    values = take(part, leaves, arrays, match, path)
    if source.facts.get("channels") == "bgr" and not bgr:
        values |= _turned(values)
        log(f"{path.name} takes blue first: its first kernel is turned round")
    _refuse_deeper(part, leaves, arrays, match, path)
    fresh = [p for p in leaves_of(params) if not p.startswith(f"{part}/")]
    for line in report(part, arrays, match, values, fresh, path):
        log(line)
    params = {**params, part: put(params[part], values)}
    if part in stats:
        stats = {**stats, part: put(stats[part], values)}
        model_state = {**model_state, "batch_stats": stats}
    return params, model_state


def take(
    part: str,
    leaves: Mapping[str, Any],
    arrays: Mapping[str, np.ndarray],
    match: Match,
    path: Path,
    advice: Callable[[Mapping[str, np.ndarray]], str] = guess.advice,
) -> dict[str, np.ndarray]:
    """Values of all parameters that a file has, by their path.

    Args:
        part: what the leaves are of, for messages.
        leaves: parameters and statistics by path, of which the shapes are read.
        arrays: arrays of the file by name.
        match: how the file names them.
        path: the file, for messages.
        advice: gives the end of a message, of the arrays.

    Raises:
        UserError: one is missing, has another shape, or is not finite.
    """
    if match.share < 0.5:
        raise UserError(f"{path} is of another network; {advice(arrays)}")
    if match.missing:
        raise UserError(
            f"{path} has no {match.prefix}{match.missing[0]}, which the "
            f"{part} needs ({len(match.missing)} of {len(match.wanted)} arrays are "
            f"missing); {advice(arrays)}"
        )
    values = {}
    for ours, leaf in leaves.items():
        terms = match.names.terms(ours)
        if not terms:
            continue
        wrong = _unfit(terms, leaf, arrays, match.prefix)
        if wrong is not None:
            raise UserError(f"{path}: {wrong} ({ours}); {advice(arrays)}")
        try:
            value = value_of(match.names, ours, leaf, arrays, match.prefix)
        except (ValueError, IndexError):  # parts that do not belong together
            value = np.zeros(0)
        if value.shape != leaf.shape:
            raise UserError(
                f"{match.prefix}{terms[0].name} in {path} has shape {value.shape} in "
                f"our order, where the {part} has {tuple(leaf.shape)} ({ours}); "
                + advice(arrays)
            )
        values[ours] = value
    # A file may hold others for masks. A double may be too large for a float.
    used = {name: arrays[name] for name in _used(leaves, match) if name in arrays}
    bad = not_finite(used, quoted) or not_finite(values)
    if bad is not None:
        raise UserError(f"{path}: {bad}; take the weights from elsewhere")
    return values


def _unfit(terms: Sequence[Term], leaf: Any, arrays, prefix: str) -> str | None:
    """Says which array cannot be part of a parameter; None where each can.

    It is known before any is copied, and normalisation is not stretched to fit.
    """
    for term in terms:
        names = [name for name in (term.name, *term.norm) if prefix + name in arrays]
        for name in filter(None, names):
            array = arrays[prefix + name]
            if array.size > math.prod(leaf.shape) or array.dtype.kind not in "fiubV":
                return (
                    f"{prefix}{name} is {array.dtype} {array.shape}, which is no part "
                    f"of {tuple(leaf.shape)}"
                )
        shapes = {arrays[prefix + name].shape for name in term.norm}
        if len(shapes) > 1 or any(len(shape) != 1 for shape in shapes):
            return f"{prefix}{term.norm[0]} and the like have shapes {sorted(shapes)}"
        own = arrays.get(prefix + term.name) if term.norm and term.name else None
        count = None if own is None or not own.ndim else own.shape[0]
        if count is not None and shapes != {(count,)}:
            return f"{prefix}{term.norm[0]} is not of the {count} channels"
    return None


def _turned(values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Kernels that read an image, for the other order of its channels."""
    return {
        path: np.ascontiguousarray(kernel[:, :, ::-1])
        for path, kernel in values.items()
        if kernel.ndim == 4 and kernel.shape[2] == 3
    }


def put(tree: Any, values: Mapping[str, np.ndarray]) -> Any:
    """A tree with the leaves that have a value replaced."""
    fresh = [
        values.get(path, np.asarray(leaf)) for path, leaf in leaves_of(tree).items()
    ]
    return jax.tree.unflatten(jax.tree.structure(tree), fresh)


def _used(leaves, match: Match) -> set[str]:
    """Names of a file that make parameters of ours."""
    return {
        match.prefix + name
        for path in leaves
        for term in match.names.terms(path) or ()
        for name in (term.name, *term.norm)
    }


def _unused(arrays, leaves, match: Match) -> list[str]:
    used = _used(leaves, match)
    return [name for name in arrays if name not in used]


def _refuse_deeper(part, leaves, arrays, match: Match, path: Path) -> None:
    """Raises UserError where a file has more layers than a network of the same form."""
    ending = match.names.ending()
    more = [
        name
        for name in _unused(arrays, leaves, match)
        if name.startswith(match.prefix)
        and not name.endswith("num_batches_tracked")
        and ending.fullmatch(name.removeprefix(match.prefix))
    ]
    if not more:
        return
    found = guess.guess(arrays)
    if found is not None and not _same(found, leaves):
        raise UserError(
            f"{more[0]} of {path}: the {part} has no such layer; "
            + guess.advice(arrays)
        )


def _same(found: tuple[str, dict[str, Any]], leaves) -> bool:
    """Whether a network is the guessed one without some of its last stages."""
    theirs = guess.leaves(*found)
    stages = {path.split("/")[0].split("_")[0] for path in leaves}
    inside = {p for p in theirs if p.split("/")[0].split("_")[0] in stages}
    return inside <= set(leaves)


def report(
    part: str,
    arrays: Mapping[str, np.ndarray],
    match: Match,
    values: Mapping[str, np.ndarray],
    fresh: list[str],
    path: Path,
) -> list[str]:
    """Lines that say what was loaded, what skipped and what is new."""
    count = sum(value.size for value in values.values())
    prefix = f" behind {match.prefix!r}" if match.prefix else ""
    lines = [f"init_from {path}: names of {match.names.naming}{prefix}"]
    if match.others:
        others = ", ".join(map(repr, match.others))
        lines.append(f"  chosen   {match.prefix!r}, where {others} would fit as well")
    lines.append(f"  loaded   {part}: {len(values)} arrays, {count / 1e6:.2f} M values")
    unused = (
        guess.group(name.removeprefix(match.prefix))
        for name in _unused(arrays, values, match)
    )
    unused = Counter(unused)
    if unused:
        lines.append(f"  skipped  {_counted(unused)}")
    if fresh:
        lines.append(f"  new      {_counted(Counter(map(guess.group, fresh)))}")
    return lines


def _counted(groups: Counter) -> str:
    shown = [f"{name} ({count})" for name, count in groups.most_common(8)]
    rest = sum(groups.values()) - sum(count for _, count in groups.most_common(8))
    return ", ".join(shown) + (f" and {rest} more" if rest else "")
