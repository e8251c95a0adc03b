"""Writes a predictor that runs without ppcjax: a program, its description, a card."""

import hashlib
import importlib.metadata
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax import export

from ppcjax.predict import photos
from ppcjax.predict.export.card import card, share, start_weights
from ppcjax.predict.export.onnx import need_libraries, onnx_bytes
from ppcjax.predict.export.scores import WORDS, scorer
from ppcjax.runs import Run, provenance
from ppcjax.runs.checked import read_json
from ppcjax.runs.files import check_writable, json_bytes
from ppcjax.runs.messages import first_line, versions
from ppcjax.runs.ours import Folder, Kind
from ppcjax.types import UserError
from ppcjax.weights import exported
from ppcjax.weights.exported import CARD, NOTE, ONNX, PROGRAM, THRESHOLD

PLATFORMS = ("cpu", "cuda", "tpu")


def _is_earlier(folder: Path) -> bool:
    """Whether an earlier version, which kept no list, wrote a predictor there."""
    try:
        return read_json(folder / NOTE).get("format") == exported.FORMAT
    except UserError:
        return False


# An evaluation of a predictor goes into a folder of its own there, see `Folder`.
MODEL = Kind(
    "predictor",
    "exported predictor",
    frozenset({PROGRAM, NOTE, CARD, ONNX, THRESHOLD}),
    _is_earlier,
    frozenset({THRESHOLD}),
)


def export_model(
    run: Run,
    folder: str | Path,
    *,
    onnx: tuple[int, int] | None = None,
    say: Callable[[str], None] = print,
) -> None:
    """Writes a run as a predictor, which `ppcjax.weights.exported` opens again.

    Args:
        run: gives activation maps or logits.
        folder: new folder, or one that holds an exported predictor, which is replaced.
        onnx: rows and columns of images that an ONNX file is written for; None: none.
        say: takes a line for each file.

    Raises:
        UserError: the run does not segment photos by itself, something else lies in
            `folder`, a library is missing, or the network cannot be expressed as ONNX.
    """
    photos.need_segmenter(run)
    if onnx is not None:
        need_libraries()
    folder = Path(folder).expanduser()
    out = _checked(folder, run)
    check_writable(folder / NOTE)
    convention = run.evaluation.get("convention", "ppc")
    score = scorer(run.method, run.params, run.model_state, convention=convention)
    files, note = {}, _describe(run)
    files[PROGRAM] = _program(run, score)
    note["program"] |= _checksum(files[PROGRAM])
    if onnx is not None:
        files[ONNX], difference = _onnx(run, score, onnx)
        note["onnx"] = {"file": ONNX, **_checksum(files[ONNX]), "size": list(onnx)}
        note["onnx"]["difference"] = difference
    with out:
        for name, content in files.items():
            out.write(name, content)
        if ONNX not in files:
            out.remove(ONNX)
        _copy_threshold(run, out)
        out.write(NOTE, json_bytes(note))
        out.write(CARD, card(run, note, {k: len(v) for k, v in files.items()}))
    _tell(folder, note, say)


def _program(run: Run, score: Callable[..., Any]) -> bytes:
    batch, height, width = export.symbolic_shape("b, h, w")
    image = jax.ShapeDtypeStruct((batch, height, width, 3), np.uint8)
    size = jax.ShapeDtypeStruct((batch, 2), np.int32)
    traced = export.export(jax.jit(score), platforms=PLATFORMS)
    try:
        return bytes(traced(image, size).serialize())
    except Exception as error:  # a network may ask anything of sizes
        raise UserError(
            f"{_network(run)} cannot be exported for images of any size "
            f"({first_line(error)[:200]}); use the run itself with ppcjax.load"
        ) from error


def _onnx(run: Run, score: Callable[..., Any], size: tuple[int, int]):
    grid = {"maps": "scores", "logits": "logits"}[run.method.gives]

    def both(image):
        found = score(image)
        return found["scores"], found["network"][grid]

    return onnx_bytes(both, size, what=_network(run))


def _network(run: Run) -> str:
    method = run.config["method"]
    return f"method {method['name']!r} on {method.get('backbone', 'its network')}"


def _describe(run: Run) -> dict[str, Any]:
    """What model.json says."""
    start, licence = start_weights(run.config)
    arrays = jax.tree.leaves((run.params, run.model_state))
    return {
        "format": exported.FORMAT,
        "version": exported.VERSION,
        "program": {"file": PROGRAM, "platforms": PLATFORMS, "jax": jax.__version__},
        "input": {
            "image": "[b, h, w, 3] uint8 RGB, any b, h and w",
            "size": "[b, 2] int32 rows and columns of each image, which lies in the "
            "top left corner",
        },
        "output": {
            "scores": "[b, h, w, classes] float32, 0 for the background: "
            + WORDS[run.method.gives],
            "network": "what the network gives on its own grid, for ppcjax",
        },
        "gives": run.method.gives,
        "aligned": run.method.aligned,
        "classes": run.classes,
        "threshold": photos.chosen_threshold(run),
        "method": run.config["method"]["name"],
        "step": run.step,
        "weights": {
            "sha256": _digest((run.params, run.model_state)),
            "numbers": sum(int(np.size(leaf)) for leaf in arrays),
            "start": start,
            "start_licence": licence,
        },
        "ppcjax": _version(),
        "commit": provenance.commit(),
        "versions": versions(),
        "config": share(run.config),
    }


def _version() -> str | None:
    try:
        return importlib.metadata.version("ppcjax")
    except importlib.metadata.PackageNotFoundError:
        return None  # a checkout, which the commit names


def _digest(tree: Any) -> str:
    """Checksum of paths and arrays: equal for equal networks."""
    found = hashlib.sha256()
    for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]:
        found.update(jax.tree_util.keystr(path).encode())
        found.update(np.ascontiguousarray(leaf).tobytes())
    return found.hexdigest()


def _checksum(content: bytes) -> dict[str, Any]:
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def _checked(folder: Path, run: Run) -> Folder:
    """The folder; one where something else lies is refused, and the run's own, too."""
    out = Folder(folder, MODEL)
    if run.folder is not None and folder.resolve() == Path(run.folder).resolve():
        raise UserError(f"{folder} is what would be exported; give another folder")
    return out


def _copy_threshold(run: Run, out: Folder) -> None:
    if photos.recorded_threshold(run) is not None:
        out.write(THRESHOLD, (run.folder / THRESHOLD).read_bytes())
    else:
        out.remove(THRESHOLD)


def _tell(folder: Path, note: Mapping[str, Any], say: Callable[[str], None]) -> None:
    size = {
        name: f"{note[name]['bytes'] / 1e6:.1f} MB" for name in note.keys() & _FILES
    }
    say(
        f"{folder / PROGRAM}: {size['program']}, JAX, any number and size of images, "
        f"for {', '.join(PLATFORMS)}"
    )
    if "onnx" in note:
        rows, columns = note["onnx"]["size"]
        say(
            f"{folder / ONNX}: {size['onnx']}, ONNX, any number of images of {rows} x "
            f"{columns} pixels; differs from JAX by a share of "
            f"{note['onnx']['difference']:.0e} at most"
        )
    say(f"{folder / NOTE}, {folder / CARD}: {len(note['classes'])} classes, how to use")


_FILES = {"program", "onnx"}
