"""Initial parameters drawn by NumPy from the shapes of a module.

Compiling an initialiser of a deep network costs more than training it for a while;
drawing each array on the host, by a rule on its name, costs seconds.
"""

import re
import zlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import chex
import jax
import numpy as np

Initializer = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]


def he_normal(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Normal of deviation sqrt(2 / fan-in); shape [..., in, out]."""
    return rng.standard_normal(shape) * np.sqrt(2.0 / np.prod(shape[:-1]))


def he_normal_fan_out(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Normal of deviation sqrt(2 / fan-out); shape [..., in, out]."""
    fan_out = np.prod(shape[:-2]) * shape[-1]
    return rng.standard_normal(shape) * np.sqrt(2.0 / fan_out)


def xavier_uniform(gain: float = 1.0) -> Initializer:
    """Uniform within gain * sqrt(6 / (fan-in + fan-out)); shape [..., in, out]."""

    def draw(rng, shape):
        area = np.prod(shape[:-2])
        bound = gain * np.sqrt(6.0 / (area * (shape[-2] + shape[-1])))
        return rng.uniform(-bound, bound, shape)

    return draw


class OfFanIn(NamedTuple):
    """A rule that needs the fan-in of a layer, which a bias's own shape does not tell.

    draw: (rng, shape, fan-in) -> array.
    """

    draw: Callable[[np.random.Generator, tuple[int, ...], int], np.ndarray]


def _uniform_by_fan_in(rng, shape, fan_in):
    return rng.uniform(-1.0, 1.0, shape) / np.sqrt(fan_in)


# PyTorch's default: kernels and biases uniform within 1 / sqrt(fan-in).
torch_uniform = OfFanIn(_uniform_by_fan_in)


def initialize(
    module: Any,
    key: chex.PRNGKey,
    *args: Any,
    rules: Sequence[tuple[str, Initializer | OfFanIn]] = (),
    **kwargs: Any,
) -> dict[str, Any]:
    """Variables of a Flax module, as NumPy arrays.

    Kernels are He-normal, scales and variances 1, biases and means 0, tokens and
    positions normal of deviation 0.02. Each array depends on the key and its own path
    only.

    Args:
        module: a Flax Linen module.
        key: a PRNG key.
        *args: inputs of the module; only their shapes are read.
        rules: pairs of a regular expression, searched in paths such as
            "params/classifier/conv/kernel", and an initializer; the first match wins.
        **kwargs: further arguments of the module.

    Returns:
        The variables, {"params": ..., maybe "batch_stats": ...}, float32.
    """
    shapes = jax.eval_shape(lambda *inputs: module.init(key, *inputs, **kwargs), *args)
    seed = np.asarray(jax.random.key_data(key)).ravel().tolist()
    fan_ins = _fan_ins(shapes)

    def draw(path, leaf):
        name = _name(path)
        rng = np.random.Generator(
            np.random.Philox(np.random.SeedSequence([*seed, zlib.crc32(name.encode())]))
        )
        for pattern, rule in rules:
            if re.search(pattern, name) and isinstance(rule, OfFanIn):
                fan_in = fan_ins[name.rpartition("/")[0]]
                return rule.draw(rng, leaf.shape, fan_in).astype(np.float32)
            if re.search(pattern, name):
                return rule(rng, leaf.shape).astype(np.float32)
        return _default(name)(rng, leaf.shape).astype(np.float32)

    return jax.tree_util.tree_map_with_path(draw, shapes)


def _name(path) -> str:
    return "/".join(str(part.key) for part in path)


def _fan_ins(shapes: Any) -> dict[str, int]:
    """Inputs of each output, by the path of the layer that has a kernel."""
    leaves = jax.tree_util.tree_leaves_with_path(shapes)
    kernels = ((_name(path), leaf) for path, leaf in leaves)
    return {
        name.rpartition("/")[0]: int(np.prod(leaf.shape[:-1]))
        for name, leaf in kernels
        if name.endswith("/kernel")
    }


def _default(name: str) -> Initializer:
    match name.rsplit("/", 1)[-1]:
        case "kernel":
            return he_normal
        case "scale" | "var" | "gamma":
            return lambda rng, shape: np.ones(shape)
        case "bias" | "mean":
            return lambda rng, shape: np.zeros(shape)
        case "cls_token" | "pos_embed" | "register_tokens":
            return lambda rng, shape: 0.02 * rng.standard_normal(shape)
    raise ValueError(f"no initializer for a parameter named {name}")
