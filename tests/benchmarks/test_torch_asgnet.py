"""The PyTorch form of ASGNet holds the recorded numbers."""

import jax
import numpy as np
import pytest

from benchmarks import race_settings, step
from ppcjax import methods
from tests.golden.arrays import assert_close, load

torch = pytest.importorskip("torch")

from benchmarks.torch_baseline import superpixels  # noqa: E402
from benchmarks.torch_baseline.asgnet import ASGNet, Net  # noqa: E402
from benchmarks.torch_baseline.step import Step  # noqa: E402
from tests.benchmarks.torch_arrays import fill, gradients, tensor  # noqa: E402

pytestmark = pytest.mark.torch

SETTINGS = {
    "superpixels_at_most": 5,
    "superpixel_cells": 12,
    "iterations": (10, 5),
    "seed_count": "released",
    "prior": "sum",
    "auxiliary": 1.0,
}


def _official(net):
    """Modules under the names of the original, whose backbone is no part of its own."""
    parts = dict(net.backbone.named_children())
    parts |= {n: m for n, m in net.named_children() if n != "backbone"}
    return torch.nn.ModuleDict(parts)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["frozen_bn", "batch_bn"])
@pytest.mark.parametrize("case", ["1shot", "1shot_relscales", "5shot"])
def test_losses_and_gradients(case, mode):
    golden = load(f"asgnet_net_{case}")
    net = Net(golden.text("args")["ppm_scales"], dropout=0.0, classifier_dropout=0.0)
    official = _official(net)
    fill(official, golden, without="layer4")
    model = ASGNet(SETTINGS, net=net).train()
    if mode == "frozen_bn":
        net.backbone.eval()
    shots = tensor(golden["s_x_x32"] / np.float32(32)).unbind(1)
    masks = tensor(golden["s_y"].astype(np.int64))[:, None]
    batch = {
        "support_mask": masks,
        "shot_valid": torch.ones(masks.shape[:3], dtype=torch.bool),
        "query_mask": tensor(golden["y"].astype(np.int64))[:, None],
    }
    main, auxiliary = model.terms(
        tensor(golden["x_x32"] / np.float32(32)), shots, batch
    )
    (main + auxiliary).backward()
    # Batch statistics over few cells amplify rounding.
    tolerance = {"frozen_bn": 1e-4, "batch_bn": 1e-3}[mode]
    assert_close(main.detach(), golden[f"main_loss_{mode}"], tolerance)
    assert_close(auxiliary.detach(), golden[f"aux_loss_{mode}"], tolerance)
    found = gradients(official, golden.text("gradnorm_names"))
    assert_close(found, golden[f"gradnorm_{mode}"], 10 * tolerance)
    if f"g_down_conv_{mode}_c4" in golden:
        kernel = net.down_conv[0].weight.grad[:4, :, 0, 0]
        assert_close(kernel, golden[f"g_down_conv_{mode}_c4"], 10 * tolerance)
    assert all(p.grad is None for p in net.backbone.parameters())


def test_seeds():
    golden = load("asgnet_seed")
    for case in golden.having(r"mask_(\d+)"):
        metas = [m for m in golden.text("meta") if m["case"] == int(case)]
        masks = np.unpackbits(golden[f"mask_{case}"], axis=-1)[..., : metas[0]["W"]]
        down = golden[f"down_{case}"]
        small = superpixels.shrink(tensor(masks), down.shape[1:])
        np.testing.assert_array_equal(small, down)
        for i, meta in enumerate(metas):
            found, count = superpixels.place_seeds(
                small[i : i + 1] > 0,
                cells=meta["avg_sp_area"],
                largest=meta["max_num_sp"],
            )
            recorded = golden[f"seeds_{case}"][i, : meta["max_num_sp"]]
            np.testing.assert_array_equal(found[0], recorded)
            assert count == (meta["num_sp"] if meta["num_sp"] > 1 else 0)


def test_clusters():
    golden = load("asgnet_sgc")
    for case in golden.having(r"feat_(\d+)"):
        meta = golden.text("meta")[int(case)]
        found = superpixels.cluster(
            tensor(golden[f"feat_{case}"])[None],
            tensor(golden[f"mask_{case}"] == 1)[None],
            tensor(golden[f"seeds_{case}"].astype(np.int64))[None],
            meta["n_iter"],
        )
        if meta["finite"]:  # the original divides 0 by 0
            assert_close(found[0], golden[f"out_{case}"].T, 1e-5)


@pytest.mark.slow
def test_a_step_of_episodes_has_the_loss_of_ours():
    """Each from random weights of its own, whose loss is near twice log 2."""
    settings, classes = race_settings.read("asgnet", batch=2, crop=(65,))
    batch = step.random_batch(settings["data"], num_classes=classes)
    torch.manual_seed(0)
    theirs = Step(ASGNet(settings["method"]), settings)
    loss = float(theirs(theirs.put(batch)))
    method = methods.make(settings["method"], classes)
    key = jax.random.key(0)
    ours, _ = jax.jit(method.loss)(*method.init(key, batch), batch, key, 0)
    assert loss == pytest.approx(float(ours), rel=0.2)
    assert loss == pytest.approx(2 * np.log(2), rel=0.3)
