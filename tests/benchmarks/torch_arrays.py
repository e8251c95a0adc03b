"""Recorded weights and numbers for PyTorch modules."""

import zlib

import numpy as np
import torch


def fill(module, golden, without="-"):
    """Sets parameters and statistics by the recipe of tests/golden/README.md.

    Args:
        module: what is filled.
        golden: a file with "spec" and "salt".
        without: beginning of the names of those that the module lacks.
    """
    salt = golden.text("salt")
    extra = golden.text("extra_scale") if "extra_scale" in golden else {}
    state = {
        name: x for name, x in module.state_dict().items() if "num_batches" not in name
    }
    recorded = {n: s for n, s in golden.shapes().items() if not n.startswith(without)}
    assert {name: tuple(x.shape) for name, x in state.items()} == recorded
    for name, x in state.items():
        seed = zlib.crc32((salt + name).encode())
        n = np.random.default_rng(seed).standard_normal(tuple(x.shape))
        if n.ndim == 4:
            value = n * np.sqrt(2 / np.prod(n.shape[1:]))
        elif name.endswith("running_var"):
            value = 1 + 0.1 * np.abs(n)
        else:
            value = 0.1 * n + name.endswith(".weight")
        x.copy_(torch.from_numpy((value * extra.get(name, 1.0)).astype(np.float32)))


def norms(named, names):
    """Norms of arrays by name, in the order of `names`."""
    sizes = {name: float(x.detach().double().norm()) for name, x in named}
    return [sizes[name] for name in names]


def gradients(module, names):
    """Norms of the gradients of a module."""
    return norms(
        [(n, p.grad) for n, p in module.named_parameters() if n in names], names
    )


def tensor(x):
    return torch.from_numpy(np.array(x))
