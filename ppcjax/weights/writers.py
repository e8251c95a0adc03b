"""A network or its backbone as a safetensors file that other programs can read."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save

from ppcjax.runs import Run, single
from ppcjax.runs.files import check_writable
from ppcjax.types import UserError
from ppcjax.weights import namemap
from ppcjax.weights.arrays import backbone_arrays, whole_arrays


def namings() -> tuple[str, ...]:
    """Whose names a backbone can get, of all networks."""
    found = (
        naming
        for network in namemap.networks()
        if namemap.variants(network)
        for naming, names in namemap.namings(network).items()
        if names.style == "torch"
    )
    return tuple(dict.fromkeys(found))


def write_backbone(path: str | Path, run: Run, *, naming: str = "") -> tuple[int, str]:
    """Writes `backbone_arrays` of a run to a file.

    Args:
        path: the .safetensors file; missing folders are made.
        run: the run.
        naming: whose names the arrays get, one of `namings`; "" for the first that the
            network has.

    Returns:
        The number of arrays and the naming.

    Raises:
        UserError: there is no backbone, it has no such names, or the file cannot be
            written or is named otherwise.
    """
    path = _checked(path)
    arrays, naming = backbone_arrays(run.params, run.model_state, naming=naming)
    return _write(path, arrays, {"names": naming, **_note(run)}), naming


def write_network(path: str | Path, run: Run) -> tuple[int, str]:
    """Writes a whole network to a file that `released.open_file` opens by itself.

    Args:
        path: the .safetensors file; missing folders are made.
        run: the run; what its `method.predict` reads is written.

    Returns:
        The number of arrays and whose names they have.

    Raises:
        UserError: the file cannot be written or is named otherwise.
    """
    path, method = _checked(path), run.config["method"]["name"]
    arrays, naming = whole_arrays(method, run.params, run.model_state)
    described = {
        "names": naming,
        "config": json.dumps(run.config),
        "classes": json.dumps(run.classes),
    }
    return _write(path, arrays, {**described, **_note(run)}), naming


def _note(run: Run) -> dict[str, str]:
    return {"run": str(run.config.get("name", "")), "step": str(run.step)}


def _checked(path: str | Path) -> Path:
    path = Path(path).expanduser()
    if path.suffix != ".safetensors":
        raise UserError(f"{path}: name the file NAME.safetensors")
    single.check_file(path, _is_ours)
    check_writable(path)
    return path


def _is_ours(path: Path) -> bool:
    """Whether a file names a run and whose names its arrays have, as ours do."""
    with safe_open(path, "np") as file:
        return {"format", "names", "run", "step"} <= (file.metadata() or {}).keys()


def _write(
    path: Path, arrays: Mapping[str, np.ndarray], note: Mapping[str, str]
) -> int:
    # Loaders of PyTorch refuse a header without "format".
    content = _in_order(save(dict(arrays), {"format": "pt", **note}))
    single.write_own(path, content, _is_ours)
    return len(arrays)


def _in_order(content: bytes) -> bytes:
    """A file of safetensors with its notes sorted by name.

    The library writes them in another order each time, and the same network is to give
    the same bytes.
    """
    end = 8 + int.from_bytes(content[:8], "little")
    head = json.loads(content[8:end])
    head["__metadata__"] = dict(sorted(head["__metadata__"].items()))
    text = json.dumps(head, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # as the format asks
    return b"".join((len(text).to_bytes(8, "little"), text, memoryview(content)[end:]))
