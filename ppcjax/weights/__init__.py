"""Starting a network from weights on disk: published files or another run."""

import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from ppcjax.types import UserError
from ppcjax.weights import names
from ppcjax.weights.readers import read_params, read_torch
from ppcjax.weights.runs import load_run


def load_into(params: Any, model_state: Any, path: str | Path) -> tuple[Any, Any]:
    """Parameters and statistics with those that a file or a run holds replaced.

    A file must fill the whole backbone, or the whole "vit" that stands beside it in
    some methods; heads keep their initial values:

        .params              MXNet, WideResNet-38
        .npz                 MobileNetV2, folded
        .safetensors, .pth   PyTorch's names, ResNets (Detectron2's, too) and VGG-16;
                             ViTs of timm and DINO

    From a run directory everything of the same path and shape is taken, the whole
    backbone at least: see `runs.load_run`.

    Args:
        params: parameter tree with the backbone under "backbone".
        model_state: tree that may hold the backbone's statistics as "batch_stats",
            again under "backbone".
        path: file, or directory of a run; several are separated by commas.

    Returns:
        Trees of the same structure, NumPy arrays.

    Raises:
        UserError: no such file, unknown kind, or a backbone not fully matched.
    """
    for part in str(path).split(","):
        params, model_state = _load_one(params, model_state, Path(part).expanduser())
    return params, model_state


def _load_one(params: Any, model_state: Any, path: Path) -> tuple[Any, Any]:
    if not path.exists():
        raise UserError(f"init_from: {path} does not exist; give a file or a run")
    if path.is_dir():
        return load_run(params, model_state, path)
    if path.suffix not in _FORMATS:
        known = ", ".join(_FORMATS)
        raise UserError(f"init_from: {path} is neither a run nor one of {known}")
    read, name_of, oihw = _FORMATS[path.suffix]
    arrays, part = read(path), "backbone"
    if "patch_embed.proj.weight" in arrays:
        part, name_of = "vit", names.vit_timm
        if part not in params:
            raise UserError(
                f"init_from: {path} holds a vision transformer and this network has "
                "none; give weights of its backbone, or set method.vit"
            )
    trees = {"params": params[part]}
    if part in model_state.get("batch_stats", {}):
        trees["batch_stats"] = model_state["batch_stats"][part]
    filled = {
        kind: _fill(tree, arrays, name_of, path, part, oihw=oihw)
        for kind, tree in trees.items()
    }
    params = {**params, part: filled["params"]}
    if "batch_stats" in filled:
        stats = {**model_state["batch_stats"], part: filled["batch_stats"]}
        model_state = {**model_state, "batch_stats": stats}
    return params, model_state


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path) as file:
            return dict(file)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(
            f"init_from: {path} is not a complete npz file ({error}); download it again"
        ) from error


def _read_safetensors(path: Path) -> dict[str, np.ndarray]:
    try:
        return names.plain_resnet(load_file(path))
    except (OSError, SafetensorError) as error:
        raise UserError(
            f"init_from: {path} is not a complete safetensors file ({error}); download "
            "it again"
        ) from error


def _read_pth(path: Path) -> dict[str, np.ndarray]:
    return names.plain_resnet(read_torch(path))


# Reader, our names -> the file's, and whether kernels are OIHW.
_FORMATS = {
    ".params": (read_params, names.wide_resnet38_mxnet, True),
    ".npz": (_read_npz, names.mobilenet_v2_folded, False),
    ".safetensors": (_read_safetensors, names.torchvision, True),
    ".pth": (_read_pth, names.torchvision, True),
}


def _fill(
    tree: Any,
    arrays: Mapping[str, np.ndarray],
    name_of: Callable[[str], str],
    path: Path,
    part: str,
    *,
    oihw: bool,
) -> Any:
    def pick(key_path, leaf):
        ours = "/".join(str(k.key) for k in key_path)
        if names.UNPUBLISHED.match(ours):
            return np.asarray(leaf)
        name = _published_name(name_of, ours)
        if name not in arrays:
            raise UserError(
                f"init_from: {path} has no {name or 'such parameter'} for "
                f"{part}/{ours}; is it of another network?"
            )
        value = np.asarray(arrays[name], np.float32)
        if oihw:
            axes = {4: (2, 3, 1, 0), 2: (1, 0)}
            value = value.transpose(axes.get(value.ndim, range(value.ndim)))
        if value.shape != leaf.shape:
            raise UserError(
                f"init_from: {name} in {path} has shape {value.shape}, not {leaf.shape}"
            )
        return value

    return jax.tree_util.tree_map_with_path(pick, tree)


def _published_name(name_of: Callable[[str], str], path: str) -> str:
    """The published name, or "" where the path is of another network."""
    try:
        return name_of(path)
    except (ValueError, KeyError, AttributeError, IndexError):
        return ""
