import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ppcjax.nn.asgnet import INIT_RULES, ASGNet
from ppcjax.nn.enrichment import FeatureEnrichment
from ppcjax.nn.init import initialize
from ppcjax.nn.resnet import PFENET, ResNet
from ppcjax.nn.vit import VisionTransformer, token_map

KEY = jax.random.key(0)
TINY = VisionTransformer(patch=4, width=8, depth=2, heads=2, grid=(3, 3))


def test_parameters_are_those_of_vit_base():
    image = jax.ShapeDtypeStruct((1, 224, 224, 3), jnp.float32)
    shapes = jax.eval_shape(VisionTransformer().init, KEY, image)
    # 86,567,656 with the classifier of 1000 classes, in the paper and in timm.
    total = sum(leaf.size for leaf in jax.tree.leaves(shapes)) + 769 * 1000
    assert total == 86_567_656


def _norm(x, layer):
    centred = x - x.mean(-1, keepdims=True)
    return (
        centred / np.sqrt(x.var(-1, keepdims=True) + 1e-6) * layer["scale"]
        + (layer["bias"])
    )


def _dense(x, layer):
    return x @ layer["kernel"] + layer["bias"]


def _reference(x, params):
    """The published equations with loops over patches and heads, in float64."""
    erf = np.vectorize(math.erf)
    tokens = [params["cls_token"][0, 0]]
    kernel = params["patch_embed"]["kernel"]
    for i in range(0, x.shape[0], 4):
        for j in range(0, x.shape[1], 4):
            patch = x[i : i + 4, j : j + 4]
            tokens.append(np.einsum("ijc,ijcd->d", patch, kernel))
            tokens[-1] = tokens[-1] + params["patch_embed"]["bias"]
    y = np.stack(tokens) + params["pos_embed"][0]
    for block in (params["block0"], params["block1"]):
        qkv = _dense(_norm(y, block["norm1"]), block["attn"]["qkv"])
        heads = []
        for head in range(2):
            q, k, v = (
                qkv[:, 8 * part + 4 * head : 8 * part + 4 * head + 4]
                for part in range(3)
            )
            scores = np.exp(q @ k.T / 2.0)
            heads.append(scores / scores.sum(1, keepdims=True) @ v)
        y = y + _dense(np.concatenate(heads, 1), block["attn"]["proj"])
        z = _dense(_norm(y, block["norm2"]), block["fc1"])
        y = y + _dense(z * 0.5 * (1 + erf(z / np.sqrt(2))), block["fc2"])
    return _norm(y, params["norm"])


def test_tokens_follow_the_published_equations():
    x = np.random.default_rng(0).standard_normal((1, 12, 12, 3)).astype(np.float32)
    params = initialize(TINY, KEY, x, rules=INIT_RULES)["params"]
    wave = np.cos(np.arange(1000, dtype=np.float32))
    params = jax.tree.map(
        lambda p: p + 0.1 * np.resize(wave, p.shape).astype(np.float32), params
    )
    out = jax.jit(TINY.apply)({"params": params}, x)
    exact = jax.tree.map(lambda p: np.asarray(p, np.float64), params)
    np.testing.assert_allclose(out[0], _reference(x[0], exact), atol=1e-4)


def test_positions_fit_any_size():
    image = jax.ShapeDtypeStruct((1, 17, 20, 3), jnp.float32)
    out, variables = jax.eval_shape(lambda x: TINY.init_with_output(KEY, x), image)
    assert out.shape == (1, 1 + 4 * 5, 8)
    assert variables["params"]["pos_embed"].shape == (1, 1 + 3 * 3, 8)


def test_keeping_the_class_token_shifts_the_map_by_one():
    tokens = jnp.arange(7.0).reshape(1, 7, 1)  # 0 is the class token
    dropped = token_map(tokens, (2, 3), class_token="dropped")
    kept = token_map(tokens, (2, 3), class_token="kept")
    np.testing.assert_array_equal(dropped.ravel(), [1, 2, 3, 4, 5, 6])
    np.testing.assert_array_equal(kept.ravel(), [0, 1, 2, 3, 4, 5])


def test_width_must_be_a_multiple_of_the_heads():
    with pytest.raises(ValueError, match="heads"):
        VisionTransformer(width=10, heads=4)


def test_tokens_beside_the_features_of_asgnet():
    net = ASGNet(
        ResNet(50, **PFENET), FeatureEnrichment((1.0, 0.5)), vit=VisionTransformer()
    )
    image = jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32)
    params = jax.eval_shape(net.init, KEY, image)["params"]
    assert params["reduction"]["conv"]["kernel"].shape == (1, 1, 1024 + 512 + 512, 256)
    assert params["vit_projection"]["conv"]["kernel"].shape == (1, 1, 768, 512)
