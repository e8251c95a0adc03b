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
    assert_close,
    jit,
    load,
    norms,
    official_shapes,
    published,
    statistics,
)
from tests.golden.recorded_loss import (
    SECOND_VIEW,
    assert_terms_recorded,
    recorded_loss,
)
from tests.weights.released_files import opened

NETWORK = 1e-4
FROZEN = (r"bn", r"backbone/(conv1a|b2|b2_\d)/")
HEADS = r"^heads/"
NAME_OF = published("ppc", "ppc")

pytestmark = pytest.mark.slow


def _recorded(name):
    """The network of the recorded widths, and parameters of a checkpoint of it."""
    golden = load(name)
    width = {name: shape[0] for name, shape in golden.shapes().items()}
    affinity = tuple(width[f"{name}.weight"] for name in ("f8_3", "f8_4", "f9"))
    # SEAM has no projector.
    projection = width.get("fc_proj.weight", CamHeads.projection)
    heads = CamHeads(
        width["fc8.weight"], projection=projection, affinity=affinity, dropout=0.0
    )
    net = CamNet(WideResNet38(dropout=False), heads)
    params, wanted = opened(name)[0].params, golden.shapes()
    shapes = official_shapes({"params": params}, NAME_OF)
    assert {name: shapes.pop(name) for name in wanted} == wanted
    assert shapes.keys() <= {"fc_proj.weight"}  # SEAM has none
    return net, params


def _assert_norms(tree, golden, which):
    sizes = norms(tree, NAME_OF)
    names = golden.text(f"{which}norm_names")
    assert_close([sizes[n] for n in names], golden[f"{which}norm"], NETWORK)


def test_ppc_net():
    golden = load("ppc_net")
    net, params = _recorded("ppc_net")

    def forward(params, x):
        return net.apply({"params": params}, x)

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
    wanted = golden.kernel("g_fc_proj_c8")
    kernel = heads["projector"]["conv"]["kernel"]
    kernel = kernel[:, :, : wanted.shape[2], : wanted.shape[3]]
    assert_close(kernel, wanted, NETWORK)
    assert_close(heads["affinity"]["conv"]["kernel"][0, 0].T, golden["g_f9"], NETWORK)


def test_backbone_endpoints():
    golden = load("ppc_net")
    params = _recorded("ppc_net")[1]["backbone"]
    out = jit(lambda p, x: WideResNet38().apply({"params": p}, x))(
        params, golden.map("x")
    )
    for ours, name in (
        ("stage3", "conv4_c32"),
        ("stage4", "conv5_c32"),
        ("embedding", "conv6_c64"),
    ):
        wanted = golden.map(name)
        assert_close(out[ours][..., : wanted.shape[-1]], wanted, NETWORK)
        recorded = golden[f"{name[:5]}_stats_f64"]
        np.testing.assert_allclose(statistics(out[ours]), recorded, rtol=NETWORK)


def test_seam_net():
    golden = load("seam_net")
    x = golden.map("x")
    net, params = _recorded("seam_net")
    out = jit(lambda p, x: net.apply({"params": p}, x))(params, x)
    for value, name in ((out.cam, "cam_s2"), (out.refined, "cam_rv_s2")):
        upsampled = resize(value, x.shape[1:3], align_corners=True)
        assert_close(upsampled[:, ::2, ::2], golden.map(name), NETWORK)


def test_ppc_training_step():
    golden = load("ppc_step")
    net, params = _recorded("ppc_step")
    image = golden.map("img1")
    small = resize(image, SECOND_VIEW, align_corners=True)

    def loss(params):
        outputs = [net.apply({"params": params}, x) for x in (image, small)]
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
        size = image.shape[1:3] if i == 1 else SECOND_VIEW
        view = resize(output.cam, size, align_corners=True)
        assert_close(view[:, ::8, ::8], golden.map(f"net_cam{i}_s8"), NETWORK)
    assert_terms_recorded(outputs, golden, image.shape[1:3], NETWORK)
    _assert_norms(grads, golden, "grad")
    moved = jax.tree.map(lambda new, old: new - old, new_params, params)
    _assert_norms(moved, golden, "delta")
