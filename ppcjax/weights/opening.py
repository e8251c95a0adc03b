"""One way to a trained network, whatever it lies in."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ppcjax.runs import Run, open_run
from ppcjax.types import UserError
from ppcjax.weights import exported, released


def open_model(
    path: str | Path,
    config: Mapping[str, Any] | None = None,
    classes: tuple[str, ...] = (),
    *,
    log: Callable[[str], None] = print,
) -> Run:
    """Opens a run, an exported predictor, or a file of a whole network.

    Args:
        path: RUN, RUN/checkpoints or RUN/checkpoints/STEP; the folder of an exported
            predictor or its model.jaxexp; or a released checkpoint.
        config: config of the method that a released checkpoint is of; None otherwise.
        classes: names by class id that belong to `config`.
        log: takes the lines that say what a file was loaded into.

    Raises:
        UserError: there is nothing that can be opened, or a config for what has one.
    """
    path = Path(path).expanduser()
    is_predictor = exported.is_exported(path)
    if config is not None and (is_predictor or path.is_dir()):
        raise UserError(
            f"{path} has its own config; leave out the one that is given, which is for "
            "files of weights"
        )
    if is_predictor:
        return exported.open_exported(path)
    if path.is_file():
        return released.open_file(path, config, classes, log=log)
    return open_run(path)
