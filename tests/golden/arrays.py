"""Recorded numbers of the original programs, in the layouts of ppcjax."""

import functools
import json
import zlib
from pathlib import Path

import jax
import numpy as np

FOLDER = Path(__file__).parent

# The tests' own setting (conftest.py) rounds otherwise than programs that users run,
# which deep networks amplify.
jit = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 3})

# Names of the heads in the released PPC program.
OFFICIAL_HEADS = {
    "classifier": "fc8",
    "projector": "fc_proj",
    "affinity_stage3": "f8_3",
    "affinity_stage4": "f8_4",
    "affinity": "f9",
}
_LEAVES = {"scale": "weight", "bias": "bias", "mean": "running_mean"} | {
    "var": "running_var",
    "kernel": "weight",
}


class Golden:
    """One npz file; maps come as NHWC, kernels as HWIO, labels as int32."""

    def __init__(self, name):
        self._arrays = np.load(FOLDER / f"{name}.npz")

    def __getitem__(self, name):
        return self._arrays[name]

    def __contains__(self, name):
        return name in self._arrays

    def map(self, name):
        return np.moveaxis(self._arrays[name], 1, -1)

    def kernel(self, name):
        return self._arrays[name].transpose(2, 3, 1, 0)

    def text(self, name):
        value = str(self._arrays[name])
        return json.loads(value) if value.startswith(("[", "{")) else value


load = functools.cache(Golden)


def official_name(path):
    """'backbone/b2/conv_branch1/conv/kernel' -> 'b2.conv_branch1.weight'."""
    parts = [p for p in path.split("/") if p not in ("backbone", "heads", "conv")]
    parts = [OFFICIAL_HEADS.get(p, p) for p in parts[:-1]] + [_LEAVES[parts[-1]]]
    return ".".join(parts)


def paths(tree):
    """Leaves of a tree by path."""
    flat, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {"/".join(str(part.key) for part in path): leaf for path, leaf in flat}


def recipe_weights(tree, golden, name_of=official_name):
    """Fills a parameter tree by the recipe in README.md beside this file."""
    salt = golden.text("salt")
    extra = golden.text("extra_scale") if "extra_scale" in golden else {}

    def draw(path, leaf):
        name = name_of("/".join(str(part.key) for part in path))
        is_kernel = len(leaf.shape) == 4
        shape = tuple(leaf.shape[i] for i in (3, 2, 0, 1)) if is_kernel else leaf.shape
        seed = zlib.crc32((salt + name).encode())
        n = np.random.default_rng(seed).standard_normal(shape)
        kind = name.rsplit(".", 1)[-1]
        if is_kernel:
            value = n * np.sqrt(2 / np.prod(shape[1:]))
        elif kind == "running_var":
            value = 1 + 0.1 * np.abs(n)
        else:
            value = 0.1 * n + (kind == "weight")
        value = (value * extra.get(name, 1.0)).astype(np.float32)
        return value.transpose(2, 3, 1, 0) if is_kernel else value

    return jax.tree_util.tree_map_with_path(draw, tree)


def assert_close(actual, desired, tolerance):
    """Largest difference is at most `tolerance` times the largest desired value."""
    actual, desired = np.asarray(actual, np.float64), np.asarray(desired, np.float64)
    assert actual.shape == desired.shape, (actual.shape, desired.shape)
    scale = max(np.abs(desired).max(initial=0.0), 1e-30)
    error = np.abs(actual - desired).max(initial=0.0) / scale
    assert error <= tolerance, f"relative error {error:.2e} > {tolerance:.0e}"
