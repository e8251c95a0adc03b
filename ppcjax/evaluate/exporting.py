"""What eval.py writes instead of evaluating: networks for other programs."""

from collections.abc import Callable
from typing import Annotated

from ppcjax.fields import OneOf, Range
from ppcjax.predict import export
from ppcjax.runs import Run
from ppcjax.types import UserError
from ppcjax.weights.writers import namings, write_backbone, write_network

_Side = Annotated[int, Range(8, 8192), "pixels"]


def export_backbone(
    run: Run,
    *,
    export_backbone: str,
    names: Annotated[str, OneOf(("", *namings()))] = "",
) -> None:
    """Writes the backbone as safetensors, under names of others.

    Args:
        run: has a backbone.
        export_backbone: .safetensors file that is written.
        names: whose names the arrays get; empty: the first that there are.
    """
    count, naming = write_backbone(export_backbone, run, naming=names)
    print(
        f"{count} arrays of the backbone of {run.folder}, step {run.step}, under the "
        f"names of {naming}: {export_backbone}"
    )


def export_weights(run: Run, *, export_weights: str) -> None:
    """Writes the whole network as safetensors, which --ckpt opens again.

    Args:
        run: any run.
        export_weights: .safetensors file that is written.
    """
    count, naming = write_network(export_weights, run)
    print(
        f"{count} arrays of {run.folder}, step {run.step}, under the names of "
        f"{naming}: {export_weights}"
    )


def export_predictor(
    run: Run,
    *,
    export_model: str,
    onnx: bool = False,
    onnx_size: tuple[_Side, _Side] | None = None,
) -> None:
    """Writes a predictor that runs with JAX alone; with --onnx an ONNX file, too.

    Args:
        run: gives activation maps or logits.
        export_model: folder that is written.
        onnx: whether an ONNX file is written, too.
        onnx_size: rows and columns of the images that it takes; None: config.data.crop.

    Raises:
        UserError: the options do not go together, or see `export.export_model`.
    """
    if not export_model:
        raise UserError("--export_model needs a folder: --export_model=DIR")
    if onnx_size is not None and not onnx:
        raise UserError("--onnx_size is for an ONNX file: give --onnx, too")
    size = None
    if onnx:
        crop = run.config["data"].get("crop", 512)
        size = onnx_size or (crop, crop)
    export.export_model(run, export_model, onnx=size)


# Options that export, and what they call; all their arguments but the run are options.
EXPORTS: dict[str, Callable[..., None]] = {
    "export_backbone": export_backbone,
    "export_weights": export_weights,
    "export_model": export_predictor,
}
