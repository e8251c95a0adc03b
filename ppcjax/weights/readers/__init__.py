"""Readers of weight files: one function opens them all, and none runs anything."""

from pathlib import Path

import numpy as np

from ppcjax.runs.finite import not_finite
from ppcjax.types import UserError
from ppcjax.weights.readers import (
    mxnet,
    npz,
    onnx_files,
    safetensors_files,
    torch_files,
)
from ppcjax.weights.readers.errors import DAMAGE, Refusal, printable, quoted, whole
from ppcjax.weights.readers.kinds import HEAD_SIZE, kind_of
from ppcjax.weights.readers.zips import Archive

_FORMATS = {
    **{"safetensors": "safetensors", "zip": "PyTorch or NumPy zip", "torch": "PyTorch"},
    **{"mxnet": "MXNet parameter", "onnx": "ONNX"},
}


def read(path: str | Path, *, finite: bool = True) -> dict[str, np.ndarray]:
    """Named arrays of a file of weights, whatever its format and its suffix.

    PyTorch (all three containers, plain pickles of NumPy's arrays, whole modules),
    safetensors, MXNet's `.params`, `.npz`, and the initializers of ONNX. Nothing that a
    file holds is run, and memory stays within a few times the size of the file, plus
    some hundred MB of small objects at worst.

    Args:
        path: the file.
        finite: refuse files that hold NaN or infinite numbers.

    Returns:
        Arrays by name, often read-only views of the file's bytes, in its own layout
        (kernels mostly OIHW) and dtype. Nested containers are joined by ".", as in
        "state_dict.layer1.0.conv1.weight"; whatever is no tensor is left out.

    Raises:
        UserError: no such file, a format that is not read, damage, or no tensors; one
            line that says what to do.
    """
    path = Path(path)
    kind = ""
    try:
        head, tail = _ends(path)
        kind = kind_of(head, tail)
        found = _parse(kind, path)
        arrays = _plain(found)
    except Refusal as error:
        raise UserError(f"{path}: {printable(error)}") from error
    except MemoryError as error:
        raise UserError(
            f"{path}: takes more memory than this machine has; take a smaller file"
        ) from error
    except DAMAGE as error:
        if not kind:
            raise UserError(f"{path}: can't be read ({quoted(error)})") from error
        raise UserError(
            f"{path}: not a complete {_FORMATS[kind]} file ({quoted(error, 120)}); "
            "download it again"
        ) from error
    if not arrays:
        raise UserError(f"{path}: holds no tensors; give a file of weights")
    bad = not_finite(arrays, quoted) if finite else None
    if bad is not None:
        raise UserError(f"{path}: {bad}; take the weights from elsewhere")
    return arrays


def _ends(path: Path) -> tuple[bytes, bytes]:
    """The first bytes of a plain file, and the last ones."""
    if path.is_dir():
        raise Refusal("is a folder; give a file in it")
    if not path.exists():
        raise Refusal("does not exist")
    if not path.is_file():
        raise Refusal("is no plain file; give a file of weights")
    with path.open("rb") as file:
        head = file.read(HEAD_SIZE)
        file.seek(-min(8, len(head)), 2)
        return head, file.read(8)


def _parse(kind: str, path: Path) -> dict[str, np.ndarray]:
    data = whole(path)
    if kind == "zip":
        return _parse_zip(data)
    if kind == "onnx":
        return onnx_files.parse(data, path.parent)
    parsers = {
        "safetensors": safetensors_files.parse,
        "torch": torch_files.parse,
        "mxnet": mxnet.parse,
    }
    return parsers[kind](data)


def _parse_zip(data: bytes) -> dict[str, np.ndarray]:
    """PyTorch's archives have a data.pkl, NumPy's only arrays."""
    archive = Archive(data)
    names = archive.names
    if any(name.rpartition("/")[2] == "data.pkl" for name in names):
        return torch_files.parse_zip(archive, len(data))
    if names and all(name.endswith(".npy") for name in names):
        return npz.parse(archive)
    if any(name.endswith(".weights.h5") for name in names):
        raise Refusal("is a Keras model; load it and save the weights with numpy.savez")
    held = f" ({quoted(names[0])})" if names else ""
    raise Refusal(
        f"is a zip archive, but neither PyTorch's nor NumPy's; unpack it and give the "
        f"file inside{held}"
    )


def _plain(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays in this machine's order of bytes, at places that it can use.

    An array of several names stays one.
    """
    made: dict[int, np.ndarray] = {}
    for array in arrays.values():
        if id(array) in made:
            continue
        if not array.dtype.isnative:
            made[id(array)] = array.astype(array.dtype.newbyteorder("="))
        else:
            made[id(array)] = array if array.flags.aligned else array.copy()
    return {name: made[id(array)] for name, array in arrays.items()}


def note(path: str | Path) -> dict[str, str]:
    """What the header of a safetensors file notes; {} of other files.

    Args:
        path: a file that `read` has read.
    """
    path = Path(path)
    head, tail = _ends(path)
    if kind_of(head, tail) != "safetensors":
        return {}
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        return safetensors_files.note(file.read(size))
