"""The PyTorch steps that ours are raced against hold the recorded numbers, too."""

import zlib

import numpy as np
import pytest

from tests.golden.arrays import assert_close, load

torch = pytest.importorskip("torch")

from benchmarks.torch_baseline import optim, ppc_terms  # noqa: E402
from benchmarks.torch_baseline.contrastive_seg import (  # noqa: E402
    IGNORE,
    ContrastiveSeg,
    contrast,
    select,
)
from benchmarks.torch_baseline.hrnet import HRNetContrast, ProjectionHead  # noqa: E402
from benchmarks.torch_baseline.pixpro import PixPro  # noqa: E402
from benchmarks.torch_baseline.ppc import PPC  # noqa: E402
from benchmarks.torch_baseline.step import Step  # noqa: E402
from benchmarks.torch_baseline.wide_resnet38 import CamNet, Maps  # noqa: E402

pytestmark = pytest.mark.torch

SECOND_VIEW = (128, 128)
PPC_SETTINGS = {
    "small_view": 128,
    "min_pooling": 1.0,
    "equivariance": 1.0,
    "cross_equivariance": 1.0,
    "cross_prototype": 0.1,
    "cross_cam": 0.1,
    "intra": 0.1,
    "temperature": 0.1,
    "pseudo_threshold": 0.2,
}


def _fill(module, golden):
    """Sets parameters and statistics by the recipe of tests/golden/README.md."""
    salt = golden.text("salt")
    extra = golden.text("extra_scale") if "extra_scale" in golden else {}
    state = {
        name: x for name, x in module.state_dict().items() if "num_batches" not in name
    }
    assert {name: tuple(x.shape) for name, x in state.items()} == golden.shapes()
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


def _norms(named, names):
    """Norms of arrays by name, in the order of `names`."""
    sizes = {name: float(x.detach().double().norm()) for name, x in named}
    return [sizes[name] for name in names]


def _gradients(module, names):
    """Norms of the gradients of a module."""
    return _norms(
        [(n, p.grad) for n, p in module.named_parameters() if n in names], names
    )


def _tensor(x):
    return torch.from_numpy(np.array(x))


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
    _fill(online, golden)
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
            "image": _tensor(np.stack(views, 1)),
            "box": _tensor(np.stack(boxes, 1)),
        }
        loss = step(batch | {"nhwc": False})
        assert_close(loss, golden[f"loss_{k}"], tolerance)
        found = _norms(model.named_parameters(), golden.text("param_k_names"))
        assert_close(found, golden[f"param_k_norm_{k}"], 1e-5)
        if k == "2":
            continue
        assert_close(_gradients(online, names), golden["gradnorm_1"], 0.03)
        moved = [(n, p.detach() - before[n]) for n, p in online.named_parameters()]
        moved = _norms(moved, golden.text("deltanorm_names"))
        assert_close(moved, golden["deltanorm_1"], 0.03)


def test_lars():
    golden = load("pixpro_lars")
    names = golden.having(r"mom_(.+)_\d+")
    params = {n: torch.nn.Parameter(_tensor(golden[f"p_{n}_0"])) for n in names}
    settings = {n: float(golden[n]) for n in ("lr", "momentum")}
    rule = optim.Lars(
        list(params.values()),
        weight_decay=float(golden["wd"]),
        trust=float(golden["trust_coef"]),
        **settings,
    )
    for step in golden.having(r"mom_.+_(\d+)"):
        for name, p in params.items():
            p.grad = _tensor(golden[f"g_{name}_{step}"])
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
    _fill(net, golden)
    net.train(mode == "train")
    seg, embed = net(_tensor(golden["x"]))

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
    assert_close(_gradients(net, names), golden[f"gradnorm_{mode}"], 10 * tolerance)


def test_projection():
    golden = load("cseg_proj")
    prefix = "convmlp_w_"
    shapes = [golden[f"{prefix}proj.{i}.bias"].shape[0] for i in (0, 2)]
    net = ProjectionHead(*shapes)
    names = [n for n in net.state_dict() if "num_batches" not in n]
    net.load_state_dict({n: _tensor(golden[prefix + n]) for n in names}, strict=False)
    x = _tensor(golden["x"]).requires_grad_()
    out = net.train()(x)
    out.backward(_tensor(golden["gout"]))
    assert_close(out.detach(), golden["convmlp_train"], 1e-5)
    assert_close(x.grad, golden["convmlp_g_x"], 1e-5)


def _recorded_anchors(golden, name, cells):
    """Cells and labels of the recorded anchors."""
    index = golden[f"{name}_anchor_idx"].astype(np.int64)
    cell = golden[f"{name}_anchor_img"][:, None] * cells + index
    label = np.repeat(golden[f"{name}_anchor_cls"][:, None], index.shape[1], axis=1)
    return _tensor(cell.T.ravel()), _tensor(label.T.ravel().astype(np.int64))


@pytest.mark.parametrize("name", ["official", "odd", "tau07"])
def test_contrast_and_anchors(name):
    golden = load("cseg_pcl")
    settings = golden.text("settings")[name]
    features = _tensor(golden["feats"]).requires_grad_()
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
    labels = _tensor(np.where(mask == -1, IGNORE, mask)[:, ::step, ::step])
    labels = labels.flatten(1)
    wrong = _tensor(golden["predict"].astype(np.int64)).flatten(1) != labels
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
    seg, embed = (_tensor(golden[n]).requires_grad_() for n in ("seg", "embed"))
    target = golden["target"].astype(np.int64)
    mask = _tensor(np.where(target == -1, IGNORE, target))
    cell, label = _recorded_anchors(golden, "plain_with_embed", 16 * 16)
    found = model.anchors(seg, mask[:, ::4, ::4].flatten(1))
    assert (found.label != IGNORE).sum() == len(label)
    loss = model.loss(seg, embed, mask, found._replace(cell=cell, label=label))
    loss.backward()
    assert_close(loss.detach(), golden["plain_with_embed_loss"], 1e-5)
    assert_close(seg.grad, golden["plain_with_embed_g_seg"], 1e-5)
    assert_close(embed.grad, golden["plain_with_embed_g_embed"], 1e-5)


def _choices(golden):
    """Recorded pixels of the prototypes, and random halves as masks."""
    chosen = []
    for view in (1, 2):
        labels = golden[f"pseudo_label{view}"].ravel()
        mask, start = np.zeros(labels.shape, bool), 0
        for c in golden[f"intra{view}_class_ids"]:
            pixels = np.flatnonzero(labels == c)
            half = len(pixels) // 2
            index = golden[f"intra{view}_random_idx"][start : start + half]
            mask[pixels[index]] = True
            start += half
        chosen.append(_tensor(mask))
    top = [_tensor(golden[f"top_indices{i}"].astype(np.int64)) for i in (1, 2)]
    return {"top": top, "chosen": chosen}


def _tags(golden):
    label = golden["label"]
    return _tensor(np.concatenate([np.ones_like(label[:, :1]), label], axis=1))


def _assert_terms(terms, golden, tolerance):
    recorded = {"equivariance": "loss_er", "cross_equivariance": "loss_ecr"}
    for name, other in recorded.items():
        assert_close(terms[name].detach(), golden[other].reshape(()), tolerance)
    scale = {"cross_prototype": "cross_nce", "cross_cam": "cross_nce2"}
    for name, other in (scale | {"intra": "intra_nce"}).items():
        found = 0.1 * terms[name].detach()
        assert_close(found, golden[f"loss_{other}"].reshape(()), tolerance)


def test_ppc_loss():
    golden = load("ppc_loss")
    names = ("cam", "cam_rv_down", "f_proj")
    outputs = [
        Maps(*(_tensor(golden[f"{n}{v}"]).requires_grad_() for n in names))
        for v in (1, 2)
    ]
    model = PPC(PPC_SETTINGS, 21, net=torch.nn.Identity())
    sizes = [tuple(golden["img_hw"]), SECOND_VIEW]
    loss, terms = model.loss(outputs, _tags(golden), sizes, **_choices(golden))
    loss.backward()
    assert_close(loss.detach(), golden["loss"].reshape(()), 1e-5)
    _assert_terms(terms, golden, 1e-5)
    for view, output in enumerate(outputs, 1):
        for name, x in zip(names, output, strict=True):
            assert_close(x.grad, golden[f"g_{name}{view}"], 2e-5)


def test_ppc_chooses_as_recorded():
    golden = load("ppc_loss")
    names = ("cam", "cam_rv_down", "f_proj")
    for v in (1, 2):
        output = Maps(*(_tensor(golden[f"{n}{v}"]) for n in names))
        view = ppc_terms.contrast_view(output, _tags(golden), (16, 16), 0.2)
        labels = golden[f"pseudo_label{v}"].ravel()
        np.testing.assert_array_equal(view.labels, labels)
        top = view.scores.T.topk(32, dim=1)[1]
        found = ppc_terms.prototypes(view, top)
        assert_close(found, golden[f"prototypes{v}"], 1e-5)


@pytest.mark.slow
def test_ppc_step():
    golden = load("ppc_step")
    width = {name: shape[0] for name, shape in golden.shapes().items()}
    net = CamNet(
        width["fc8.weight"],
        width["fc_proj.weight"],
        [width[f"{name}.weight"] for name in ("f8_3", "f8_4", "f9")],
        dropout=(0.0, 0.0, 0.0),
    )
    _fill(net, golden)
    model = PPC(PPC_SETTINGS, width["fc8.weight"], net=net)
    decay = float(golden["wd"])
    settings = {"name": "sgd", "lr": float(golden["lr"]), "power": 0.9}
    settings |= {"momentum": decay, "weight_decay": decay}
    step = Step(model, {"optim": settings, "steps": int(golden["max_step"])})
    before = {n: p.detach().clone() for n, p in net.named_parameters()}
    outputs, sizes = model.views(_tensor(golden["img1"]))
    model.forward = lambda batch: model.loss(
        outputs, _tags(golden), sizes, **_choices(golden)
    )[0]
    loss = step({})
    assert_close(loss, golden["loss"].reshape(()), 1e-4)
    _, terms = model.loss(outputs, _tags(golden), sizes, **_choices(golden))
    _assert_terms(terms, golden, 1e-4)
    for i, output in enumerate(outputs, 1):
        projection = golden[f"net_f_proj{i}"]
        assert_close(output.projection.detach(), projection, 1e-4)
        assert_close(output.refined.detach(), golden[f"net_cam_rv_down{i}"], 1e-4)
    found = _gradients(net, golden.text("gradnorm_names"))
    assert_close(found, golden["gradnorm"], 1e-4)
    moved = [(n, p.detach() - before[n]) for n, p in net.named_parameters()]
    moved = dict(moved) | {
        n: torch.zeros(1) for n in golden.text("deltanorm_names") if n not in before
    }
    found = _norms(moved.items(), golden.text("deltanorm_names"))
    assert_close(found, golden["deltanorm"], 1e-4)
