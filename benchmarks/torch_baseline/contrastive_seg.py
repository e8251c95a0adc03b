"""ContrastiveSeg on HRNet-W48, anchors of a batch against each other.

Arithmetic is that of `ppcjax.methods.contrastive_seg`. No step waits for the device:
shapes don't depend on how many anchors there are.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.torch_baseline.hrnet import HRNetContrast
from benchmarks.torch_baseline.layers import Normalize, full_precision, resize

IGNORE = 255


class Anchors(NamedTuple):
    """At most S chosen cells, view by view.

    cell: [S] index into the B P cells.
    label: [S] class; IGNORE in rows that hold no anchor.
    hard: [B, C] hard anchors of each image and class, where it takes part.
    """

    cell: torch.Tensor
    label: torch.Tensor
    hard: torch.Tensor


def select(labels, wrong, num_classes: int, *, most: int, views: int) -> Anchors:
    """Anchors of each image and class that has more than `views` cells.

    Args:
        labels: [B, P] class of each cell or IGNORE.
        wrong: [B, P] bool, cells that the classifier mispredicts.
        num_classes: C.
        most: S >= B C, anchors in all.
        views: anchors of an image and class.
    """
    images, cells = labels.shape
    slot = torch.where(labels == IGNORE, num_classes, labels)
    wrong = wrong & (labels != IGNORE)
    count = labels.new_zeros(images, num_classes + 1)
    sizes = count.scatter_add(1, slot, torch.ones_like(slot))[:, :-1]
    hard = count.scatter_add(1, slot, wrong.long())[:, :-1]
    kept = (sizes > views).flatten()
    pairs = kept.sum()
    each = (most // pairs.clamp_min(1)).clamp_max(views)
    first = torch.minimum(torch.maximum(each // 2, each - (sizes - hard)), hard)

    # Sorted by class, hard cells first, at random beyond that.
    draw = torch.rand(slot.shape, device=slot.device)
    order = torch.argsort(2.0 * slot + (~wrong) + draw, dim=1)
    row = torch.arange(most, device=slot.device)
    view, number = row // pairs.clamp_min(1), row % pairs.clamp_min(1)
    # Those that take part first, in their order.
    pair = torch.argsort(kept.logical_not().to(torch.uint8), stable=True)[number]
    image, label = pair // num_classes, pair % num_classes
    start = (sizes.cumsum(1) - sizes).flatten()[pair]
    skipped = torch.where(
        view < first.flatten()[pair], 0, (hard - first).flatten()[pair]
    )
    taken = row < pairs * each
    place = torch.where(taken, start + view + skipped, 0)
    cell = torch.where(taken, image * cells + order[image, place], 0)
    return Anchors(cell, torch.where(taken, label, IGNORE), first)


def contrast(x, labels, *, temperature: float, base: float):
    """The contrast of anchors [S, D] with each other; labels [S], IGNORE for none."""
    similarity = x @ x.T / temperature
    known = labels != IGNORE
    same = labels[:, None] == labels[None]
    own = torch.eye(len(labels), dtype=torch.bool, device=x.device)
    negative = known & ~same
    logits = similarity.masked_fill(~negative, -1e9)
    nats = F.softplus(torch.logsumexp(logits, dim=1)[:, None] - similarity)
    positive = (known & same & ~own).to(x.dtype)
    count = positive.sum(1)
    rows = (nats * positive).sum(1) / count.clamp_min(1)
    used = (known & (count > 0)).to(x.dtype)
    return temperature / base * (rows * used).sum() / used.sum().clamp_min(1e-12)


class ContrastiveSeg(nn.Module):
    """The network and the loss.

    settings: those of the config's method.
    num_classes: C.
    width: channels of the finest branch.
    """

    def __init__(self, settings: Mapping[str, Any], num_classes: int, *, width=48):
        super().__init__()
        self.settings, self.num_classes = settings, num_classes
        self.normalize = Normalize()
        self.net = HRNetContrast(num_classes, settings["projection_dim"], width=width)
        weights = settings["class_weights"] or (1.0,) * num_classes
        self.register_buffer("weights", torch.tensor(weights), persistent=False)

    def groups(self) -> list[dict[str, Any]]:
        """Parameters by the factor of their rate."""
        return [{"params": list(self.net.parameters()), "factor": 1.0}]

    def before(self, step: int) -> None:
        """Nothing to do before a step."""

    def compile(self) -> None:
        """Compiles network and loss."""
        self.net.compile()
        self.loss = torch.compile(self.loss)

    def anchors(self, logits, labels) -> Anchors:
        """Anchors by scores [B, C, h, w] and labels [B, P]."""
        wrong = logits.detach().argmax(1).flatten(1) != labels
        return select(
            labels,
            wrong,
            self.num_classes,
            most=self.settings["max_anchors"],
            views=self.settings["max_views"],
        )

    def loss(self, logits, embedding, mask, found: Anchors | None = None):
        """Cross-entropy and contrast of scores, embeddings and mask [B, H, W]."""
        whole = resize(logits, mask.shape[1:])
        nats = F.cross_entropy(whole, mask, self.weights, ignore_index=IGNORE)
        step = [n // m for n, m in zip(mask.shape[1:], logits.shape[2:], strict=True)]
        labels = mask[:, :: step[0], :: step[1]].flatten(1)
        found = found or self.anchors(logits, labels)
        cells = embedding.permute(0, 2, 3, 1).flatten(0, 2)
        of_batch = contrast(
            cells[found.cell],
            found.label,
            temperature=self.settings["temperature"],
            base=self.settings["base_temperature"],
        )
        return nats + self.settings["weight"] * of_batch

    def forward(self, batch):
        """The loss of "image" [B, 3, H, W] and "mask" [B, H, W]."""
        logits, embedding = self.net(self.normalize(batch["image"]))
        with full_precision(logits):
            return self.loss(logits, embedding, batch["mask"])
