"""A trained run, opened. Files of networks are opened by `weights.opening`."""

import functools
import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np

from ppcjax import fields, methods
from ppcjax.console import memory
from ppcjax.fields import Range
from ppcjax.frozen.kept import with_network
from ppcjax.runs import checked, checkpoint, finite
from ppcjax.runs.messages import first_line
from ppcjax.runs.there import check_folder, names_in, not_ours
from ppcjax.types import Method, TrainState, UserError

_LOGGER = logging.getLogger(__name__)

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
    restored = restore_counted(path)
    folder = checkpoint.run_folder(path)
    where = f"{folder} at step {restored.step}"
    config = checked.config_of(restored.meta["config"], where)
    config.setdefault("name", folder.name)
    classes = tuple(restored.meta["classes"])
    method = methods.make(config["method"], len(classes))
    method = _fitting(with_network(method, config, folder), where)
    params, model_state = method.keep(restored.params, restored.model_state)
    finite.refuse(
        (params, model_state),
        where,
        "give an earlier checkpoint, RUN/checkpoints/STEP, or train anew",
    )
    return Run(
        folder,
        restored.step,
        config,
        classes,
        method,
        params,
        model_state,
        named=checkpoint.names_step(path),
    )


def _fitting(method: Method, where: str) -> Method:
    """A method whose use of parameters that are not its own is one line.

    Networks are only looked at when they are used; then, before anything is computed,
    they miss what their config promises.
    """

    def guarded(function: Callable[..., Any] | None) -> Callable[..., Any] | None:
        if function is None:
            return None

        @functools.wraps(function)
        def call(*arguments: Any) -> Any:
            try:
                return function(*arguments)
            except Exception as error:
                if isinstance(error, UserError) or memory.is_lacking(error):
                    raise
                why = first_line(error)[:200]
                raise UserError(
                    f"{where}: its parameters are not those of the network that its "
                    f"config describes ({why}); take the run from elsewhere"
                ) from error

        return call

    names = ("predict", "keep", "fit", "segment")
    return method._replace(**{name: guarded(getattr(method, name)) for name in names})


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


def restore_counted(path: str | Path) -> checkpoint.Restored:
    """The checkpoint that counts; where it is damaged, the newest sound one of the run.

    Args:
        path: RUN, RUN/checkpoints or RUN/checkpoints/STEP.

    Raises:
        UserError: there is no sound checkpoint, or the one that is named is damaged.
    """
    counted = counted_checkpoint(path)
    try:
        return checkpoint.restore(counted)
    except checkpoint.Damaged as error:
        run = Path(path).expanduser().resolve()
        if counted == run:
            raise
        _LOGGER.warning("%s; the newest sound one is taken", error)
        return checkpoint.restore(run)


def chosen_checkpoint(folder: Path) -> Path | None:
    """The checkpoint that an evaluation chose and noted in RUN/choice.json.

    A note counts as long as the run has the checkpoints that were compared.
    """
    file = folder / CHOICE_FILE
    choice = checked.read_json(file)
    if not choice:
        return None
    _check_choice(choice, file)
    tried = (*choice["mean_iou"], *choice.get("damaged", ()))
    compared, step = sorted(map(int, tried)), choice["step"]
    if compared != checkpoint.saved_steps(folder):
        return None
    return folder / checkpoint.FOLDER / str(step)


def _check_choice(choice: dict[str, Any], file: Path) -> None:
    """Raises UserError where a note of a choice holds other things than it should."""
    try:
        for name, hint in _CHOICE.items():
            if name in choice or name in ("step", "mean_iou"):
                fields.check(hint, choice.get(name), name)
        scores = choice["mean_iou"]
        if not all(re.fullmatch(r"\d{1,18}", step) for step in scores):
            raise ValueError
        if not all(map(checked.is_number, scores.values())):
            raise ValueError
    except (UserError, ValueError) as error:
        raise UserError(f"{file} names no checkpoint; remove it") from error


# What RUN/choice.json holds, see `evaluate.episodes.choice`.
_CHOICE: dict[str, Any] = {
    "step": Annotated[int, Range(0)],
    "mean_iou": dict[str, Any],
    "damaged": tuple[Annotated[int, Range(0)], ...],
    "classes": tuple[str, ...],
    "held_out": bool,
    "split": str,
    "episodes": Annotated[int, Range(1)],
    "shot": Annotated[int, Range(1)],
}


def export_run(path: str | Path, folder: str | Path) -> None:
    """Writes a run that can only predict: no optimizer, projection or memory.

    Args:
        path: RUN, RUN/checkpoints or RUN/checkpoints/STEP.
        folder: new run, which `open_run` reads; it must hold nothing yet.

    Raises:
        UserError: there is no checkpoint at `path`, or something is in `folder`.
    """
    folder = Path(folder).expanduser()
    if checkpoint.newest_step(folder) is not None:
        raise UserError(f"{folder} holds a run already; give another folder")
    check_folder(folder)
    if there := names_in(folder):
        raise not_ours(folder, there[0])
    run = open_run(path)
    saver = checkpoint.Checkpoints(
        folder, keep=1, config=run.config, classes=run.classes
    )
    state = TrainState(np.int32(run.step), run.params, run.model_state, opt_state={})
    saver.save(state, run.step)
    saver.close()
