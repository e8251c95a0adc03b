"""WideResNet-38 with the heads of SEAM and PPC, under the published names.

Normalisation has stored statistics in training, too, and is never trained.
"""

from typing import NamedTuple

import torch
from torch import nn

from benchmarks.torch_baseline.layers import conv, full_precision, resize

EPSILON = 1e-5


class FrozenNorm(nn.BatchNorm2d):
    """Normalisation by stored statistics."""

    def __init__(self, width: int):
        super().__init__(width)
        self.requires_grad_(False)

    def train(self, mode: bool = True):
        """Stays in evaluation."""
        return super().train(False)


class PlainBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut, after a shared pre-activation."""

    def __init__(self, inputs, mid, outputs, stride=1, first_dilation=1, dilation=1):
        super().__init__()
        self.bn_branch2a = FrozenNorm(inputs)
        self.conv_branch2a = conv(inputs, mid, 3, stride, dilation=first_dilation)
        self.bn_branch2b1 = FrozenNorm(mid)
        self.conv_branch2b1 = conv(mid, outputs, 3, dilation=dilation)
        self.conv_branch1 = None
        if inputs != outputs or stride != 1:
            self.conv_branch1 = conv(inputs, outputs, 1, stride)

    def forward(self, x):
        active = torch.relu(self.bn_branch2a(x))
        shortcut = x if self.conv_branch1 is None else self.conv_branch1(active)
        y = torch.relu(self.bn_branch2b1(self.conv_branch2a(active)))
        return shortcut + self.conv_branch2b1(y), active


class BottleneckBlock(nn.Module):
    """1x1, dilated 3x3 and 1x1 convolutions with channel drop-out between them."""

    def __init__(self, inputs: int, outputs: int, dilation: int, dropout: float):
        super().__init__()
        self.bn_branch2a = FrozenNorm(inputs)
        self.conv_branch1 = conv(inputs, outputs, 1)
        self.conv_branch2a = conv(inputs, outputs // 4, 1)
        self.bn_branch2b1 = FrozenNorm(outputs // 4)
        self.conv_branch2b1 = conv(outputs // 4, outputs // 2, 3, dilation=dilation)
        self.bn_branch2b2 = FrozenNorm(outputs // 2)
        self.conv_branch2b2 = conv(outputs // 2, outputs, 1)
        self.dropout = nn.Dropout2d(dropout)

    def forward(self, x):
        active = torch.relu(self.bn_branch2a(x))
        y = self.conv_branch2a(active)
        y = self.dropout(torch.relu(self.bn_branch2b1(y)))
        y = self.dropout(torch.relu(self.bn_branch2b2(self.conv_branch2b1(y))))
        return self.conv_branch1(active) + self.conv_branch2b2(y), active


class Maps(NamedTuple):
    """What the network says of a view: [B, C, h, w] twice, and [B, D, h, w]."""

    cam: torch.Tensor
    refined: torch.Tensor
    projection: torch.Tensor


def keep_foreground_max(x: torch.Tensor) -> torch.Tensor:
    """Zeroes foreground channels below the strongest; the background is first."""
    background, rest = x[:, :1], x[:, 1:]
    rest = torch.where(rest == rest.amax(1, keepdim=True), rest, 0.0)
    return torch.cat([background, rest], dim=1)


def clean(cam: torch.Tensor) -> torch.Tensor:
    """Raw maps to a distribution of two classes a pixel, without gradient."""
    positive = torch.relu(cam.detach())
    top = positive.amax((2, 3), keepdim=True) + EPSILON
    rest = torch.relu(positive - EPSILON)[:, 1:] / top[:, 1:]
    background = 1 - rest.amax(1, keepdim=True)
    return keep_foreground_max(torch.cat([background, rest], dim=1))


def correlate(maps: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
    """Maps [B, C, h, w] as means over the pixels of similar features."""
    z = features.flatten(2)
    z = z / (z.norm(dim=1, keepdim=True) + EPSILON)
    affinity = torch.relu(z.transpose(1, 2) @ z)
    affinity = affinity / (affinity.sum(1, keepdim=True) + EPSILON)
    return (maps.flatten(2) @ affinity).view_as(maps)


class CamNet(nn.Module):
    """The network of PPC.

    num_classes: C, the background included, which is first.
    projection: D.
    affinity: channels of both reduced endpoints and of their mixture.
    dropout: rates in the two last blocks and on the embedding.
    """

    def __init__(
        self,
        num_classes: int,
        projection: int = 128,
        affinity=(64, 128, 192),
        dropout=(0.3, 0.5, 0.5),
    ):
        super().__init__()
        self.conv1a = conv(3, 64)
        inputs, self.names = 64, []
        for stage, outputs, repeats in ((2, 128, 2), (3, 256, 2), (4, 512, 5)):
            self._add(f"b{stage}", PlainBlock(inputs, outputs, outputs, 2))
            for i in range(1, repeats + 1):
                self._add(f"b{stage}_{i}", PlainBlock(outputs, outputs, outputs))
            inputs = outputs
        self._add("b5", PlainBlock(512, 512, 1024, dilation=2))
        for i in (1, 2):
            self._add(f"b5_{i}", PlainBlock(1024, 512, 1024, 1, 2, 2))
        self._add("b6", BottleneckBlock(1024, 2048, 4, dropout[0]))
        self._add("b7", BottleneckBlock(2048, 4096, 4, dropout[1]))
        self.bn7 = FrozenNorm(4096)
        self.dropout = nn.Dropout2d(dropout[2])
        self.fc8 = conv(4096, num_classes, 1)
        self.fc_proj = conv(4096, projection, 1)
        self.f8_3, self.f8_4 = conv(512, affinity[0], 1), conv(1024, affinity[1], 1)
        self.f9 = conv(3 + affinity[0] + affinity[1], affinity[2], 1)

    def _add(self, name, block):
        self.names.append(name)
        setattr(self, name, block)

    def forward(self, image):
        """Maps of normalised images [B, 3, H, W] at an eighth of the size."""
        x, active = self.conv1a(image), {}
        for name in self.names:
            x, active[name] = getattr(self, name)(x)
        embedding = torch.relu(self.bn7(x))
        with full_precision(image):
            wide = self.fc8.weight.dtype
            return self._heads(
                embedding.to(wide),
                active["b5"].detach().to(wide),
                active["b6"].detach().to(wide),
                image.to(wide),
            )

    def _heads(self, embedding, low, high, image):
        embedding = self.dropout(embedding)
        projection = torch.relu(self.fc_proj(embedding))
        cam = self.fc8(embedding)
        low, high = torch.relu(self.f8_3(low)), torch.relu(self.f8_4(high))
        pixels = resize(image, cam.shape[2:])
        mixed = self.f9(torch.cat([pixels, low, high], dim=1))
        return Maps(cam, correlate(clean(cam), mixed), projection)
