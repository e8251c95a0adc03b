"""ResNet-50 without pooling and classifier: plain, or dilated as in PFENet."""

from torch import nn

from benchmarks.torch_baseline.layers import Bottleneck, conv

DEPTHS = (3, 4, 6, 3)


class ResNet50(nn.Module):
    """[B, 3, H, W] to features [B, 32 width, H / 32, W / 32].

    width: channels of the stem; published weights have 64.
    """

    def __init__(self, width: int = 64):
        super().__init__()
        self.conv1 = conv(3, width, 7, 2)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, padding=1)
        inputs = width
        for stage, depth in enumerate(DEPTHS):
            inner, blocks = width * 2**stage, []
            for i in range(depth):
                stride = 2 if stage > 0 and i == 0 else 1
                blocks.append(Bottleneck(inputs, inner, stride))
                inputs = 4 * inner
            setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
        self.features = inputs

    def forward(self, x):
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        return self.layer4(self.layer3(self.layer2(self.layer1(x))))


class DilatedResNet50(nn.Module):
    """Three stages behind a stem of three convolutions, under the names of PFENet.

    From [B, 3, H, W] to the second stage [B, 512, h, w] and the third [B, 1024, h, w],
    both at stride 8: the third has dilation 2 in place of a stride.
    """

    def __init__(self):
        super().__init__()
        stem, inputs = [], 3
        for width, stride in ((64, 2), (64, 1), (128, 1)):
            stem += [conv(inputs, width, 3, stride), nn.BatchNorm2d(width)]
            stem += [nn.ReLU(inplace=True)]
            inputs = width
        self.layer0 = nn.Sequential(*stem, nn.MaxPool2d(3, 2, padding=1))
        for stage, (stride, dilation) in enumerate(((1, 1), (2, 1), (1, 2))):
            inner, blocks = 64 * 2**stage, []
            for i in range(DEPTHS[stage]):
                step = stride if i == 0 else 1
                blocks.append(Bottleneck(inputs, inner, step, dilation))
                inputs = 4 * inner
            setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))

    def forward(self, x):
        second = self.layer2(self.layer1(self.layer0(x)))
        return second, self.layer3(second)
