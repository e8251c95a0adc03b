"""Recorded numbers of the original programs, in the layouts of ppcjax."""

import functools
import json
import os
import re
import zlib
from pathlib import Path

import jax
import numpy as np

from ppcjax.weights import namemap

FOLDER = Path(__file__).parent
# Other recordings under the same names; those that it lacks are ours.
OTHER = Path(os.environ.get("PPCJAX_GOLDEN", FOLDER))

# The tests' own setting (conftest.py) rounds otherwise than programs that users run,
# which deep networks amplify.
jit = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 3})

# Two float32 programs may differ by so many times what rounding changes in one.
FACTOR = 4

_OIHW = (3, 2, 0, 1)


class Golden:
    """One npz file; maps come as NHWC, kernels as HWIO, labels as int32."""

    def __init__(self, name):
        other = OTHER / f"{name}.npz"
        self._arrays = np.load(other if other.exists() else FOLDER / f"{name}.npz")

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

    def having(self, pattern):
        """What the group of a pattern matches in the names of the arrays, in order."""
        found = (re.fullmatch(pattern, name) for name in self._arrays.files)
        return list(dict.fromkeys(match[1] for match in found if match))

    def shapes(self):
        """Shape of each parameter and statistic of the original, by official name."""
        return {n: tuple(s) for n, s in self.text("spec") if "num_batches" not in n}


load = functools.cache(Golden)


def published(network, naming):
    """Path of a parameter -> its name in the original, by the map that users get."""
    names = namemap.namings(network)[naming]
    return lambda path: names.terms(path)[0].name


def paths(tree):
    """Leaves of a tree by path."""
    flat, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {"/".join(str(part.key) for part in path): leaf for path, leaf in flat}


def recipe(golden):
    """State dict of the original by the recipe in README.md beside this file."""
    return {name: _drawn(golden, name, s) for name, s in golden.shapes().items()}


def _drawn(golden, name, shape):
    seed = zlib.crc32((golden.text("salt") + name).encode())
    n = np.random.default_rng(seed).standard_normal(shape)
    kind = name.rsplit(".", 1)[-1]
    if len(shape) == 4:
        value = n * np.sqrt(2 / np.prod(shape[1:]))
    elif kind == "running_var":
        value = 1 + 0.1 * np.abs(n)
    else:
        value = 0.1 * n + (kind == "weight")
    extra = golden.text("extra_scale") if "extra_scale" in golden else {}
    return (value * extra.get(name, 1.0)).astype(np.float32)


def recipe_weights(tree, golden, name_of):
    """Fills a parameter tree by the same recipe."""

    def draw(path, leaf):
        name = name_of("/".join(str(part.key) for part in path))
        if len(leaf.shape) != 4:
            return _drawn(golden, name, leaf.shape)
        value = _drawn(golden, name, tuple(leaf.shape[i] for i in _OIHW))
        return value.transpose(2, 3, 1, 0)

    return jax.tree_util.tree_map_with_path(draw, tree)


def official_shapes(variables, name_of):
    """Shapes of a tree of collections as `Golden.shapes` gives them."""
    leaves = [item for tree in variables.values() for item in paths(tree).items()]
    return {
        name_of(path): tuple(leaf.shape[i] for i in _OIHW)
        if leaf.ndim == 4
        else leaf.shape
        for path, leaf in leaves
    }


def statistics(x):
    """Mean, mean of |x|, deviation and largest |x|: the recorded `*_stats_f64`."""
    x = np.asarray(x, np.float64)
    return [x.mean(), np.abs(x).mean(), x.std(ddof=1), np.abs(x).max()]


def norms(tree, name_of):
    """Norm of each array by official name."""
    return {
        name_of(path): np.linalg.norm(np.asarray(leaf, np.float64))
        for path, leaf in paths(tree).items()
    }


def relative_error(actual, desired):
    """Largest difference as a share of the largest desired value."""
    actual, desired = np.asarray(actual, np.float64), np.asarray(desired, np.float64)
    assert actual.shape == desired.shape, (actual.shape, desired.shape)
    scale = max(np.abs(desired).max(initial=0.0), 1e-30)
    return np.abs(actual - desired).max(initial=0.0) / scale


def assert_close(actual, desired, tolerance):
    """Largest difference is at most `tolerance` times the largest desired value."""
    error = relative_error(actual, desired)
    assert error <= tolerance, f"relative error {error:.2e} > {tolerance:.0e}"


def nudged(function, *inputs, draws=4):
    """What a function gives when its inputs differ by float32 rounding.

    Args:
        function: takes trees of arrays; gives a dict of arrays.
        inputs: where it is taken; every float of them moves by one unit in its last
            place, up or down at random.
        draws: number of random moves.

    Returns:
        A dict for each draw.
    """
    random = np.random.default_rng(0)

    def move(x):
        x = np.asarray(x)
        if x.dtype != np.float32:
            return x
        up = random.integers(2, size=x.shape, dtype=np.int8)
        return np.where(up, x * np.float32(1 + 2**-23), x * np.float32(1 - 2**-23))

    return [function(*jax.tree.map(move, inputs)) for _ in range(draws)]


def assert_within_noise(found, golden, moved, floor=1e-5):
    """Recorded arrays differ from ours by at most FACTOR times what rounding does.

    Held are the largest difference and its norm.

    Args:
        found: our arrays by name in the file.
        golden: the file.
        moved: the same arrays after rounding otherwise, from `nudged`.
        floor: tolerance where the noise is less.
    """
    for name, ours in found.items():
        for error in (relative_error, _relative_norm):
            noise = max(error(other[name], ours) for other in moved)
            off, tolerance = error(ours, golden[name]), max(floor, FACTOR * noise)
            assert off <= tolerance, f"{name}: {off:.2e} > {tolerance:.2e}"


def _relative_norm(actual, desired):
    """Norm of the difference as a share of that of the desired array."""
    actual, desired = np.asarray(actual, np.float64), np.asarray(desired, np.float64)
    return np.linalg.norm(actual - desired) / max(np.linalg.norm(desired), 1e-30)
