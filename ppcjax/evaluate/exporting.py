"""What eval.py writes instead of evaluating: a predictor for other programs."""

from typing import Annotated

from ppcjax.fields import Range
from ppcjax.predict import export
from ppcjax.runs import Run
from ppcjax.types import UserError

_Side = Annotated[int, Range(1, 8192), "pixels"]


def export_predictor(
    run: Run,
    *,
    export_model: str,
    onnx: bool = False,
    onnx_size: tuple[_Side, _Side] | None = None,
) -> None:
    """Writes a predictor, and prints what it wrote.

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
