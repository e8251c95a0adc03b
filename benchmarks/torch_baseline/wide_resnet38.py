"""WideResNet-38 with the heads of SEAM and PPC, under the published names.

Normalisation has stored statistics in training, too, and is never trained.
"""

import torch
from torch import nn

from benchmarks.torch_baseline.cam_net import CamNet
from benchmarks.torch_baseline.layers import conv


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


class WideResNet38(CamNet):
    """The network of PPC as published.

    num_classes: C, the background included, which is first.
    projection: D.
    affinity: channels of both reduced endpoints and of their mixture.
    dropout: rates in the two last blocks and on the embedding.
    centred: whether features lose their mean before they are correlated.
    """

    def __init__(
        self,
        num_classes: int,
        projection: int = 128,
        affinity=(64, 128, 192),
        dropout=(0.3, 0.5, 0.5),
        centred: bool = False,
    ):
        widths = (512, 1024, 4096)
        super().__init__(num_classes, widths, projection, affinity, dropout[2], centred)
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

    def _add(self, name, block):
        self.names.append(name)
        setattr(self, name, block)

    def endpoints(self, image):
        """Activations of the fifth and the sixth stage, and the embedding."""
        x, active = self.conv1a(image), {}
        for name in self.names:
            x, active[name] = getattr(self, name)(x)
        return active["b5"], active["b6"], torch.relu(self.bn7(x))
