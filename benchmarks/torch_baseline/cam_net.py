"""The network of SEAM and PPC but for its backbone, under the published names."""

from typing import NamedTuple

import torch
from torch import nn

from benchmarks.torch_baseline.layers import conv, full_precision, resize

EPSILON = 1e-5


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
    """Classifier, projector and pixel correlation on a backbone.

    A backbone is a subclass with `endpoints`: of normalised images [B, 3, H, W] the two
    maps that the correlation reads, and the embedding, all on one grid.

    num_classes: C, the background included, which is first.
    widths: channels of the three endpoints.
    projection: D.
    affinity: channels of both reduced endpoints and of their mixture.
    dropout: rate on the embedding.
    centred: whether the mixture loses its mean before pixels are compared.
    """

    def __init__(self, num_classes, widths, projection, affinity, dropout, centred):
        super().__init__()
        low, high, embedding = widths
        self.dropout, self.centred = nn.Dropout2d(dropout), centred
        self.fc8 = conv(embedding, num_classes, 1)
        self.fc_proj = conv(embedding, projection, 1)
        self.f8_3, self.f8_4 = conv(low, affinity[0], 1), conv(high, affinity[1], 1)
        self.f9 = conv(3 + affinity[0] + affinity[1], affinity[2], 1)

    def endpoints(self, image) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """What the heads read of normalised images."""
        raise NotImplementedError

    def forward(self, image):
        """Maps of normalised images [B, 3, H, W] at an eighth of the size."""
        low, high, embedding = self.endpoints(image)
        with full_precision(image):
            wide = self.fc8.weight.dtype
            return self._heads(
                embedding.to(wide),
                low.detach().to(wide),
                high.detach().to(wide),
                image.to(wide),
            )

    def _heads(self, embedding, low, high, image):
        embedding = self.dropout(embedding)
        projection = torch.relu(self.fc_proj(embedding))
        cam = self.fc8(embedding)
        low, high = torch.relu(self.f8_3(low)), torch.relu(self.f8_4(high))
        pixels = resize(image, cam.shape[2:])
        mixed = self.f9(torch.cat([pixels, low, high], dim=1))
        if self.centred:
            mixed = mixed - mixed.mean((2, 3), keepdim=True)
        return Maps(cam, correlate(clean(cam), mixed), projection)
