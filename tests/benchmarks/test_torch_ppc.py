"""The PyTorch form of PPC on WideResNet-38 holds the recorded numbers."""

import numpy as np
import pytest

from tests.golden.arrays import assert_close, load

torch = pytest.importorskip("torch")

from benchmarks.torch_baseline import ppc_terms  # noqa: E402
from benchmarks.torch_baseline.cam_net import Maps  # noqa: E402
from benchmarks.torch_baseline.ppc import PPC  # noqa: E402
from benchmarks.torch_baseline.step import Step  # noqa: E402
from benchmarks.torch_baseline.wide_resnet38 import WideResNet38  # noqa: E402
from tests.benchmarks.torch_arrays import fill, gradients, norms, tensor  # noqa: E402

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
        chosen.append(tensor(mask))
    top = [tensor(golden[f"top_indices{i}"].astype(np.int64)) for i in (1, 2)]
    return {"top": top, "chosen": chosen}


def _tags(golden):
    label = golden["label"]
    return tensor(np.concatenate([np.ones_like(label[:, :1]), label], axis=1))


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
        Maps(*(tensor(golden[f"{n}{v}"]).requires_grad_() for n in names))
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
        output = Maps(*(tensor(golden[f"{n}{v}"]) for n in names))
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
    net = WideResNet38(
        width["fc8.weight"],
        width["fc_proj.weight"],
        [width[f"{name}.weight"] for name in ("f8_3", "f8_4", "f9")],
        dropout=(0.0, 0.0, 0.0),
    )
    fill(net, golden)
    model = PPC(PPC_SETTINGS, width["fc8.weight"], net=net)
    decay = float(golden["wd"])
    settings = {"name": "sgd", "lr": float(golden["lr"]), "power": 0.9}
    settings |= {"momentum": decay, "weight_decay": decay}
    step = Step(model, {"optim": settings, "steps": int(golden["max_step"])})
    before = {n: p.detach().clone() for n, p in net.named_parameters()}
    outputs, sizes = model.views(tensor(golden["img1"]))
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
    found = gradients(net, golden.text("gradnorm_names"))
    assert_close(found, golden["gradnorm"], 1e-4)
    moved = [(n, p.detach() - before[n]) for n, p in net.named_parameters()]
    moved = dict(moved) | {
        n: torch.zeros(1) for n in golden.text("deltanorm_names") if n not in before
    }
    found = norms(moved.items(), golden.text("deltanorm_names"))
    assert_close(found, golden["deltanorm"], 1e-4)
