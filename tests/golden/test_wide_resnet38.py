"""The whole SEAM and PPC networks on WideResNet-38 against recorded numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ppcjax.nn.cam_net import CamHeads, CamNet
from ppcjax.nn.wide_resnet38 import WideResNet38
from ppcjax.ops.resize import resize
from ppcjax.train import optim
from tests.golden.arrays import (
    OFFICIAL_HEADS,
    assert_close,
    jit,
    load,
    official_name,
    paths,
    recipe_weights,
)
from tests.golden.recorded_loss import assert_terms_recorded, recorded_loss

NETWORK = 1e-4
NET = CamNet(WideResNet38(dropout=False), CamHeads(21, dropout=0.0))
FROZEN = (r"bn", r"backbone/(conv1a|b2|b2_\d)/")
HEADS = r"^heads/"

pytestmark = pytest.mark.slow


def _params(golden):
    image = jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32)
    shapes = jax.eval_shape(NET.init, jax.random.key(0), image)["params"]
    return recipe_weights(shapes, golden)


def _norms(tree):
    norms = {k: np.linalg.norm(np.asarray(v, np.float64)) for k, v in tree.items()}
    return {official_name(k): v for k, v in norms.items()}


def _assert_norms(tree, golden, which):
    norms = _norms(paths(tree))
    names = golden.text(f"{which}norm_names")
    assert_close([norms[n] for n in names], golden[f"{which}norm"], NETWORK)


def test_parameter_counts():
    image = jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32)
    leaves = paths(jax.eval_shape(NET.init, jax.random.key(0), image)["params"])

    def count(condition):
        return sum(leaf.size for path, leaf in leaves.items() if condition(path))

    assert count(lambda p: p.startswith("backbone") and "kernel" in p) == 105_023_168
    assert count(lambda p: p.endswith(("scale", "bias"))) == 47_744
    assert count(lambda p: p.startswith("heads")) == 811_584


def test_ppc_net():
    golden = load("ppc_net")
    params = _params(golden)

    def forward(params, x):
        return NET.apply({"params": params}, x)

    def loss(params, x):
        out = forward(params, x)
        size = jax.lax.stop_gradient(jnp.sqrt(jnp.sum(out.projection**2)))
        total = jnp.sum(golden.map("gout_f_proj") * out.projection) / size
        total += jnp.sum(golden.map("gout_cam_rv_down") * out.refined)
        return total, out

    (value, out), (grads, g_x) = jit(
        jax.value_and_grad(loss, argnums=(0, 1), has_aux=True)
    )(params, golden.map("x"))
    full = golden["x"].shape[2:]
    cam = resize(out.cam, full, align_corners=True)
    refined = resize(out.refined, full, align_corners=True)
    assert_close(cam, golden.map("cam"), NETWORK)
    assert_close(out.refined, golden.map("cam_rv_down"), NETWORK)
    assert_close(refined[:, ::4, ::4], golden.map("cam_rv_s4"), NETWORK)
    assert_close(out.projection, golden.map("f_proj"), NETWORK)
    assert_close(value, golden["loss"], NETWORK)
    assert_close(g_x, golden.map("g_x"), NETWORK)
    _assert_norms(grads, golden, "grad")
    heads = grads["heads"]
    kernel = heads["projector"]["conv"]["kernel"][:, :, :64, :8]
    assert_close(kernel, golden.kernel("g_fc_proj_c8"), NETWORK)
    assert_close(heads["affinity"]["conv"]["kernel"][0, 0].T, golden["g_f9"], NETWORK)


def test_backbone_endpoints():
    golden = load("ppc_net")
    params = _params(golden)["backbone"]
    out = jit(lambda p, x: WideResNet38().apply({"params": p}, x))(
        params, golden.map("x")
    )
    for ours, name, channels in (
        ("stage3", "conv4", 32),
        ("stage4", "conv5", 32),
        ("embedding", "conv6", 64),
    ):
        wanted = golden.map(f"{name}_c{channels}")
        assert_close(out[ours][..., :channels], wanted, NETWORK)
        x = np.asarray(out[ours], np.float64)
        stats = [x.mean(), np.abs(x).mean(), x.std(ddof=1), np.abs(x).max()]
        np.testing.assert_allclose(stats, golden[f"{name}_stats_f64"], rtol=NETWORK)


def test_seam_net():
    golden = load("seam_net")
    x = golden.map("x")
    out = jit(lambda p, x: NET.apply({"params": p}, x))(_params(golden), x)
    for value, name in ((out.cam, "cam_s2"), (out.refined, "cam_rv_s2")):
        upsampled = resize(value, x.shape[1:3], align_corners=True)
        assert_close(upsampled[:, ::2, ::2], golden.map(name), NETWORK)


def test_ppc_training_step():
    golden = load("ppc_step")
    params = _params(golden)
    image = golden.map("img1")
    small = resize(image, (128, 128), align_corners=True)

    def loss(params):
        outputs = [NET.apply({"params": params}, x) for x in (image, small)]
        total, terms = recorded_loss(outputs, golden, image.shape[1:3])
        return total, (terms, outputs)

    optimizer = optim.make(
        lr=float(golden["lr"]),
        momentum=float(golden["wd"]),  # as released: decay in momentum's place
        weight_decay=float(golden["wd"]),
        power=0.9,
        steps=int(golden["max_step"]),
        lr_mults=((HEADS, 10.0),),
        frozen=FROZEN,
    )

    @jit
    def step(params):
        (value, aux), grads = jax.value_and_grad(loss, has_aux=True)(params)
        updates, _ = optimizer.update(grads, optimizer.init(params), params)
        return value, aux, grads, optax.apply_updates(params, updates)

    value, (terms, outputs), grads, new_params = step(params)
    assert_close(value, golden["loss"].reshape(()), NETWORK)
    assert_close(terms["equivariance"], golden["loss_er"], NETWORK)
    assert_close(terms["cross_equivariance"], golden["loss_ecr"], NETWORK)
    assert_close(terms["contrast"], golden["loss_nce"].reshape(()), NETWORK)
    for i, output in enumerate(outputs, 1):
        assert_close(output.projection, golden.map(f"net_f_proj{i}"), NETWORK)
        assert_close(output.refined, golden.map(f"net_cam_rv_down{i}"), NETWORK)
        view = resize(
            output.cam, (64, 64) if i == 1 else (128, 128), align_corners=True
        )
        assert_close(view[:, ::8, ::8], golden.map(f"net_cam{i}_s8"), NETWORK)
    assert_terms_recorded(outputs, golden, image.shape[1:3], NETWORK)
    _assert_norms(grads, golden, "grad")
    moved = jax.tree.map(lambda new, old: new - old, new_params, params)
    _assert_norms(moved, golden, "delta")
    assert set(OFFICIAL_HEADS) == set(grads["heads"])
