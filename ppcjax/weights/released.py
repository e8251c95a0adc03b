"""Whole networks from files: released checkpoints, and those that ppcjax wrote."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ppcjax import methods
from ppcjax.frozen.batches import attached
from ppcjax.runs import Run, checked
from ppcjax.types import Method, UserError
from ppcjax.weights import known, readers
from ppcjax.weights.arrays import maps_of_method, network_leaves, own_names
from ppcjax.weights.frozen import of_config
from ppcjax.weights.loading import put, report, take
from ppcjax.weights.matching import best_match

_ADVICE = (
    "is --config that of its method and network, and are the classes of config.data "
    "those that it was trained on?"
)
# What `Method.init` reads of a batch: shapes that no parameter depends on.
SHAPES = {"shot_valid": jax.ShapeDtypeStruct((1, 1, 1), bool)}


def open_file(
    path: str | Path,
    config: Mapping[str, Any] | None = None,
    classes: tuple[str, ...] = (),
    *,
    log: Callable[[str], None] = print,
) -> Run:
    """A whole trained network from a file of weights.

    Args:
        path: file that one of the five systems released, or that
            `ppcjax.weights.writers.write_network` wrote.
        config: config of the method that the file is of; None where the file tells it.
        classes: names by class id, "background" first where there is one.
        log: takes the lines that say what was loaded.

    Returns:
        A Run; evaluations write below runs/NAME, the file's name.

    Raises:
        UserError: the file does not fill the network, or nothing says what it is of.
    """
    path = Path(path).expanduser()
    arrays, note = readers.read(path, finite=False), readers.note(path)
    told = config is None
    config, classes = _described(path, config, classes, note)
    row = known.of_file(path.name)
    if row and row.channels == "bgr" and config["method"].get("channels") != "bgr":
        log(f"{path.name} was trained on BGR; give {row.options}")
    config, frozen = of_config(config, log)
    method = methods.make(config["method"], len(classes))
    params, model_state = _filled(config["method"]["name"], method, arrays, path, log)
    return Run(
        folder=Path("runs") / path.name.partition(".")[0],
        step=int(note["step"]) if told else 0,
        config=config,
        classes=classes,
        method=method if frozen is None else attached(method, frozen),
        params=params,
        model_state=model_state,
        named=True,
    )


def _described(path, config, classes, note) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Config and classes: those given, else those in the file's header."""
    told = config is None
    if told and "config" in note:
        try:
            classes = checked.parse(note["classes"])
            checked.check_classes(classes)
            config = checked.config_of(checked.parse(note["config"]), str(path))
            if not re.fullmatch(r"\d{1,9}", note["step"]):
                raise ValueError("its step is no number")
        except (KeyError, ValueError, UserError) as error:
            raise UserError(
                f"{path}: its header holds no config, classes and step of a run "
                f"({error}); name the config with --config"
            ) from error
    if config is None:
        raise UserError(
            f"{path} is a file of weights: name the config of the network that it is "
            "of, such as --config ppc_voc"
        )
    return config if told else dict(config), tuple(classes)


def _filled(
    name: str, method: Method, arrays: Mapping[str, np.ndarray], path: Path, log
) -> tuple[Any, Any]:
    """What `method.predict` reads, filled from a file."""
    params, model_state = method.keep(*method.init(jax.random.key(0), SHAPES))
    leaves = network_leaves(params, model_state)
    maps = [*maps_of_method(name, leaves), own_names(leaves)]
    match = best_match(leaves, arrays, maps)
    if match is None:
        raise UserError(f"{path} holds nothing of this network; {_ADVICE}")
    values = take("network", leaves, arrays, match, path, lambda _: _ADVICE)
    fresh = [path for path in leaves if path not in values]
    for line in report("network", arrays, match, values, fresh, path):
        log(line)
    stats = {k: tree for k, tree in model_state.items() if k == "batch_stats"}
    rest = {k: tree for k, tree in model_state.items() if k not in stats}
    stats = {k: put(tree, values) for k, tree in stats.items()}
    return put(params, values), put(rest, values) | stats
