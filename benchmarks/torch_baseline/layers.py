"""What the networks share: normalised photos, precision, blocks of ResNets."""

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F


def conv(inputs: int, outputs: int, kernel: int = 3, stride: int = 1, **settings):
    """A convolution without bias, padded so that only the stride shrinks the map."""
    padding = settings.get("dilation", 1) * (kernel // 2)
    bias = settings.pop("bias", False)
    return nn.Conv2d(
        inputs, outputs, kernel, stride, padding=padding, bias=bias, **settings
    )


def full_precision(x: torch.Tensor):
    """Context without autocast: classifiers, projections and losses are float32."""
    return torch.autocast(x.device.type, enabled=False)


def resize(x: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    """[B, D, h, w] resized bilinearly with aligned corners to rows and columns."""
    if tuple(x.shape[2:]) == tuple(size):
        return x
    return F.interpolate(x, tuple(size), mode="bilinear", align_corners=True)


class Normalize(nn.Module):
    """8-bit photos [..., 3, H, W] to network inputs.

    mean: mean of RGB in [0, 1].
    std: deviation of RGB.
    """

    def __init__(
        self, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225), dtype=torch.float32
    ):
        super().__init__()
        for name, values in (("mean", mean), ("std", std)):
            values = torch.tensor(values, dtype=dtype).view(3, 1, 1)
            self.register_buffer(name, values, persistent=False)

    def forward(self, x):
        return (x.to(self.mean.dtype) / 255.0 - self.mean) / self.std


class BasicBlock(nn.Module):
    """Two 3x3 convolutions around the identity."""

    def __init__(self, width: int):
        super().__init__()
        self.conv1, self.bn1 = conv(width, width), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = conv(width, width), nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        y = self.relu(self.bn1(self.conv1(x)))
        return self.relu(self.bn2(self.conv2(y)) + x)


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions around a shortcut.

    inputs: channels of the input.
    width: channels between the convolutions; the output has four times as many.
    stride: step of the 3x3 convolution and of the shortcut.
    dilation: spacing of the taps of the 3x3 convolution.
    """

    def __init__(self, inputs: int, width: int, stride: int = 1, dilation: int = 1):
        super().__init__()
        outputs = 4 * width
        self.conv1, self.bn1 = conv(inputs, width, 1), nn.BatchNorm2d(width)
        self.conv2 = conv(width, width, 3, stride, dilation=dilation)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3, self.bn3 = conv(width, outputs, 1), nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                conv(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs)
            )

    def forward(self, x):
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        shortcut = x if self.downsample is None else self.downsample(x)
        return self.relu(self.bn3(self.conv3(y)) + shortcut)
