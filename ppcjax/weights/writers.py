"""A backbone as a safetensors file, under the names that other programs know."""

import contextlib
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from safetensors.numpy import save

from ppcjax.types import UserError
from ppcjax.weights import names

NAMES: dict[str, Callable[[str], str]] = {
    "torchvision": lambda name: name,
    "detectron2": names.detectron2,
}


def backbone_arrays(
    params: Any, model_state: Any, *, naming: str = "torchvision"
) -> dict[str, np.ndarray]:
    """A network's backbone by published name, in PyTorch's layout.

    Args:
        params: with the backbone under "backbone".
        model_state: may hold its statistics under "batch_stats", "backbone".
        naming: "torchvision" (ResNets, VGG-16) or "detectron2" (ResNets with the plain
            stem).

    Returns:
        float32 arrays: kernels OIHW, scales and biases as "weight" and "bias",
        statistics as "running_mean" and "running_var", whose variance is the unbiased
        one, as in PyTorch.

    Raises:
        UserError: there is no backbone, or it has no such names.
    """
    if naming not in NAMES:
        raise UserError(f"names {naming!r}: choose one of {', '.join(NAMES)}")
    trees = [
        tree["backbone"]
        for tree in (params, model_state.get("batch_stats", {}))
        if "backbone" in tree
    ]
    arrays = {}
    for path, leaf in (item for tree in trees for item in _paths(tree).items()):
        value = np.asarray(leaf, np.float32)
        value = value.transpose(3, 2, 0, 1) if value.ndim == 4 else value
        arrays[_name(path, naming)] = np.ascontiguousarray(value)
    if not arrays:
        raise UserError("this network has no backbone to export")
    return arrays


def write_backbone(
    path: str | Path,
    params: Any,
    model_state: Any,
    *,
    naming: str = "torchvision",
    note: Mapping[str, str] | None = None,
) -> int:
    """Writes `backbone_arrays` to a file.

    Args:
        path: the .safetensors file; missing folders are made.
        params: parameter tree with the backbone under "backbone".
        model_state: tree that may hold the backbone's statistics as "batch_stats".
        naming: whose names the arrays get, a key of NAMES.
        note: text kept in the file's header, such as the run it is of.

    Returns:
        The number of arrays.

    Raises:
        UserError: there is no backbone, or the file cannot be written or is named
            otherwise.
    """
    path = Path(path).expanduser()
    if path.suffix != ".safetensors":
        raise UserError(f"{path}: name the file of the backbone NAME.safetensors")
    arrays = backbone_arrays(params, model_state, naming=naming)
    # Loaders of PyTorch refuse a header without "format".
    content = save(arrays, {"format": "pt", "names": naming, **(note or {})})
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise UserError(
            f"cannot write {path} ({error.strerror}); free space there or choose "
            "another file"
        ) from error
    return len(arrays)


def _paths(tree: Any) -> dict[str, Any]:
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): leaf
        for path, leaf in leaves
    }


# What the paths of ResNets and VGG-16 look like; others have no published names.
_KNOWN = re.compile(
    r"(conv\d|bn\d|layer\d_\d+/(conv\d|bn\d|downsample_(conv|bn))|conv\d_\d)/"
    r"(conv/)?(kernel|scale|bias|mean|var)"
)


def _name(path: str, naming: str) -> str:
    if not _KNOWN.fullmatch(path):
        raise UserError(
            f"the parameter backbone/{path} has no name in {naming}: ResNets (resnet18 "
            "to resnet101) and VGG-16 can be exported; other networks start from the "
            "run's folder with --config.init_from"
        )
    try:
        return NAMES[naming](names.torchvision(path))
    except (ValueError, KeyError) as error:
        raise UserError(
            f"the parameter backbone/{path} has no name in {naming}; export under "
            "those of torchvision"
        ) from error
