"""The PyTorch form of ASGNet holds the recorded numbers, and agrees with ours."""

import jax
import numpy as np
import pytest

from benchmarks import race_settings, step
from ppcjax import methods
from ppcjax.ops import seeds as seed_ops
from ppcjax.ops.resize import shrink_nearest
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


def test_seeds_are_the_recorded_ones_and_ours():
    golden = load("asgnet_seed")
    for case in golden.having(r"down_(\d+)"):
        mask = golden[f"down_{case}"] > 0
        recorded = golden[f"seeds_{case}"]
        cells = next(
            c
            for c in range(1, mask[0].size)
            if np.array_equal(seed_ops.place_seeds(mask, cells=c).cells, recorded)
        )
        found, count = superpixels.place_seeds(tensor(mask), cells=cells, largest=5)
        np.testing.assert_array_equal(found, recorded)
        ours = seed_ops.place_seeds(mask, cells=cells)
        np.testing.assert_array_equal(count, ours.count)
        released = superpixels.released_count(found)
        np.testing.assert_array_equal(released, seed_ops.released_count(recorded))
        whole = golden[f"mask_{case}"]
        small = superpixels._shrink(tensor(whole), mask.shape[1:])
        np.testing.assert_array_equal(small, shrink_nearest(whole, mask.shape[1:]))


def test_clusters():
    golden = load("asgnet_sgc")
    for case in golden.having(r"out_(\d+)"):
        recorded = golden[f"out_{case}"].T
        seeds = golden[f"seeds_{case}"][None, : len(recorded)].astype(np.int64)
        found = superpixels.cluster(
            tensor(golden[f"feat_{case}"])[None],
            tensor(golden[f"mask_{case}"] > 0)[None],
            tensor(seeds),
            len(golden.having(rf"assoc_{case}_(\d+)")) or 10,
        )
        if np.isfinite(recorded).all():
            assert_close(found[0], recorded, 1e-5)


@pytest.mark.slow
def test_a_step_of_episodes_has_the_loss_of_ours():
    """Ours and theirs from random weights of their own: a loss near log 2 times two."""
    settings, classes = race_settings.read("asgnet", batch=2, crop=(65,))
    batch = step.random_batch(settings["data"], num_classes=classes)
    theirs = Step(ASGNet(settings["method"]), settings)
    loss = float(theirs(theirs.put(batch)))
    method = methods.make(settings["method"], classes)
    key = jax.random.key(0)
    ours, _ = jax.jit(method.loss)(*method.init(key, batch), batch, key, 0)
    assert loss == pytest.approx(float(ours), rel=0.2)
    assert loss == pytest.approx(2 * np.log(2), rel=0.3)
