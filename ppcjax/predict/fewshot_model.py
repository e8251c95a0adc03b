"""A trained few-shot method, restored, and its logits at the size of a photo."""

import json
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from ppcjax import methods
from ppcjax.evaluate.episodes.protocols import EpisodeEvaluation
from ppcjax.ops.resize import bilinear_matrix
from ppcjax.runs import checkpoint
from ppcjax.types import Method, UserError

CHOICE_FILE = "choice.json"  # in a run: which of its checkpoints counts


class Model(NamedTuple):
    """A trained few-shot method.

    folder: of the run.
    step: updates that it was trained for.
    config: of the run.
    classes: of its data, background first.
    stride: pixels of the canvas per cell of the logits.
    """

    folder: Path
    step: int
    config: dict[str, Any]
    classes: tuple[str, ...]
    method: Method
    params: Any
    model_state: Any
    stride: int

    @property
    def align_corners(self) -> bool:
        """Convention in which logits are resized to the photo."""
        return EpisodeEvaluation.of(self.config["eval"]).align_corners


def is_few_shot(config: dict[str, Any]) -> bool:
    """Whether a run with this config was trained on episodes."""
    return "way" in config["data"]


def chosen_checkpoint(run: str | Path) -> Path:
    """The checkpoint that `episode_choice.choose` noted, else `run` itself.

    A note counts as long as the run has the checkpoints that were compared.
    """
    run = Path(run).expanduser().resolve()
    folder = checkpoint.run_folder(run)
    if run.name.isdigit() or not (folder / CHOICE_FILE).is_file():
        return run
    choice = json.loads((folder / CHOICE_FILE).read_text())
    if sorted(map(int, choice["mean_iou"])) != checkpoint.saved_steps(folder):
        return run
    return folder / checkpoint.FOLDER / str(choice["step"])


def load_model(run: str | Path) -> Model:
    """Restores the checkpoint named, or of a run the chosen one, else the newest.

    Args:
        run: RUN, RUN/checkpoints or RUN/checkpoints/STEP.

    Raises:
        UserError: there is no checkpoint, or it is of no few-shot method.
    """
    restored = checkpoint.restore(chosen_checkpoint(run))
    config, classes = restored.meta["config"], tuple(restored.meta["classes"])
    if not is_few_shot(config):
        raise UserError(
            f"{run}: its method {config['method']['name']!r} is not a few-shot method; "
            "give a run of panet or asgnet"
        )
    method = methods.make(config["method"], len(classes))
    return Model(
        checkpoint.run_folder(run),
        restored.step,
        config,
        classes,
        method,
        restored.params,
        restored.model_state,
        _stride(method, restored.params, restored.model_state),
    )


def _stride(method: Method, params: Any, model_state: Any) -> int:
    side = 256
    batch = {
        "support_image": jax.ShapeDtypeStruct((1, 1, 1, side, side, 3), np.uint8),
        "support_valid": jax.ShapeDtypeStruct((1, 1, 1, 4), np.int32),
        "support_mask": jax.ShapeDtypeStruct((1, 1, 1, side, side), np.int32),
        "shot_valid": jax.ShapeDtypeStruct((1, 1, 1), np.bool_),
        "query_image": jax.ShapeDtypeStruct((1, 1, side, side, 3), np.uint8),
        "query_valid": jax.ShapeDtypeStruct((1, 1, 4), np.int32),
    }
    spec = jax.eval_shape(method.predict, params, model_state, batch)
    return side // spec["logits"].shape[2]


def to_photo(
    logits: np.ndarray,
    extent: np.ndarray,
    size: tuple[int, int],
    *,
    stride: int,
    align_corners: bool,
) -> np.ndarray:
    """Logits of a photo on a canvas, resized to any size of that photo.

    Args:
        logits: [h, w, J] of the canvas.
        extent: [2] rows and columns of the photo on the canvas.
        size: (H, W) wanted.
        stride: of the logits.
        align_corners: convention of the resize.

    Returns:
        [H, W, J] float32.
    """
    rows, columns = (-(-int(n) // stride) for n in extent)
    y, x = (
        partial(bilinear_matrix, align_corners=align_corners)(out_size, in_size)
        for out_size, in_size in zip(size, (rows, columns), strict=True)
    )
    part = logits[:rows, :columns]
    wide = np.tensordot(x, part, axes=(1, 1))  # [W, h, J]
    return np.tensordot(y, wide, axes=(1, 1))  # [H, W, J]
