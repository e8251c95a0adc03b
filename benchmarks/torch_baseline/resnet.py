"""ResNet-50 without pooling and classifier, under torchvision's names."""

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
