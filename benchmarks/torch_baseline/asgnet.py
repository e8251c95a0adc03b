"""ASGNet on a deep-stem ResNet-50, one class an episode, as `ppcjax.methods.asgnet`.

The backbone is frozen: it runs under no_grad, in passes of its own for the queries and
for each shot, with batch statistics. Supports need no gradient at all.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.torch_baseline import superpixels
from benchmarks.torch_baseline.layers import Normalize, conv, full_precision, resize
from benchmarks.torch_baseline.resnet import DilatedResNet50

IGNORE = 255


def classifier(width: int, dropout: float) -> nn.Sequential:
    """A 3x3 convolution, ReLU, drop-out of channels and a 1x1 one to two classes."""
    return nn.Sequential(
        conv(width, width),
        nn.ReLU(inplace=True),
        nn.Dropout2d(dropout),
        conv(width, 2, 1, bias=True),
    )


def pointwise(inputs: int, width: int) -> nn.Sequential:
    """A 1x1 convolution and ReLU."""
    return nn.Sequential(conv(inputs, width, 1), nn.ReLU(inplace=True))


def refinement(width: int) -> nn.Sequential:
    """Two 3x3 convolutions, each with ReLU."""
    relu = nn.ReLU(inplace=True)
    return nn.Sequential(conv(width, width), relu, conv(width, width), relu)


class Net(nn.Module):
    """Backbone, reduction and context module.

    scales: sizes of the levels: cells of a square, or shares of the grid.
    width: channels after the reduction.
    dropout: rate of reduced channels.
    classifier_dropout: rate before each classifier.
    """

    def __init__(self, scales, *, width=256, dropout=0.5, classifier_dropout=0.1):
        super().__init__()
        self.scales = tuple(scales)
        self.backbone = DilatedResNet50()
        self.backbone.requires_grad_(False)
        self.down_conv = nn.Sequential(conv(1536, width, 1), nn.Dropout2d(dropout))
        levels = range(len(self.scales))
        self.corr_conv = nn.ModuleList(pointwise(2 * width + 1, width) for _ in levels)
        self.alpha_conv = nn.ModuleList(pointwise(2 * width, width) for _ in levels[1:])
        self.beta_conv = nn.ModuleList(refinement(width) for _ in levels)
        self.inner_cls = nn.ModuleList(
            classifier(width, classifier_dropout) for _ in levels
        )
        self.res1 = pointwise(len(self.scales) * width, width)
        self.res2 = refinement(width)
        self.cls = classifier(width, classifier_dropout)

    def encode(self, image):
        """Normalised photos [B, 3, H, W] to features [B, D, h, w]."""
        with torch.no_grad():
            second, third = self.backbone(image)
            maps = torch.cat([third, second], 1)
        return self.down_conv(maps)

    def decode(self, features, guide, prior):
        """Scores [B, 2, h, w] and those of the levels, of query, guide and prior."""
        size = features.shape[2:]
        both = torch.cat([features, guide.to(features.dtype)], 1)
        outputs, levels = [], []
        for i, scale in enumerate(self.scales):
            small = (scale, scale)
            if not isinstance(scale, int):
                small = tuple(max(1, int(n * scale)) for n in size)
            pooled = F.adaptive_avg_pool2d(both, small)
            u = torch.cat([pooled, resize(prior, small).to(pooled.dtype)], 1)
            u = self.corr_conv[i](u)
            if i > 0:
                larger = resize(outputs[-1], small)
                u = u + self.alpha_conv[i - 1](torch.cat([u, larger], 1))
            u = u + self.beta_conv[i](u)
            levels.append(self.inner_cls[i](u))
            outputs.append(resize(u, size))
        v = self.res1(torch.cat(outputs, 1))
        return self.cls(v + self.res2(v)), levels


class ASGNet(nn.Module):
    """The network and the loss.

    settings: those of the config's method.
    num_classes: nothing depends on it.
    net: the network; None: as the settings say.
    """

    def __init__(self, settings: Mapping[str, Any], num_classes: int = 0, *, net=None):
        super().__init__()
        del num_classes
        self.settings = settings
        self.normalize = Normalize()
        self.net = net or Net(
            settings["head_settings"]["scales"],
            width=settings["width"],
            dropout=settings["dropout"],
        )

    def groups(self) -> list[dict[str, Any]]:
        """Parameters by the factor of their rate: all but the backbone's."""
        moving = [p for p in self.parameters() if p.requires_grad]
        return [{"params": moving, "factor": 1.0}]

    def before(self, step: int) -> None:
        """Nothing to do before a step."""

    def compile(self) -> None:
        """Compiles network, prototypes and loss."""
        for name in ("encode", "decode"):
            setattr(self.net, name, torch.compile(getattr(self.net, name)))
        for name in ("learn", "loss"):
            setattr(self, name, torch.compile(getattr(self, name)))

    @torch.no_grad()
    def learn(self, features, mask, valid):
        """Prototypes [B, K S, D] of all shots, and which exist [B, K S].

        Args:
            features: maps [B, D, h, w] of each shot.
            mask: [B, K, H, W].
            valid: [B, K] bool, shots that count.
        """
        stacked = torch.stack(features, 1).flatten(0, 1).float()
        centres, found = superpixels.prototypes(
            stacked, mask.flatten(0, 1), self.settings
        )
        found = found & valid.reshape(-1, 1)
        rows = len(valid)
        return centres.reshape(rows, -1, centres.shape[-1]), found.reshape(rows, -1)

    def loss(self, logits, levels, mask):
        """Cross-entropy of scores, and a share of the mean of those of the levels."""
        nats, *others = (
            F.cross_entropy(
                resize(x.float(), mask.shape[1:]), mask, ignore_index=IGNORE
            )
            for x in (logits, *levels)
        )
        return nats, self.settings["auxiliary"] * sum(others) / len(others)

    def terms(self, query, shots, batch):
        """Both parts of the loss.

        Args:
            query: normalised queries [B, 3, H, W].
            shots: normalised supports, K of [B, 3, H, W].
            batch: "support_mask" [B, 1, K, H, W], "shot_valid" [B, 1, K] and
                "query_mask" [B, 1, H, W] are read.
        """
        features = self.net.encode(query)
        with torch.no_grad():
            supports = [self.net.encode(shot) for shot in shots]
        with full_precision(query):
            learnt = self.learn(
                supports, batch["support_mask"][:, 0], batch["shot_valid"][:, 0]
            )
            found = superpixels.allocate(
                features.float(), *learnt, prior=self.settings["prior"]
            )
        logits, levels = self.net.decode(features, *found)
        with full_precision(query):
            return self.loss(logits, levels, batch["query_mask"][:, 0])

    def forward(self, batch):
        """The loss of a batch of episodes of one class and one query."""
        layout = torch.channels_last if batch["nhwc"] else torch.contiguous_format

        def photos(image):  # [B, 3, H, W]
            return self.normalize(image).contiguous(memory_format=layout)

        shots = batch["support_image"][:, 0].unbind(1)
        query = photos(batch["query_image"][:, 0])
        return sum(self.terms(query, [photos(shot) for shot in shots], batch))
