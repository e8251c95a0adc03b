"""The PyTorch steps that ours are raced against hold the recorded numbers, too."""

import numpy as np
import pytest

from tests.golden.arrays import assert_close, load

torch = pytest.importorskip("torch")

from benchmarks.torch_baseline import optim  # noqa: E402
from benchmarks.torch_baseline.contrastive_seg import (  # noqa: E402
    IGNORE,
    ContrastiveSeg,
    contrast,
    select,
)
from benchmarks.torch_baseline.hrnet import HRNetContrast, ProjectionHead  # noqa: E402
from benchmarks.torch_baseline.pixpro import PixPro  # noqa: E402
from benchmarks.torch_baseline.step import Step  # noqa: E402
from tests.benchmarks.torch_arrays import fill, gradients, norms, tensor  # noqa: E402

pytestmark = pytest.mark.torch


@pytest.mark.slow
def test_pixpro_step():
    """Two steps; batch statistics over 36 cells amplify rounding, as said there."""
    golden = load("pixpro_step")
    args, widths = golden.text("args"), golden.shapes()
    settings = {
        "projector": [widths[f"projector.linear{i}.bias"][0] for i in (1, 2)],
        "momentum": args["pixpro_momentum"],
        "momentum_steps": int(golden["K"]),
        "threshold": args["pixpro_pos_ratio"],
        "power": args["pixpro_p"],
        "clamp": args["pixpro_clamp_value"],
    }
    model = PixPro(settings)
    online = torch.nn.ModuleDict(
        {n: getattr(model, n) for n in ("encoder", "projector", "value_transform")}
    )
    fill(online, golden)
    optimizer = {"name": "lars", "lr": float(golden["lr"]), "momentum": 0.9}
    optimizer |= {"weight_decay": float(golden["wd"]), "trust": 1e-3, "power": 0.0}
    step = Step(model, {"optim": optimizer, "steps": 2}, channels_last=False)
    model.normalize = torch.nn.Identity()
    model.normalize.mean = torch.zeros(1)
    names = golden.text("gradnorm_names")
    for k, tolerance in (("1", 1e-3), ("2", 0.1)):
        before = {n: p.detach().clone() for n, p in online.named_parameters()}
        views = [golden[f"x{i}_x4_{k}"].astype(np.float32) / 4 for i in (1, 2)]
        boxes = [golden[f"coord{i}_{k}"] for i in (1, 2)]
        batch = {
            "image": tensor(np.stack(views, 1)),
            "box": tensor(np.stack(boxes, 1)),
        }
        loss = step(batch | {"nhwc": False})
        assert_close(loss, golden[f"loss_{k}"], tolerance)
        found = norms(model.named_parameters(), golden.text("param_k_names"))
        assert_close(found, golden[f"param_k_norm_{k}"], 1e-5)
        if k == "2":
            continue
        assert_close(gradients(online, names), golden["gradnorm_1"], 0.03)
        moved = [(n, p.detach() - before[n]) for n, p in online.named_parameters()]
        moved = norms(moved, golden.text("deltanorm_names"))
        assert_close(moved, golden["deltanorm_1"], 0.03)


def test_lars():
    golden = load("pixpro_lars")
    names = golden.having(r"mom_(.+)_\d+")
    params = {n: torch.nn.Parameter(tensor(golden[f"p_{n}_0"])) for n in names}
    settings = {n: float(golden[n]) for n in ("lr", "momentum")}
    rule = optim.Lars(
        list(params.values()),
        weight_decay=float(golden["wd"]),
        trust=float(golden["trust_coef"]),
        **settings,
    )
    for step in golden.having(r"mom_.+_(\d+)"):
        for name, p in params.items():
            p.grad = tensor(golden[f"g_{name}_{step}"])
        rule.step()
        for name, p in params.items():
            assert_close(p.detach(), golden[f"p_{name}_{step}"], 1e-6)


def test_warmup_cosine_and_poly_are_ours():
    from ppcjax.train import schedules

    cosine = {"name": "warmup_cosine", "warmup": 4, "start": 0.01, "end": 1e-6}
    linear = {"batch_rule": "linear", "batch_size": 512, "base_batch": 256}
    for own, ours in (
        ({"power": 0.9}, {"power": 0.9}),
        (linear | {"schedule": cosine}, {"schedule": cosine}),
    ):
        rate = optim.rate({"lr": 0.1} | own, 20)
        lr = 0.2 if "batch_rule" in own else 0.1
        recorded = [float(schedules.make(lr, steps=20, **ours)(t)) for t in range(25)]
        np.testing.assert_allclose([rate(t) for t in range(25)], recorded, rtol=2e-6)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["eval", "train"])
def test_hrnet48(mode):
    golden = load("cseg_hrnet48")
    dim = golden.shapes()["proj_head.proj.2.bias"][0]
    net = HRNetContrast(golden["seg_eval"].shape[1], dim, dropout=0.0)
    fill(net, golden)
    net.train(mode == "train")
    seg, embed = net(tensor(golden["x"]))

    def wave(function, x):
        return function(torch.arange(x.numel(), dtype=torch.float32)).view_as(x) * x

    size = seg.detach().norm()
    loss = wave(torch.sin, seg).sum() / size + wave(torch.cos, embed).sum()
    loss.backward()
    # Batch statistics over few cells amplify rounding.
    tolerance = {"eval": 1e-4, "train": 0.02}[mode]
    assert_close(seg.detach(), golden[f"seg_{mode}"], tolerance)
    assert_close(embed.detach()[:, :24], golden[f"embed_{mode}_c24"], tolerance)
    assert_close(loss.detach(), golden[f"loss_{mode}"], tolerance)
    names = golden.text("gradnorm_names")
    assert_close(gradients(net, names), golden[f"gradnorm_{mode}"], 10 * tolerance)


def test_projection():
    golden = load("cseg_proj")
    prefix = "convmlp_w_"
    shapes = [golden[f"{prefix}proj.{i}.bias"].shape[0] for i in (0, 2)]
    net = ProjectionHead(*shapes)
    names = [n for n in net.state_dict() if "num_batches" not in n]
    net.load_state_dict({n: tensor(golden[prefix + n]) for n in names}, strict=False)
    x = tensor(golden["x"]).requires_grad_()
    out = net.train()(x)
    out.backward(tensor(golden["gout"]))
    assert_close(out.detach(), golden["convmlp_train"], 1e-5)
    assert_close(x.grad, golden["convmlp_g_x"], 1e-5)


def _recorded_anchors(golden, name, cells):
    """Cells and labels of the recorded anchors."""
    index = golden[f"{name}_anchor_idx"].astype(np.int64)
    cell = golden[f"{name}_anchor_img"][:, None] * cells + index
    label = np.repeat(golden[f"{name}_anchor_cls"][:, None], index.shape[1], axis=1)
    return tensor(cell.T.ravel()), tensor(label.T.ravel().astype(np.int64))


@pytest.mark.parametrize("name", ["official", "odd", "tau07"])
def test_contrast_and_anchors(name):
    golden = load("cseg_pcl")
    settings = golden.text("settings")[name]
    features = tensor(golden["feats"]).requires_grad_()
    cells = np.prod(features.shape[2:])
    rows = features.permute(0, 2, 3, 1).flatten(0, 2)
    cell, label = _recorded_anchors(golden, name, cells)
    loss = contrast(
        rows[cell],
        label,
        temperature=settings["temperature"],
        base=settings["base_temperature"],
    )
    loss.backward()
    assert_close(loss.detach(), golden[f"{name}_loss"], 1e-5)
    assert_close(features.grad, golden[f"{name}_g_feats"], 2e-5)

    mask = golden["labels"].astype(np.int64)
    step = mask.shape[1] // features.shape[2]
    labels = tensor(np.where(mask == -1, IGNORE, mask)[:, ::step, ::step])
    labels = labels.flatten(1)
    wrong = tensor(golden["predict"].astype(np.int64)).flatten(1) != labels
    classes = int(labels[labels != IGNORE].max()) + 1
    found = select(
        labels,
        wrong,
        classes,
        most=settings["max_samples"],
        views=settings["max_views"],
    )
    used = found.label != IGNORE
    assert used.sum() == len(label)
    flat = labels.flatten()[found.cell[used]]
    assert torch.equal(flat, found.label[used])
    assert len(set(found.cell[used].tolist())) == used.sum()
    pairs = golden[f"{name}_anchor_img"], golden[f"{name}_anchor_cls"]
    hard = found.hard[pairs].numpy()
    np.testing.assert_array_equal(hard, golden[f"{name}_num_hard_keep"])
    right = wrong.flatten()[found.cell[used]]
    assert right.sum() == golden[f"{name}_num_hard_keep"].sum()


def test_contrastive_loss():
    golden = load("cseg_celoss")
    settings = golden.text("contrast")
    method = {
        "temperature": settings["temperature"],
        "base_temperature": settings["base_temperature"],
        "max_anchors": settings["max_samples"],
        "max_views": settings["max_views"],
        "weight": settings["loss_weight"],
        "class_weights": golden["ce_weight"].tolist(),
        "projection_dim": 16,
    }
    model = ContrastiveSeg(method, 5, width=4)
    seg, embed = (tensor(golden[n]).requires_grad_() for n in ("seg", "embed"))
    target = golden["target"].astype(np.int64)
    mask = tensor(np.where(target == -1, IGNORE, target))
    cell, label = _recorded_anchors(golden, "plain_with_embed", 16 * 16)
    found = model.anchors(seg, mask[:, ::4, ::4].flatten(1))
    assert (found.label != IGNORE).sum() == len(label)
    loss = model.loss(seg, embed, mask, found._replace(cell=cell, label=label))
    loss.backward()
    assert_close(loss.detach(), golden["plain_with_embed_loss"], 1e-5)
    assert_close(seg.grad, golden["plain_with_embed_g_seg"], 1e-5)
    assert_close(embed.grad, golden["plain_with_embed_g_embed"], 1e-5)
