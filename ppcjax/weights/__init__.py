"""Starting a network from weights on disk: published files or another run."""

import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ppcjax.types import UserError
from ppcjax.weights import names
from ppcjax.weights.mxnet import read_params


def load_into(params: Any, path: str | Path) -> Any:
    """Parameters with those that a file or a run holds replaced.

    A `.params` file (MXNet, WideResNet-38) or a `.npz` file (MobileNetV2, folded)
    must fill the whole backbone; heads keep their initial values. From a run
    directory every parameter of the same path and shape is taken.

    Args:
        params: parameter tree with the backbone under "backbone".
        path: file, or directory of a run.

    Returns:
        A tree of the same structure, NumPy arrays.

    Raises:
        UserError: no such file, unknown kind, or a backbone not fully matched.
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise UserError(f"init_from: {path} does not exist; give a file or a run")
    if path.is_dir():
        return _from_run(params, path)
    if path.suffix == ".params":
        arrays = read_params(path)
        return _fill(params, arrays, names.wide_resnet38_mxnet, path, oihw=True)
    if path.suffix == ".npz":
        arrays = _read_npz(path)
        return _fill(params, arrays, names.mobilenet_v2_folded, path)
    raise UserError(f"init_from: {path} is neither .params nor .npz nor a run")


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path) as file:
            return dict(file)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(
            f"init_from: {path} is not a complete npz file ({error}); download it again"
        ) from error


def _fill(
    params: Any,
    arrays: Mapping[str, np.ndarray],
    name_of: Callable[[str], str],
    path: Path,
    *,
    oihw: bool = False,
) -> Any:
    def pick(key_path, leaf):
        name = _published_name(name_of, "/".join(str(k.key) for k in key_path))
        if name not in arrays:
            raise UserError(
                f"init_from: {path} has no {name or 'such parameter'} for "
                f"backbone/{'/'.join(str(k.key) for k in key_path)}; "
                "is it of another network?"
            )
        value = np.asarray(arrays[name], np.float32)
        if value.ndim == 4 and oihw:
            value = value.transpose(2, 3, 1, 0)
        if value.shape != leaf.shape:
            raise UserError(
                f"init_from: {name} in {path} has shape {value.shape}, not {leaf.shape}"
            )
        return value

    backbone = jax.tree_util.tree_map_with_path(pick, params["backbone"])
    return {**params, "backbone": backbone}


def _published_name(name_of: Callable[[str], str], path: str) -> str:
    """The published name, or "" where the path is of another network."""
    try:
        return name_of(path)
    except (ValueError, KeyError, AttributeError, IndexError):
        return ""


def _from_run(params: Any, path: Path) -> Any:
    from ppcjax.train import checkpoint

    flatten = jax.tree_util.tree_flatten_with_path
    saved = {str(k): v for k, v in flatten(checkpoint.restore(path).params)[0]}
    leaves, structure = flatten(params)
    taken = [
        saved[str(k)] if str(k) in saved and saved[str(k)].shape == leaf.shape else leaf
        for k, leaf in leaves
    ]
    if all(new is old for new, (_, old) in zip(taken, leaves, strict=True)):
        raise UserError(f"init_from: no parameter of {path} fits this network")
    return jax.tree_util.tree_unflatten(structure, taken)
