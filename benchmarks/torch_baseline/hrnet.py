"""HRNetV2-W48 and its segmenter with a projection head, under openseg's names."""

import torch
from torch import nn

from benchmarks.torch_baseline.layers import (
    BasicBlock,
    Bottleneck,
    conv,
    full_precision,
    resize,
)

MODULES, BLOCKS = (1, 4, 3), 4


def layer(inputs: int, outputs: int, kernel: int, stride: int = 1, *, relu=True):
    """A convolution, a normalisation and maybe a ReLU."""
    parts = [conv(inputs, outputs, kernel, stride), nn.BatchNorm2d(outputs)]
    return nn.Sequential(*parts, *([nn.ReLU(inplace=True)] if relu else []))


class Exchange(nn.Module):
    """Basic blocks on each branch, then every branch to every.

    widths: channels of the branches, from fine to coarse.
    """

    def __init__(self, widths: list[int]):
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Sequential(*(BasicBlock(width) for _ in range(BLOCKS)))
            for width in widths
        )
        count = range(len(widths))
        self.fuse_layers = nn.ModuleList(
            nn.ModuleList(self._bring(widths, source, target) for source in count)
            for target in count
        )

    @staticmethod
    def _bring(widths, source, target):
        if source == target:
            return nn.Identity()
        if source > target:
            return layer(widths[source], widths[target], 1, relu=False)
        steps = []
        for level in range(source, target):
            last = level == target - 1
            outputs = widths[target] if last else widths[source]
            steps.append(layer(widths[source], outputs, 3, 2, relu=not last))
        return nn.Sequential(*steps)

    def forward(self, branches):
        branches = [run(x) for run, x in zip(self.branches, branches, strict=True)]
        fused = []
        for target, bring in enumerate(self.fuse_layers):
            size = branches[target].shape[2:]
            brought = [f(x) for f, x in zip(bring, branches, strict=True)]
            fused.append(torch.relu(sum(resize(x, size) for x in brought)))
        return fused


class HRNet(nn.Module):
    """[B, 3, H, W] to [B, 15 width, H / 4, W / 4].

    width: channels of the finest branch.
    """

    def __init__(self, width: int = 48):
        super().__init__()
        self.conv1, self.bn1 = conv(3, 64, 3, 2), nn.BatchNorm2d(64)
        self.conv2, self.bn2 = conv(64, 64, 3, 2), nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.layer1 = nn.Sequential(
            *(Bottleneck(64 if i == 0 else 256, 64) for i in range(4))
        )
        widths = [width * 2**i for i in range(4)]
        # A branch that is new lies one list deeper.
        self.transition1 = nn.ModuleList(
            [layer(256, width, 3), nn.Sequential(layer(256, widths[1], 3, 2))]
        )
        for new in (2, 3):
            grown = nn.Sequential(layer(widths[new - 1], widths[new], 3, 2))
            kept = [nn.Identity() for _ in range(new)]
            setattr(self, f"transition{new}", nn.ModuleList([*kept, grown]))
        for stage, count in enumerate(MODULES, start=2):
            modules = (Exchange(widths[:stage]) for _ in range(count))
            setattr(self, f"stage{stage}", nn.Sequential(*modules))
        self.features = sum(widths)

    def forward(self, x):
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.layer1(self.relu(self.bn2(self.conv2(x))))
        branches = self.stage2([grow(x) for grow in self.transition1])
        branches = self.stage3([*branches, self.transition2[2](branches[-1])])
        branches = self.stage4([*branches, self.transition3[3](branches[-1])])
        size = branches[0].shape[2:]
        return torch.cat([resize(x, size) for x in branches], dim=1)


class ProjectionHead(nn.Module):
    """1x1 convolution, normalisation, ReLU, 1x1 convolution, to unit length."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        hidden = nn.Sequential(nn.BatchNorm2d(inputs), nn.ReLU(inplace=True))
        self.proj = nn.Sequential(
            nn.Conv2d(inputs, inputs, 1), hidden, nn.Conv2d(inputs, outputs, 1)
        )

    def forward(self, x):
        return nn.functional.normalize(self.proj(x), dim=1)


class HRNetContrast(nn.Module):
    """Scores [B, C, h, w] and embeddings [B, D, h, w] at a quarter of the size.

    num_classes: C.
    dim: D.
    width: channels of the finest branch.
    dropout: rate of whole channels before the classifier.
    """

    def __init__(self, num_classes: int, dim: int = 256, *, width=48, dropout=0.1):
        super().__init__()
        self.backbone = HRNet(width)
        inputs = self.backbone.features
        self.cls_head = nn.Sequential(
            conv(inputs, inputs, 3, bias=True),
            nn.Sequential(nn.BatchNorm2d(inputs), nn.ReLU(inplace=True)),
            nn.Dropout2d(dropout),
            conv(inputs, num_classes, 1),
        )
        self.proj_head = ProjectionHead(inputs, dim)

    def forward(self, x):
        x = self.backbone(x)
        hidden = self.cls_head[:3](x)
        with full_precision(x):
            wide = self.cls_head[3].weight.dtype
            return self.cls_head[3](hidden.to(wide)), self.proj_head(x.to(wide))
