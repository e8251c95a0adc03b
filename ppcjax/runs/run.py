"""A trained run, opened. Files of networks are opened by `weights.opening`."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ppcjax import methods
from ppcjax.runs import checkpoint
from ppcjax.runs.files import read_json
from ppcjax.types import Method, TrainState, UserError

LISTS = "splits"  # in a run: which photos were held out, where it drew them
CHOICE_FILE = "choice.json"  # in a run: which of its checkpoints counts


class Run(NamedTuple):
    """A restored run.

    folder: where it lies; evaluations write below it.
    step: updates that it was trained for.
    config: what it was trained with, JSON types.
    classes: names by class id, "background" first where there is one.
    method: made from the config.
    params: parameters that `method.predict` reads.
    model_state: state that `method.predict` reads.
    named: whether this very checkpoint was asked for, not the run.
    untrained: whether the parameters are those that its config starts from.
    program: SHA-256 of the program that holds the parameters, of an exported predictor.
    """

    folder: Path
    step: int
    config: dict[str, Any]
    classes: tuple[str, ...]
    method: Method
    params: Any
    model_state: Any
    named: bool = False
    untrained: bool = False
    program: str = ""

    @property
    def evaluation(self) -> dict[str, Any]:
        """The settings of config.eval, which a config may leave out."""
        return dict(self.config.get("eval", {}))

    @property
    def lists(self) -> Path:
        """Folder of the lists of the splits that it drew, which may not be there."""
        return self.folder / LISTS

    @property
    def name(self) -> str:
        """Method and folder, for messages."""
        return f"{self.folder} (method {self.config['method']['name']!r})"


def open_run(path: str | Path) -> Run:
    """Opens the checkpoint that is named, or of a run the one that counts.

    That is the chosen one (`chosen_checkpoint`), else the best one where the config
    keeps it, else the newest.

    Args:
        path: RUN, RUN/checkpoints or RUN/checkpoints/STEP.

    Raises:
        UserError: there is no checkpoint, or its method has another form by now.
    """
    restored = checkpoint.restore(counted_checkpoint(path))
    config, classes = restored.meta["config"], tuple(restored.meta["classes"])
    method = methods.make(config["method"], len(classes))
    params, model_state = method.keep(restored.params, restored.model_state)
    folder = checkpoint.run_folder(path)
    return Run(
        folder,
        restored.step,
        config,
        classes,
        method,
        params,
        model_state,
        named=Path(path).name.isdigit(),
    )


def is_config(found: Any) -> bool:
    """Whether a value from a file has the parts of a config that a Run needs."""
    if not isinstance(found, dict) or not isinstance(found.get("name"), str):
        return False
    parts = (found.get("method"), found.get("data"), found.get("eval", {}))
    return all(isinstance(part, dict) for part in parts) and isinstance(
        found["method"].get("name"), str
    )


def counted_checkpoint(path: str | Path) -> Path:
    """The checkpoint of a run that evaluation and prediction take."""
    path = Path(path).expanduser().resolve()
    folder = checkpoint.run_folder(path)
    if path != folder:
        return path
    chosen = chosen_checkpoint(folder)
    if chosen is not None:
        return chosen
    meta = checkpoint.newest_meta(folder) or {}
    best = checkpoint.saved_steps(folder, checkpoint.BEST)
    if best and meta.get("config", {}).get("keep_best"):
        return folder / checkpoint.BEST / str(best[-1])
    return path


def chosen_checkpoint(folder: Path) -> Path | None:
    """The checkpoint that an evaluation chose and noted in RUN/choice.json.

    A note counts as long as the run has the checkpoints that were compared.
    """
    file = folder / CHOICE_FILE
    choice = read_json(file)
    if not choice:
        return None
    try:
        compared, step = sorted(map(int, choice["mean_iou"])), int(choice["step"])
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{file} names no checkpoint; remove it") from error
    if compared != checkpoint.saved_steps(folder):
        return None
    return folder / checkpoint.FOLDER / str(step)


def export_run(path: str | Path, folder: str | Path) -> None:
    """Writes a run that can only predict: no optimizer, projection or memory.

    Args:
        path: RUN, RUN/checkpoints or RUN/checkpoints/STEP.
        folder: new run, which `open_run` reads; it must not hold one yet.

    Raises:
        UserError: there is no checkpoint at `path`, or there is one in `folder`.
    """
    if checkpoint.newest_step(folder) is not None:
        raise UserError(f"{folder} holds a run already; give another folder")
    run = open_run(path)
    saver = checkpoint.Checkpoints(
        folder, keep=1, config=run.config, classes=run.classes
    )
    state = TrainState(np.int32(run.step), run.params, run.model_state, opt_state={})
    saver.save(state, run.step)
    saver.close()
