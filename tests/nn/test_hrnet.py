"""HRNet: counts, grids, padding."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ppcjax.nn import backbones
from ppcjax.nn.hrnet import HRNet
from ppcjax.nn.init import initialize

KEY = jax.random.key(0)
SMALL = HRNet(4, modules=(1, 1, 1), blocks=1)


@functools.cache
def _shapes(module):
    image = jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32)
    return jax.eval_shape(module.init, KEY, image)


def test_parameter_count_of_the_narrow_network():
    """That of the wide one is in test_contrast_net."""
    params = _shapes(backbones.make("hrnet_w18")[0])["params"]
    assert sum(x.size for x in jax.tree.leaves(params)) == 9_562_260


def test_grids_of_a_crop_of_cityscapes():
    image = jax.ShapeDtypeStruct((1, 512, 1024, 3), jnp.float32)
    out = jax.eval_shape(SMALL.apply, _shapes(SMALL), image)
    for i in range(4):
        shape = (1, 128 // 2**i, 256 // 2**i, 4 * 2**i)
        assert out[f"branch{i}"].shape == shape
    assert out["embedding"].shape == (1, 128, 256, 60)


@pytest.mark.slow
def test_padding_changes_nothing():
    height, width = 37, 85
    rng = np.random.default_rng(0)
    image = rng.standard_normal((1, height, width, 3)).astype(np.float32)
    variables = initialize(SMALL, KEY, image)
    variables = jax.tree.map(lambda x: x + 0.1, variables)
    loud = np.full((1, 64, 96, 3), 7, np.float32)
    loud[:, :height, :width] = image
    apply = jax.jit(SMALL.apply)
    exact = apply(variables, image)
    padded = apply(variables, loud, np.array([[height, width]]))
    chex.assert_tree_all_finite(padded)
    for endpoint, value in exact.items():
        h, w = value.shape[1:3]
        scale = np.abs(value).max()
        np.testing.assert_allclose(
            padded[endpoint][:, :h, :w], value, atol=2e-5 * scale, err_msg=endpoint
        )
