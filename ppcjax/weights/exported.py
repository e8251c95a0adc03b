"""Predictors that were exported: a compiled program, and what it says of itself.

A folder EXPORT holds

    model.jaxexp    the program with its weights, as `jax.export` serialises it
    model.json      what it is of: `read_note`
    model.onnx      the same for one size of images, where it was asked for
    README.md       model card
    threshold.json  threshold that a validation split chose, where one did

`ppcjax.predict.export` writes them. A program comes from anywhere; it is only run when
it is the one that model.json describes, and calls nothing outside itself.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Literal, NamedTuple

import jax
import numpy as np
from jax import export

from ppcjax import fields
from ppcjax.checkout import program
from ppcjax.fields import Length, Range
from ppcjax.runs import Run, checked
from ppcjax.runs.messages import first_line
from ppcjax.types import Method, UserError

PROGRAM, NOTE, CARD, ONNX = "model.jaxexp", "model.json", "README.md", "model.onnx"
THRESHOLD = "threshold.json"
FORMAT, VERSION = "ppcjax predictor", 1

_NOTE_BYTES = 4_000_000
_KEYS = {"maps": {"scores", "tag_logits"}, "logits": {"logits"}}
# What StableHLO of JAX calls that is no function of another program: checks of sizes.
_HARMLESS = {"shape_assertion", "Sharding", "sdy.sharding_constraint"}
_AGAIN = f"export it again with {program('eval')} --export_model"


class Note(NamedTuple):
    """What ppcjax reads of model.json; there is more in it, for people.

    gives: "maps" or "logits", as of a Method.
    classes: names by class id, "background" first where there is one.
    step: updates that the network was trained for.
    threshold: score above which a pixel is foreground.
    config: config of the run.
    bytes: length of the program.
    sha256: checksum of the program.
    jax: version of JAX that wrote it.
    aligned: whether corners of cells and photo meet, as `Method.aligned` says.
    """

    gives: str
    classes: tuple[str, ...]
    step: int
    threshold: float
    config: dict[str, Any]
    bytes: int
    sha256: str
    jax: str
    aligned: bool


def is_exported(path: str | Path) -> bool:
    """Whether a path looks like an exported predictor: a folder, or its program."""
    path = Path(path).expanduser()
    return path.suffix == Path(PROGRAM).suffix or (path / NOTE).is_file()


def open_exported(path: str | Path) -> Run:
    """An exported predictor as a run, which predicts and cannot be trained.

    Args:
        path: EXPORT or EXPORT/model.jaxexp.

    Returns:
        A Run without parameters: they are in the program. Its `method.predict` gives
        what that of the run gave that was exported, so scales, mirrors, windows and
        thresholds are those of any run.

    Raises:
        UserError: a file is missing or damaged, is of a newer ppcjax or JAX, or does
            not do what model.json says.
    """
    path = Path(path).expanduser()
    folder, program = (path, path / PROGRAM) if path.is_dir() else (path.parent, path)
    note = read_note(folder)
    run = _predictor(program, note)
    return Run(
        folder=folder.resolve(),
        step=note.step,
        config=note.config,
        classes=note.classes,
        method=Method(
            _untrainable, _untrainable, run, gives=note.gives, aligned=note.aligned
        ),
        params={},
        model_state={},
        named=True,
        program=note.sha256,
    )


def read_note(folder: Path) -> Note:
    """Reads model.json.

    Raises:
        UserError: it is missing, damaged, or of a newer ppcjax.
    """
    file = folder / NOTE
    try:
        found = checked.parse(checked.read_bytes(file, _NOTE_BYTES))
    except FileNotFoundError:
        raise UserError(
            f"{file} is missing, which says what {PROGRAM} is of; keep the files of an "
            "exported predictor together"
        ) from None
    except (OSError, ValueError) as error:
        raise UserError(f"{file} is damaged ({first_line(error)}); {_AGAIN}") from error
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise UserError(f"{file} does not describe an exported predictor of ppcjax")
    if found.get("version") != VERSION:
        raise UserError(
            f"{file}: version {fields.shown(found.get('version'))} of the format, and "
            f"this ppcjax knows {VERSION}; use a newer ppcjax"
        )
    found |= {f"program_{k}": v for k, v in _part(found, "program").items()}
    return _checked(found, str(file))


def _checked(found: Mapping[str, Any], file: str) -> Note:
    names = Annotated[tuple[str, ...], Length(2)]
    known = {"aligned": True, **found}  # as all were before it was noted
    value = {
        name: fields.check(hint, known.get(name), f"{file}: {name}")
        for name, hint in {
            "gives": Literal["maps", "logits"],
            "classes": names,
            "step": Annotated[int, Range(0)],
            "threshold": Annotated[float, Range(0, below=1)],
            "program_bytes": Annotated[int, Range(1)],
            "program_sha256": str,
            "program_jax": str,
            "aligned": bool,
        }.items()
    }
    try:
        config = checked.config_of(found.get("config"), file)
        checked.check_classes(value["classes"])
    except (UserError, ValueError) as error:
        raise UserError(
            f"{file}: config is not that of a run ({error}); {_AGAIN}"
        ) from error
    program = [value.pop(f"program_{name}") for name in ("bytes", "sha256", "jax")]
    return Note(
        value["gives"],
        value["classes"],
        value["step"],
        value["threshold"],
        config,
        *program,
        value["aligned"],
    )


def _part(found: Mapping[str, Any], name: str) -> dict[str, Any]:
    part = found.get(name)
    return dict(part) if isinstance(part, dict) else {}


def _untrainable(*_: Any) -> Any:
    raise UserError("an exported predictor cannot be trained; train from its run")


def _predictor(file: Path, note: Note) -> Any:
    """`Method.predict` of a program that was checked."""
    exported = _read_program(file, note)
    _check_calls(exported, file)
    _check_shapes(exported, note, file)

    def predict(params: Any, model_state: Any, batch: Mapping[str, Any]) -> Any:
        del params, model_state
        return exported.call(batch["image"], batch["valid"][:, 2:])["network"]

    return predict


def _read_program(file: Path, note: Note) -> export.Exported:
    try:
        length = file.stat().st_size
        with file.open(
            "rb"
        ) as stream:  # nothing is kept before it is known to be right
            right = length == note.bytes and _sha256(stream) == note.sha256
        content = file.read_bytes() if right else b""
    except OSError as error:
        raise UserError(f"cannot read {file} ({error.strerror}); {_AGAIN}") from error
    if not right:
        raise UserError(
            f"{file} ({length} bytes) is not the program that {NOTE} beside it "
            f"describes ({note.bytes} bytes); download or export both again"
        )
    try:
        return export.deserialize(bytearray(content))
    except Exception as error:  # a flat buffer that lies fails anywhere
        writer = fields.shown(note.jax).strip("'")
        raise UserError(
            f"JAX {jax.__version__} cannot read {file}, which JAX {writer} wrote "
            f"({first_line(error)[:120]}); use that version of JAX, or {_AGAIN}"
        ) from error


def _sha256(stream: BinaryIO) -> str:
    return hashlib.file_digest(stream, "sha256").hexdigest()


def _check_calls(exported: export.Exported, file: Path) -> None:
    """Refuses a program that calls what is not in it, or has weights of NaN."""
    from jax.extend.mlir import ir
    from jax.extend.mlir.dialects import stablehlo

    called, constants, bad = set(), [], []

    def look(operation):
        if operation.name == "stablehlo.constant":
            constants.append(0)
            bad.extend(_not_finite(operation.attributes["value"]))
        if operation.name.endswith("custom_call"):
            called.add(ir.StringAttr(operation.attributes["call_target_name"]).value)
        return ir.WalkResult.ADVANCE

    try:
        with ir.Context() as context:
            stablehlo.register_dialect(context)
            module = stablehlo.deserialize_portable_artifact(
                context, exported.mlir_module_serialized
            )
            module.operation.walk(look)
    except Exception as error:
        raise UserError(
            f"{file} holds no program that JAX {jax.__version__} reads "
            f"({first_line(error)[:120]}); {_AGAIN}, with the older one of both JAX"
        ) from error
    if called - _HARMLESS:
        raise UserError(
            f"{file} calls {fields.shown(min(called - _HARMLESS))}, which is not part "
            "of it; no predictor of ppcjax does that, so it is not run"
        )
    if bad:
        raise UserError(
            f"{file}: {len(bad)} of its {len(constants)} constants hold NaN or "
            f"infinite numbers: {', '.join(bad[:3])}; export it again from another "
            "checkpoint"
        )


def _not_finite(value: Any) -> list[str]:
    """Says which numbers of a constant array are none; [] where all are.

    A lone minus infinity is no weight: the largest of nothing begins with it.
    """
    try:
        array = np.asarray(value)
    except (TypeError, ValueError):  # a kind that NumPy does not have
        return []
    if not array.ndim or array.dtype.kind not in "fcV":
        return []
    splat = getattr(value, "is_splat", False)
    bad = int((np.isnan(array) if splat else ~np.isfinite(array)).sum())
    return [f"{list(array.shape)} ({bad} of {array.size})"] if bad else []


def _check_shapes(exported: export.Exported, note: Note, file: Path) -> None:
    """Refuses a program whose inputs or outputs are others than model.json says."""
    try:
        image, size = exported.in_avals
        spec = jax.tree.unflatten(exported.out_tree, exported.out_avals)
        network, scores = spec["network"], spec["scores"]
        maps = network["scores" if note.gives == "maps" else "logits"]
        right = (
            (image.ndim, image.dtype, image.shape[-1]) == (4, np.uint8, 3)
            and (size.ndim, size.dtype, size.shape[-1]) == (2, np.int32, 2)
            and set(network) - {"extent"} == _KEYS[note.gives]
            and (scores.shape[-1], maps.shape[-1]) == (len(note.classes),) * 2
        )
    except Exception:  # it may have any structure
        right = False
    if not right:
        raise UserError(
            f"{file} does not take images and give {note.gives} of the "
            f"{len(note.classes)} classes that {NOTE} names; {_AGAIN}"
        )
