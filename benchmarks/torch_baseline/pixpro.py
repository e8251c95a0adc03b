"""PixPro on ResNet-50: two views, a momentum network, pixel propagation.

Arithmetic and names are those of `ppcjax.methods.pixpro` and its recorded numbers.
"""

import copy
import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.torch_baseline.layers import Normalize, full_precision
from benchmarks.torch_baseline.resnet import ResNet50


class Projector(nn.Module):
    """1x1 convolution, normalisation, ReLU, 1x1 convolution."""

    def __init__(self, inputs: int, hidden: int, outputs: int):
        super().__init__()
        self.linear1 = nn.Conv2d(inputs, hidden, 1)
        self.bn1 = nn.BatchNorm2d(hidden)
        self.relu = nn.ReLU(inplace=True)
        self.linear2 = nn.Conv2d(hidden, outputs, 1)

    def forward(self, x):
        return self.linear2(self.relu(self.bn1(self.linear1(x))))


def centres(box: torch.Tensor, height: int, width: int):
    """Centres [B, P, 2] of the cells of crops [B, 4], and diagonals [B] of a cell."""
    start, end = box[:, :2], box[:, 2:]
    cell = (end - start) / box.new_tensor([[width, height]])
    row = torch.arange(height, device=box.device).repeat_interleave(width)
    column = torch.arange(width, device=box.device).repeat(height)
    place = torch.stack([column, row], dim=-1) + 0.5
    return place[None] * cell[:, None] + start[:, None], cell.norm(dim=-1)


def pairs(boxes: torch.Tensor, size: tuple[int, int], threshold: float):
    """Which cells of two crops [B, 2, 4] show the same place: [B, P, P] bool."""
    first, diagonal = centres(boxes[:, 0], *size)
    second, other = centres(boxes[:, 1], *size)
    unit = torch.maximum(diagonal, other).clamp_min(1e-12)
    return torch.cdist(first, second) / unit[:, None, None] < threshold


class PixPro(nn.Module):
    """The online network, the target network and the loss.

    settings: those of the config's method.
    width: channels of the stem.
    """

    def __init__(self, settings: Mapping[str, Any], num_classes: int = 0, *, width=64):
        super().__init__()
        del num_classes  # photos have none here
        self.settings = settings
        self.normalize = Normalize()
        hidden, outputs = settings["projector"]
        self.encoder = ResNet50(width)
        self.projector = Projector(self.encoder.features, hidden, outputs)
        self.value_transform = nn.Conv2d(outputs, outputs, 1)
        self.encoder_k = copy.deepcopy(self.encoder).requires_grad_(False)
        self.projector_k = copy.deepcopy(self.projector).requires_grad_(False)

    def groups(self) -> list[dict[str, Any]]:
        """Parameters by the factor of their rate."""
        moving = [p for p in self.parameters() if p.requires_grad]
        return [{"params": moving, "factor": 1.0}]

    @torch.no_grad()
    def before(self, step: int) -> None:
        """Moves the target network towards the online one; at step 0 it is a copy."""
        start, steps = self.settings["momentum"], self.settings["momentum_steps"]
        share = min(step, steps) / steps
        momentum = 1 - (1 - start) * (math.cos(math.pi * share) + 1) / 2
        momentum = momentum if step else 0.0
        for own, slow in (
            (self.encoder, self.encoder_k),
            (self.projector, self.projector_k),
        ):
            slow, own = list(slow.parameters()), list(own.parameters())
            torch._foreach_mul_(slow, momentum)
            torch._foreach_add_(slow, own, alpha=1 - momentum)

    def compile(self) -> None:
        """Compiles networks and loss; either network serves both views."""
        for name in ("online", "target", "loss"):
            setattr(self, name, torch.compile(getattr(self, name)))

    def online(self, view):
        """Projections and values [B, E, h, w] of a view."""
        projection = self.projector(self.encoder(view))
        return projection, self.value_transform(projection)

    @torch.no_grad()
    def target(self, view):
        """Projections [B, E, h, w] of the target network, without gradient."""
        return self.projector_k(self.encoder_k(view))

    def propagate(self, projection, value):
        """Unit vectors [B, E, P]: sums of the values of similar cells."""
        x = F.normalize(projection.flatten(2), dim=1)
        value = F.normalize(value.flatten(2), dim=1)
        similarity = x.transpose(1, 2) @ x  # [B, P, P]
        similarity = similarity.clamp_min(self.settings["clamp"])
        weights = similarity ** self.settings["power"]
        return F.normalize(value @ weights.transpose(1, 2), dim=1)

    def loss(self, online, keys, boxes):
        """The negative cosines of pairs, in both directions; [] float32 or wider."""
        size = keys[0].shape[2:]
        is_pair = pairs(boxes, size, self.settings["threshold"])
        is_pair = is_pair.to(keys[0].dtype)
        queries = [self.propagate(*maps) for maps in online]
        keys = [F.normalize(key.flatten(2), dim=1) for key in keys]
        total = 0.0
        for i, mask in enumerate((is_pair, is_pair.transpose(1, 2))):
            cosines = queries[i].transpose(1, 2) @ keys[1 - i]
            count = mask.sum((1, 2)) + 1e-6
            total = total - 2 * ((cosines * mask).sum((1, 2)) / count).mean()
        return total

    def forward(self, batch):
        """The loss of "image" [B, 2, 3, H, W] and "box" [B, 2, 4]."""
        views = self.normalize(batch["image"]).unbind(1)
        layout = torch.channels_last if batch["nhwc"] else torch.contiguous_format
        views = [view.contiguous(memory_format=layout) for view in views]
        online = [self.online(view) for view in views]
        keys = [self.target(view) for view in views]
        with full_precision(batch["image"]):
            wide = self.normalize.mean.dtype
            online = [[x.to(wide) for x in maps] for maps in online]
            return self.loss(online, [x.to(wide) for x in keys], batch["box"])
