import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ppcjax.nn import backbones
from ppcjax.nn.asgnet import ASGNet
from ppcjax.nn.attention import attend, gelu
from ppcjax.nn.enrichment import FeatureEnrichment
from ppcjax.nn.init import initialize
from ppcjax.nn.resnet import PFENET, ResNet
from ppcjax.nn.vit import VisionTransformer, token_map

KEY = jax.random.key(0)
SMALL = {"patch": 4, "width": 8, "depth": 2, "heads": 2, "grid": (3, 3)}
TINY = VisionTransformer(**SMALL)
WITH_ALL = VisionTransformer(**SMALL, registers=2, layer_scale=True)
ASKED = ("class_attention", "tokens", "class", "registers", "attention0", "attention1")


def _parameters(module, seed=0):
    """Parameters of a module none of which is 0 or 1."""
    image = jnp.zeros((1, 16, 16, 3))
    params = initialize(module, KEY, image)["params"]
    wave = np.cos(np.arange(1000, dtype=np.float32))
    return jax.tree.map(
        lambda p: p + 0.1 * np.resize(wave, p.shape).astype(np.float32), params
    )


def _image(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize(
    "name, registers, expected",
    [
        ("vit_s16", 0, 21_665_664),
        ("vit_s8", 0, 21_670_272),
        ("vit_b16", 0, 85_798_656),
        ("vit_b8", 0, 85_807_872),
        ("vit_s14", 0, 22_056_576),
        ("vit_b14", 0, 86_580_480),
        ("vit_l14", 0, 304_368_640),
        ("vit_s14", 4, 22_058_112),
        ("vit_b14", 4, 86_583_552),
        ("vit_l14", 4, 304_372_736),
    ],
)
def test_parameters_are_those_of_the_published_networks(name, registers, expected):
    """Counted with one block and with two, since all blocks are alike."""
    image = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)

    def count(depth):
        settings = {"registers": registers, "depth": depth}
        module, _ = backbones.make(name, settings)
        shapes = jax.eval_shape(module.init, KEY, image)
        return sum(leaf.size for leaf in jax.tree.leaves(shapes))

    one, two = count(1), count(2)
    whole = backbones.make(name)[0]
    # DINOv2's files hold a token of masked patches besides, which training alone reads.
    unused = whole.width if whole.layer_scale else 0
    assert one + (whole.depth - 1) * (two - one) + unused == expected


def _norm(x, layer):
    centred = x - x.mean(-1, keepdims=True)
    spread = np.sqrt(x.var(-1, keepdims=True) + 1e-6)
    return centred / spread * layer["scale"] + layer["bias"]


def _dense(x, layer):
    return x @ layer["kernel"] + layer["bias"]


def _reference(x, params):
    """The published equations with loops over patches and heads, in float64."""
    erf = np.vectorize(math.erf)
    tokens = []
    kernel, table = params["patch_embed"]["kernel"], params["pos_embed"][0]
    for i in range(0, x.shape[0], 4):
        for j in range(0, x.shape[1], 4):
            patch = x[i : i + 4, j : j + 4]
            token = np.einsum("ijc,ijcd->d", patch, kernel)
            token = token + params["patch_embed"]["bias"] + table[1 + len(tokens)]
            tokens.append(token)
    registers = params.get("register_tokens", np.zeros((1, 0, 8)))[0]
    y = np.stack([params["cls_token"][0, 0] + table[0], *registers, *tokens])
    found = {}
    for i in range(2):
        block = params[f"block{i}"]
        scale = [block.get(f"ls{k}", {"gamma": 1.0})["gamma"] for k in (1, 2)]
        qkv = _dense(_norm(y, block["norm1"]), block["attn"]["qkv"])
        heads, weights = [], []
        for head in range(2):
            q, k, v = (
                qkv[:, 8 * part + 4 * head : 8 * part + 4 * head + 4]
                for part in range(3)
            )
            scores = np.exp(q @ k.T / 2.0)
            weights.append(scores / scores.sum(1, keepdims=True))
            heads.append(weights[-1] @ v)
        found[f"attention{i}"] = np.stack(weights)
        y = y + scale[0] * _dense(np.concatenate(heads, 1), block["attn"]["proj"])
        z = _dense(_norm(y, block["norm2"]), block["fc1"])
        z = _dense(z * 0.5 * (1 + erf(z / np.sqrt(2))), block["fc2"])
        y = y + scale[1] * z
        if i == 0:
            found["stage2"] = y  # half of the blocks
    found |= {"stage3": y, "stage4": y, "prenorm": y}
    found |= {"queries": qkv[:, :8], "keys": qkv[:, 8:16]}
    first = 1 + len(registers)
    y = _norm(y, params["norm"])
    maps = found | {"embedding": y}
    for name in TINY.endpoints:
        found[name] = maps[name][first:].reshape(3, 3, 8)
    shares = 9 * np.mean(weights, axis=0)[0, first:].reshape(3, 3, 1)
    found |= {"class_attention": shares}
    return found | {"tokens": y, "class": y[0], "registers": y[1:first]}


@pytest.mark.parametrize("module", [TINY, WITH_ALL], ids=["plain", "with all"])
def test_outputs_follow_the_published_equations(module):
    x, params = _image(1, 12, 12, 3), _parameters(module)
    out = jax.jit(functools.partial(module.apply, want=ASKED))({"params": params}, x)
    exact = jax.tree.map(lambda p: np.asarray(p, np.float64), params)
    expected = _reference(x[0], exact)
    assert set(out) == {*module.endpoints, *ASKED} == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(out[name][0], value, atol=1e-4, err_msg=name)


def test_stages_may_pass_the_last_normalisation():
    x, params = _image(1, 12, 12, 3), _parameters(TINY)
    normed = VisionTransformer(**SMALL, stage_norm=True)
    plain, normed = (jax.jit(m.apply)({"params": params}, x) for m in (TINY, normed))
    np.testing.assert_allclose(normed["stage4"], plain["embedding"], atol=1e-6)
    np.testing.assert_array_equal(plain["stage4"], plain["prenorm"])
    expected = _norm(np.asarray(plain["stage2"]), params["norm"])
    np.testing.assert_allclose(normed["stage2"], expected, atol=1e-4)


@pytest.mark.parametrize(
    "module",
    [
        pytest.param(TINY, id="offset", marks=pytest.mark.slow),
        pytest.param(WITH_ALL, id="antialias"),
    ],
)
def test_padding_changes_nothing(module):
    """Each image has its own grid, smaller than the table's, equal or larger."""
    params = _parameters(module)
    extents = np.array([(1, 2), (12, 12), (27, 6)])
    loud = np.full((len(extents), 32, 32, 3), 7, np.float32)
    images = [_image(1, *extent, 3, seed=i) for i, extent in enumerate(extents)]
    for canvas, image in zip(loud, images, strict=True):
        canvas[: image.shape[1], : image.shape[2]] = image[0]
    apply = jax.jit(functools.partial(module.apply, want=("class",)))
    padded = apply({"params": params}, loud, extents)
    for i, image in enumerate(images):
        exact = apply({"params": params}, image)
        for name, value in exact.items():
            ours = padded[name][i]
            if name != "class":
                ours = ours[: value.shape[1], : value.shape[2]]
            scale = max(np.abs(value).max(), 1)
            np.testing.assert_allclose(ours, value[0], atol=1e-5 * scale, err_msg=name)


def test_sizes_that_are_no_multiple_end_in_zeros():
    x, variables = _image(2, 9, 14, 3), {"params": _parameters(TINY)}
    apply = jax.jit(TINY.apply)
    out = apply(variables, x)
    full = apply(variables, np.pad(x, ((0, 0), (0, 3), (0, 2), (0, 0))))
    assert out["embedding"].shape == (2, 3, 4, 8)
    np.testing.assert_allclose(out["embedding"], full["embedding"], atol=1e-6)


@pytest.mark.parametrize("by_head", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_blocks_of_queries_change_nothing(by_head, masked):
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((3, 2, 11, 3, 4)).astype(np.float32)
    mask = rng.random((2, 11)) < 0.7 if masked else None

    def total(inputs, block, by_head):
        y = attend(*inputs, mask, block=block, by_head=by_head)
        return jnp.sum(jnp.sin(y)), y

    run = jax.value_and_grad(total, has_aux=True)
    run = jax.jit(run, static_argnums=(1, 2))
    (_, whole), of_whole = run(inputs, 11, False)
    (_, blocks), of_blocks = run(inputs, 4, by_head)
    np.testing.assert_allclose(blocks, whole, atol=1e-5)
    np.testing.assert_allclose(of_blocks, of_whole, atol=1e-5)


@pytest.mark.slow
def test_gradients_are_finite_and_reach_all():
    module = VisionTransformer(
        **SMALL, registers=2, layer_scale=True, attention_block=5
    )
    image, extent = _image(2, 16, 16, 3), np.array([(16, 16), (3, 9)])

    @jax.jit
    @jax.grad
    def grads(params):
        return jnp.sum(
            jnp.sin(module.apply({"params": params}, image, extent)["embedding"])
        )

    for path, leaf in jax.tree_util.tree_leaves_with_path(grads(_parameters(module))):
        assert np.isfinite(leaf).all() and np.any(leaf), path


@pytest.mark.slow
def test_bfloat16_keeps_parameters_and_softmax_in_float32():
    image, params = _image(2, 12, 16, 3), _parameters(WITH_ALL)
    half = VisionTransformer(**SMALL, registers=2, layer_scale=True, dtype=jnp.bfloat16)
    shapes = jax.eval_shape(half.init, KEY, image)
    assert {leaf.dtype for leaf in jax.tree.leaves(shapes)} == {jnp.dtype("float32")}
    extent = np.array([(12, 16), (7, 9)])
    exact, out = (
        jax.jit(functools.partial(m.apply, want=("attention1",)))(
            {"params": params}, image, extent
        )
        for m in (WITH_ALL, half)
    )
    assert out["embedding"].dtype == jnp.bfloat16
    weights = out["attention1"]
    assert weights.dtype == jnp.float32
    np.testing.assert_allclose(weights.sum(-1), 1, atol=1e-5)
    found = np.float32(out["embedding"][0])
    np.testing.assert_allclose(found, exact["embedding"][0], atol=0.15)


def test_keeping_the_class_token_shifts_the_map_by_one():
    tokens = jnp.arange(7.0).reshape(1, 7, 1)  # 0 is the class token
    dropped = token_map(tokens, (2, 3), class_token="dropped")
    kept = token_map(tokens, (2, 3), class_token="kept")
    np.testing.assert_array_equal(dropped.ravel(), [1, 2, 3, 4, 5, 6])
    np.testing.assert_array_equal(kept.ravel(), [0, 1, 2, 3, 4, 5])


def test_width_must_be_a_multiple_of_the_heads():
    with pytest.raises(ValueError, match="heads"):
        VisionTransformer(width=10, heads=4)


@pytest.mark.parametrize("name", ["attention2", "attention", "value", "attention-1"])
def test_outputs_that_there_are_not(name):
    with pytest.raises(ValueError, match=f"no output '{name}'.*attention1"):
        jax.eval_shape(
            functools.partial(TINY.init, KEY, want=(name,)), jnp.zeros((1, 8, 8, 3))
        )


def test_tokens_beside_the_features_of_asgnet():
    net = ASGNet(
        ResNet(50, **PFENET),
        FeatureEnrichment((1.0, 0.5)),
        vit=VisionTransformer(depth=1),
    )
    image = jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32)
    params = jax.eval_shape(net.init, KEY, image)["params"]
    assert params["reduction"]["conv"]["kernel"].shape == (1, 1, 1024 + 512 + 512, 256)
    assert params["vit_projection"]["conv"]["kernel"].shape == (1, 1, 768, 512)


def test_gelu_is_the_exact_one_to_rounding():
    x = np.linspace(-12, 12, 10_001, dtype=np.float32)
    np.testing.assert_allclose(gelu(x), jax.nn.gelu(x, approximate=False), atol=1e-6)


@pytest.mark.parametrize("heads", [1, 2, 4, 5, 6])
@pytest.mark.parametrize("block", [1024, 3])
def test_few_heads_at_a_time_read_what_all_do(heads, block):
    rng = np.random.default_rng(heads)
    query, key, value = rng.standard_normal((3, 2, 7, heads, 4), np.float32) * 3
    for mask in (None, np.arange(7) < np.array([[7], [4]])):
        found, expected = (
            attend(query, key, value, mask, block=block, by_head=by_head)
            for by_head in (True, False)
        )
        np.testing.assert_allclose(found, expected, atol=1e-5)
