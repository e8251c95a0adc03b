"""Starting a network from another run, whatever method that was of."""

import logging
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax

from ppcjax.runs.finite import not_finite
from ppcjax.types import UserError
from ppcjax.weights.matching import leaves_of

_LOGGER = logging.getLogger(__name__)

# Layers that a backbone may have more than that of a run; they start as they are.
_OPTIONAL = re.compile(r"link\d/")


def load_run(
    params: Any,
    model_state: Any,
    path: str | Path,
    *,
    log: Callable[[str], None] = _LOGGER.warning,
) -> tuple[Any, Any]:
    """Parameters and statistics with those that a run has too replaced.

    Everything of the same path and shape is taken, whether it is a parameter there and
    a statistic here or the other way about; the optimizer's memory is not. Of a run of
    another method that is the backbone, which must be the same.

    Args:
        params: parameter tree, with the backbone under "backbone" if there is one.
        model_state: tree that may hold the backbone's statistics as "batch_stats",
            again under "backbone".
        path: RUN, RUN/checkpoints or RUN/checkpoints/STEP.
        log: takes one line that says what was loaded and what stays new.

    Returns:
        Trees of the same structure, NumPy arrays.

    Raises:
        UserError: `path` is no run, nothing in it fits, or its backbone is another.
    """
    from ppcjax.runs.run import restore_counted

    run = restore_counted(path)
    method = run.meta["config"].get("method", {})
    saved = _by_name((run.params, run.model_state))
    ours = (params, model_state)
    wanted = _by_name(ours)
    fits = {
        name: saved[name]
        for name, leaf in wanted.items()
        if name in saved and saved[name].shape == leaf.shape
    }
    _check_backbone(wanted, saved, fits, f"{path} ({method.get('backbone', '?')})")
    if not fits:
        raise UserError(f"init_from: no parameter of {path} fits this network")
    bad = not_finite(fits)
    if bad is not None:
        raise UserError(f"init_from {path}: {bad}; give an earlier checkpoint of it")
    log(
        f"init_from {path} ({method.get('name', 'a run')}, step {run.step}): loaded "
        f"{_parts(fits)}; new: {_parts(wanted.keys() - fits.keys())}"
    )
    taken = [fits.get(name, leaf) for name, leaf in wanted.items()]
    return jax.tree.unflatten(jax.tree.structure(ours), taken)


def _check_backbone(wanted, saved, fits, run: str) -> None:
    """Raises UserError where a part of our backbone is not that of the run."""
    for name, leaf in wanted.items():
        part, _, inner = name.partition("/")
        if part != "backbone" or name in fits or _OPTIONAL.match(inner):
            continue
        there = f"shape {saved[name].shape}" if name in saved else "nothing"
        raise UserError(
            f"init_from: {run} has another backbone: {there} for {name}, which has "
            f"shape {leaf.shape} here; set method.backbone and its backbone_settings "
            "as in that run's config.json"
        )


def _parts(leaves) -> str:
    """Top-level parts of the names and how many arrays each has, in words."""
    counts = Counter(name.partition("/")[0] for name in leaves)
    return ", ".join(f"{part} ({counts[part]})" for part in sorted(counts)) or "nothing"


def _by_name(state: tuple[Any, Any]) -> dict[str, Any]:
    """Leaves of (params, model_state) by path, such as "backbone/conv1/conv/kernel".

    Batch statistics go by the path that they have as parameters of a network whose
    statistics are frozen.
    """
    return {
        path.partition("/")[2].removeprefix("batch_stats/"): leaf
        for path, leaf in leaves_of(state).items()
    }
