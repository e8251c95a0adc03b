"""The losses of SEAM and the contrasts of PPC; the background is class 0.

Arithmetic is that of `ppcjax.methods.seam` and `ppcjax.methods.ppc_terms`.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch.nn import functional as F

from benchmarks.torch_baseline.cam_net import EPSILON, Maps, keep_foreground_max
from benchmarks.torch_baseline.layers import resize


def max_norm(maps):
    """Each map scaled to [0, 1] by its extrema, with gradient."""
    positive = torch.relu(maps)
    high = positive.amax((2, 3), keepdim=True)
    low = positive.amin((2, 3), keepdim=True)
    return torch.relu(positive - low - EPSILON) / (high - low + EPSILON)


def min_pooling(maps, tags, share: float = 0.25):
    """Mean of the quietest share of pixels of maps [B, C, H, W]."""
    strongest = torch.relu(maps * tags[:, :, None, None])[:, 1:].amax(1).flatten(1)
    count = max(1, int(strongest.shape[1] * share))
    return strongest.topk(count, dim=1, largest=False, sorted=False)[0].mean()


def cross_term(teacher, student, share: float = 0.2):
    """Mean of the largest share of differences from the teacher."""
    teacher = teacher.detach()
    rest = 1 - teacher[:, 1:].amax(1, keepdim=True)
    teacher = keep_foreground_max(torch.cat([rest, teacher[:, 1:]], dim=1))
    apart = (teacher - student).abs().flatten(1)
    count = max(1, int(apart.shape[1] * share))
    return apart.topk(count, dim=1, sorted=False)[0].mean()


def seam_terms(outputs: Sequence[Maps], tags, sizes) -> dict[str, torch.Tensor]:
    """Classification, min-pooling and both equivariances of two views."""
    nats, pools, cams, refined = [], [], [], []
    scale = tags[:, :, None, None]
    for output, size in zip(outputs, sizes, strict=True):
        cam, upsampled = resize(output.cam, size), resize(output.refined, size)
        logits = cam.mean((2, 3))[:, 1:]
        nats.append(F.multilabel_soft_margin_loss(logits, tags[:, 1:]))
        pools.append(min_pooling(upsampled, tags))
        cams.append(resize(max_norm(cam), sizes[1]) * scale)
        refined.append(resize(max_norm(upsampled), sizes[1]) * scale)
    crossed = cross_term(cams[1], refined[0]) + cross_term(cams[0], refined[1])
    return {
        "classification": sum(nats) / 2,
        "min_pooling": sum(pools) / 2,
        "equivariance": (cams[0] - cams[1])[:, 1:].abs().mean(),
        "cross_equivariance": crossed,
    }


class View(NamedTuple):
    """A view as the contrasts see it, P pixels in order (n, y, x).

    pixels: [P, D] of unit norm; features: [P, D] before; scores: [P, C] and labels:
    [P], both constant.
    """

    pixels: torch.Tensor
    features: torch.Tensor
    scores: torch.Tensor
    labels: torch.Tensor


def contrast_view(output: Maps, tags, grid, threshold: float) -> View:
    """Pixels, confidences and pseudo labels of a view on a grid."""
    features = resize(output.projection, grid).permute(0, 2, 3, 1).flatten(0, 2)
    positive = torch.relu(resize(output.refined.detach(), grid))
    high = positive.amax((2, 3), keepdim=True)
    low = positive.amin((2, 3), keepdim=True)
    positive = torch.where(positive < low + EPSILON, 0.0, positive)
    scores = (positive - low - EPSILON) / (high - low + EPSILON)
    scores = torch.cat([torch.full_like(scores[:, :1], threshold), scores[:, 1:]], 1)
    labels = (scores * tags[:, :, None, None]).argmax(1).flatten()
    scores = scores.permute(0, 2, 3, 1).flatten(0, 2)
    return View(F.normalize(features, dim=1), features, scores, labels)


@torch.no_grad()
def prototypes(view: View, top):
    """[C, D] unit means of the pixels `top` [C, K], weighted by confidence."""
    weights = view.scores.T.gather(1, top)
    total = weights.sum(1, keepdim=True)
    total = torch.where(total.abs() < 1e-12, 1e-12, total)
    means = torch.einsum("ck,ckd->cd", weights, view.features[top]) / total
    return F.normalize(means, dim=1)


def nce(pixels, labels, centres, temperature: float):
    """Cross-entropy of each pixel against one prototype a class."""
    return F.cross_entropy(pixels @ centres.T / temperature, labels)


def rank_in_class(labels, by, sizes):
    """Rank of each pixel among its class by increasing `by`, and its class's size."""
    order = torch.argsort(by)
    order = order[torch.argsort(labels[order], stable=True)]
    place = torch.empty_like(order)
    place[order] = torch.arange(len(order), device=order.device)
    return place - (sizes.cumsum(0) - sizes)[labels], sizes[labels]


def intra(view: View, centres, chosen, temperature: float):
    """Contrast against semi-hard prototypes, over random and hard pixels.

    Args:
        view: the view.
        centres: [C, D] its prototypes.
        chosen: [P] bool, the random half of each class; None: drawn here.
        temperature: t.
    """
    classes, labels = len(centres), view.labels
    drop = math.ceil(0.1 * classes)
    keep = max(math.ceil(0.6 * classes), drop + 1)
    similarity = view.pixels @ centres.T
    own = similarity.gather(1, labels[:, None])
    negatives = similarity.topk(min(keep, classes), dim=1)[0][:, drop:]
    logits = torch.cat([own, negatives], dim=1) / temperature
    nats = torch.logsumexp(logits, 1) - logits[:, 0]

    sizes = labels.new_zeros(classes).scatter_add(0, labels, torch.ones_like(labels))
    if chosen is None:
        draw = torch.rand(labels.shape, device=labels.device)
        rank, size = rank_in_class(labels, draw, sizes)
        chosen = rank < size // 2
    rank, size = rank_in_class(labels, own[:, 0].detach(), sizes)
    end = 3 * size // 5
    hard = (rank >= end - size // 2) & (rank < end)
    weights = chosen.to(nats.dtype) + hard
    empty = nats.new_zeros(classes)
    total = empty.scatter_add(0, labels, weights * nats)
    count = empty.scatter_add(0, labels, weights)
    return (total / count.clamp_min(1)).sum() / (sizes > 0).sum().clamp_min(1)


def contrasts(views: Sequence[View], *, temperature, top=None, chosen=(None, None)):
    """The three contrasts of two views.

    Args:
        views: both, pixel for pixel the same places.
        temperature: t.
        top: for each view [C, K] pixels of the prototypes; an int: so many of the
            most confident.
        chosen: for each view the random half, see `intra`.
    """
    if isinstance(top, int):
        top = [view.scores.T.topk(top, dim=1)[1] for view in views]
    (one, two), t = views, temperature
    first, second = (prototypes(v, x) for v, x in zip(views, top, strict=True))
    own = nce(one.pixels, one.labels, second, t) + nce(two.pixels, two.labels, first, t)
    other = nce(one.pixels, two.labels, first, t)
    other = other + nce(two.pixels, one.labels, second, t)
    inner = intra(one, first, chosen[0], t) + intra(two, second, chosen[1], t)
    return {
        "cross_prototype": own / 2,
        "cross_cam": other / 2,
        "intra": inner / 2,
    }
