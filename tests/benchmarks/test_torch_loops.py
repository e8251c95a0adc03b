"""The loops that our loss parts are timed against give the same losses."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from benchmarks import loss_parts  # noqa: E402
from benchmarks.torch_baseline import contrastive_seg, loops, ppc_terms  # noqa: E402

pytestmark = pytest.mark.torch
IGNORE = contrastive_seg.IGNORE


def _view(seed, pixels=60, classes=5, dim=6):
    made = torch.Generator().manual_seed(seed)
    features = torch.randn(pixels, dim, generator=made)
    unit = torch.nn.functional.normalize(features, dim=1).requires_grad_()
    scores = torch.rand(pixels, classes, generator=made)
    labels = torch.randint(0, classes - 1, (pixels,), generator=made)  # one is missing
    return ppc_terms.View(unit, features, scores, labels)


def test_ppc():
    found = []
    for form in ("loops", "whole"):
        views = [_view(seed) for seed in (1, 2)]
        chosen = [torch.zeros(len(view.labels), dtype=torch.bool) for view in views]
        for view, mask in zip(views, chosen, strict=True):
            for c in view.labels.unique():
                index = (view.labels == c).nonzero()[:, 0]
                mask[index[: len(index) // 2]] = True
        both = {"temperature": 0.1, "chosen": chosen}
        if form == "loops":
            terms = loops.ppc_contrasts(views, count=7, **both)
        else:
            terms = ppc_terms.contrasts(views, top=7, **both)
        sum(terms.values()).backward()
        values = [x.item() for x in terms.values()]
        found.append((values, [view.pixels.grad for view in views]))
    np.testing.assert_allclose(found[0][0], found[1][0], rtol=1e-5)
    for one, other in zip(found[0][1], found[1][1], strict=True):
        torch.testing.assert_close(one, other)


def test_anchors_and_their_contrast():
    made = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 4, (2, 80), generator=made)
    labels[:, :5] = IGNORE
    wrong = torch.rand(labels.shape, generator=made) < 0.3
    cell, of = loops.anchors(labels, wrong, most=64, views=8)
    whole = contrastive_seg.select(labels, wrong, 4, most=64, views=8)
    used = whole.label != IGNORE
    torch.testing.assert_close(of.bincount(), whole.label[used].bincount())
    assert wrong.flatten()[cell].sum() == wrong.flatten()[whole.cell[used]].sum()
    assert torch.equal(labels.flatten()[cell], of)
    rows = torch.nn.functional.normalize(torch.randn(len(of), 6, generator=made), dim=1)
    settings = {"temperature": 0.1, "base": 0.07}
    one, other = (
        f(rows, of, **settings) for f in (loops.contrast, contrastive_seg.contrast)
    )
    torch.testing.assert_close(one, other)


def test_both_forms_of_the_memory_take_in_as_many(monkeypatch):
    monkeypatch.setattr(
        loss_parts, "STREETS", loss_parts.STREETS | {"grid": (8, 16), "dim": 4}
    )
    monkeypatch.setattr(loss_parts, "SLOTS", 50)
    ours, theirs = (
        loss_parts.Part("memory", n) for n in (loss_parts.OURS, loss_parts.LOOPS)
    )
    for side in (ours, theirs):
        side.start()
    assert ours.loss == theirs.loss > 0
