"""Networks of inverted residuals in plain NumPy, as their authors wrote them.

Convolution, batch normalisation and ReLU6 one after another, strides everywhere, and
paddings from the sizes. Nothing is shared with `ppcjax.nn`.
"""

from typing import NamedTuple

import numpy as np

# (expansion, kernel, channels, repeats, stride) of each group.
GROUPS = {
    "mobilenet_v2": (
        *((1, 3, 16, 1, 1), (6, 3, 24, 2, 2), (6, 3, 32, 3, 2), (6, 3, 64, 4, 2)),
        *((6, 3, 96, 3, 1), (6, 3, 160, 3, 2), (6, 3, 320, 1, 1)),
    ),
    "efficientnet_lite0": (
        *((1, 3, 16, 1, 1), (6, 3, 24, 2, 2), (6, 5, 40, 2, 2), (6, 3, 80, 3, 2)),
        *((6, 5, 112, 3, 1), (6, 5, 192, 4, 2), (6, 3, 320, 1, 1)),
    ),
}


class Layer(NamedTuple):
    """A kernel [out, in / groups, k, k] and the normalisation after it, each [out]."""

    kernel: np.ndarray
    scale: np.ndarray
    bias: np.ndarray
    mean: np.ndarray
    var: np.ndarray


def shapes(name):
    """Shapes of the kernels by the path of the layer, in call order."""
    found, width, number = {"stem": (32, 3, 3, 3)}, 32, 0
    for expansion, side, channels, repeats, _ in GROUPS[name]:
        for _ in range(repeats):
            number += 1
            wide = width * expansion
            if expansion > 1:
                found[f"block{number}/expand"] = (wide, width, 1, 1)
            found[f"block{number}/depthwise"] = (wide, 1, side, side)
            found[f"block{number}/project"] = (channels, wide, 1, 1)
            width = channels
    return found | {"head": (1280, width, 1, 1)}


def random_layers(name, seed=0):
    """Layers by path whose activations keep their size."""
    rng, layers = np.random.default_rng(seed), {}
    for path, shape in shapes(name).items():
        kernel = rng.standard_normal(shape) * np.sqrt(2 / np.prod(shape[1:]))
        scale, var = rng.uniform(0.5, 1.5, (2, shape[0]))
        bias, mean = 0.3 * rng.standard_normal((2, shape[0]))
        layers[path] = Layer(kernel, scale, bias, mean, var)
    return layers


def folded(layers, eps):
    """The parameters of a network of `ppcjax.nn` that has these layers."""
    params = {}
    for path, layer in layers.items():
        factor = layer.scale / np.sqrt(layer.var + eps)
        kernel = (layer.kernel * factor[:, None, None, None]).transpose(2, 3, 1, 0)
        leaves = {"kernel": kernel, "bias": layer.bias - layer.mean * factor}
        leaves = {name: np.float32(leaf) for name, leaf in leaves.items()}
        block, *inner = path.split("/")
        place = params.setdefault(block, {})
        if inner:
            place = place.setdefault(inner[0], {})
        place |= leaves if inner == ["depthwise"] else {"conv": leaves}
    return {"params": params}


def apply(name, layers, image, *, padding, eps):
    """Endpoints [h, w, D] at strides 8, 16 and 32 of an image [H, W, 3].

    padding: "same" as TensorFlow computes it from the size, or "symmetric".
    """

    def layer(x, path, stride=1):
        kernel, scale, bias, mean, var = layers[path]
        x = _convolved(x, kernel, stride, padding)
        return (x - mean) / np.sqrt(var + eps) * scale + bias

    found, number = {}, 0
    x = _relu6(layer(np.float64(image), "stem", 2))
    for group, (expansion, _, _, repeats, stride) in enumerate(GROUPS[name]):
        for i in range(repeats):
            number += 1
            step, y = stride if i == 0 else 1, x
            if expansion > 1:
                y = _relu6(layer(y, f"block{number}/expand"))
            if i == 0 and group in (3, 5):
                found["stage3" if group == 3 else "stage4"] = y
            y = _relu6(layer(y, f"block{number}/depthwise", step))
            y = layer(y, f"block{number}/project")
            x = x + y if i > 0 else y
    return found | {"embedding": _relu6(layer(x, "head"))}


def _relu6(x):
    return np.clip(x, 0, 6)


def _convolved(x, kernel, stride, padding):
    """[h, w, D] -> [ceil(h / stride), ceil(w / stride), out]."""
    side, grid = kernel.shape[-1], [-(-n // stride) for n in x.shape[:2]]
    pads = [(side // 2, side // 2)] * 2
    if padding == "same":
        sizes = zip(x.shape[:2], grid, strict=True)
        totals = [max((m - 1) * stride + side - n, 0) for n, m in sizes]
        pads = [(total // 2, total - total // 2) for total in totals]
    x, y = np.pad(x, (*pads, (0, 0))), 0
    for top in range(side):
        for left in range(side):
            rows = slice(top, top + stride * (grid[0] - 1) + 1, stride)
            columns = slice(left, left + stride * (grid[1] - 1) + 1, stride)
            tap = kernel[:, :, top, left]
            seen = x[rows, columns]
            depthwise = tap.shape[1] == 1 and x.shape[-1] > 1
            y = y + (seen * tap[:, 0] if depthwise else seen @ tap.T)
    return y
