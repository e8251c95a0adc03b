"""Loss parts as one first writes them: loops over images and classes, in eager PyTorch.

They give what the forms without loops give, in `ppc_terms` and `contrastive_seg`; only
draws differ. Each loop waits for the device, as it asks how many pixels there are.
"""

import math
from collections.abc import Sequence

import torch
from torch.nn import functional as F

from benchmarks.torch_baseline.contrastive_seg import IGNORE
from benchmarks.torch_baseline.ppc_terms import View


def ppc_contrasts(
    views: Sequence[View], *, count: int, temperature: float, chosen=(None, None)
) -> dict[str, torch.Tensor]:
    """The three contrasts of `ppc_terms.contrasts`.

    Args:
        views: both, pixel for pixel the same places.
        count: pixels of a prototype.
        temperature: t.
        chosen: for each view [P] bool, the random half; None: drawn.
    """
    (one, two), t = views, temperature
    first, second = prototypes(one, count), prototypes(two, count)
    own = nce(one.pixels, one.labels, second, t) + nce(two.pixels, two.labels, first, t)
    other = nce(one.pixels, two.labels, first, t)
    other = other + nce(two.pixels, one.labels, second, t)
    inner = intra(one, first, chosen[0], t) + intra(two, second, chosen[1], t)
    return {"cross_prototype": own / 2, "cross_cam": other / 2, "intra": inner / 2}


@torch.no_grad()
def prototypes(view: View, count: int):
    """[C, D] unit means of the most confident pixels of each class."""
    centres = []
    for c in range(view.scores.shape[1]):
        weights, top = view.scores[:, c].topk(count)
        total = weights.sum()
        total = torch.where(total.abs() < 1e-12, 1e-12, total)
        mean = (weights[:, None] * view.features[top]).sum(0) / total
        centres.append(F.normalize(mean, dim=0))
    return torch.stack(centres)


def nce(pixels, labels, centres, temperature: float):
    """Cross-entropy of each pixel against one prototype a class."""
    total = 0.0
    for c in labels.unique().tolist():
        logits = pixels[labels == c] @ centres.T / temperature
        total = total + (torch.logsumexp(logits, 1) - logits[:, c]).sum()
    return total / len(labels)


def intra(view: View, centres, chosen, temperature: float):
    """Contrast against semi-hard prototypes, over random and hard pixels."""
    classes = len(centres)
    drop = math.ceil(0.1 * classes)
    keep = max(math.ceil(0.6 * classes), drop + 1)
    total, present = 0.0, view.labels.unique().tolist()
    for c in present:
        index = (view.labels == c).nonzero()[:, 0]
        size, half = len(index), len(index) // 2
        similarity = view.pixels[index] @ centres.T
        own = similarity[:, c]
        negatives = similarity.sort(1, descending=True)[0][:, drop:keep]
        logits = torch.cat([own[:, None], negatives], dim=1) / temperature
        nats = torch.logsumexp(logits, 1) - logits[:, 0]
        if chosen is None:
            random = torch.randperm(size, device=index.device)[:half]
        else:
            random = chosen[index].nonzero()[:, 0]
        end = 3 * size // 5
        hard = own.detach().argsort()[end - half : end]
        if half:
            total = total + nats[torch.cat([random, hard])].mean()
    return total / len(present)


def anchors(labels, wrong, *, most: int, views: int):
    """Cells [A] of the B P and classes [A] of anchors, image by image.

    Args:
        labels: [B, P] class of each cell or IGNORE.
        wrong: [B, P] bool, cells that the classifier mispredicts.
        most: anchors in all.
        views: anchors of an image and class; those with no more cells take no part.
    """
    pairs = [
        (b, c)
        for b, row in enumerate(labels)
        for c in row.unique().tolist()
        if c != IGNORE and (row == c).sum() > views
    ]
    each = min(most // max(len(pairs), 1), views)
    cells, classes = [], []
    for b, c in pairs:
        here = labels[b] == c
        hard = (here & wrong[b]).nonzero()[:, 0]
        easy = (here & ~wrong[b]).nonzero()[:, 0]
        first = min(max(each // 2, each - len(easy)), len(hard))
        for index, number in ((hard, first), (easy, each - first)):
            taken = index[torch.randperm(len(index), device=index.device)[:number]]
            cells.append(taken + b * labels.shape[1])
            classes += [c] * number
    return torch.cat(cells), torch.tensor(classes, device=labels.device)


def contrast(x, labels, *, temperature: float, base: float):
    """The contrast of anchors [A, D] with each other, anchor by class."""
    similarity = x @ x.T / temperature
    total, used = 0.0, 0
    for c in labels.unique().tolist():
        same = labels == c
        rows = similarity[same]
        negatives = torch.logsumexp(rows[:, ~same], dim=1, keepdim=True)
        nats = F.softplus(negatives - rows[:, same])
        number = len(nats)
        if number > 1:
            others = nats.sum() - nats.diagonal().sum()
            total, used = total + others / (number - 1), used + number
    return temperature / base * total / max(used, 1)


@torch.no_grad()
def remember(bank: dict, pixels: dict, keys, labels, most: int) -> None:
    """Pushes the mean and up to `most` vectors of each image and class, in place.

    Args:
        bank: "slots" [C, M, D] and "next", C numbers, for the means.
        pixels: the same for single vectors.
        keys: [B, P, D].
        labels: [B, P] class of each cell or IGNORE.
        most: vectors of an image and class.
    """
    for b, row in enumerate(labels):
        for c in row.unique().tolist():
            if c == IGNORE:
                continue
            own = keys[b, row == c]
            _push(bank, c, F.normalize(own.mean(0), dim=0)[None])
            draw = torch.randperm(len(own), device=own.device)[:most]
            _push(pixels, c, own[draw])


def _push(bank, c, vectors):
    size = bank["slots"].shape[1]
    for vector in vectors:
        bank["slots"][c, bank["next"][c]] = vector
        bank["next"][c] = (bank["next"][c] + 1) % size
