"""MobileNetV2 at an eighth of the size, with the heads of SEAM and PPC.

As in `ppcjax.nn.mobilenet_v2`, convolutions have biases in place of normalisation,
which is folded into the released weights.
"""

from torch import nn
from torch.nn import functional as F

from benchmarks.torch_baseline.cam_net import CamNet
from benchmarks.torch_baseline.layers import conv

# Expansion, channels, blocks, and stride and dilation of the first and dilation of the
# other blocks: the two last strides of the network became dilation.
GROUPS = (
    (1, 16, 1, 1, 1, 1),
    (6, 24, 2, 2, 1, 1),
    (6, 32, 3, 2, 1, 1),
    (6, 64, 4, 1, 1, 2),
    (6, 96, 3, 1, 2, 2),
    (6, 160, 3, 1, 2, 4),
    (6, 320, 1, 1, 4, 4),
)
READ = ("block7", "block14")  # whose expansions the pixel correlation reads


class Halving(nn.Conv2d):
    """A 3x3 convolution of stride 2 with zeros after the image alone, as TensorFlow's.

    inputs, outputs: channels.
    groups: groups of channels.
    """

    def __init__(self, inputs: int, outputs: int, groups: int = 1):
        super().__init__(inputs, outputs, 3, 2, groups=groups)

    def forward(self, x):
        # The second row and column are read at odd sizes only.
        return super().forward(F.pad(x, (0, 2, 0, 2)))


class InvertedResidual(nn.Module):
    """Expand, filter each channel, project; a shortcut where shapes agree.

    inputs, outputs: channels.
    expansion: factor from the inputs to the filtered channels.
    stride: step of the filter.
    dilation: spacing of its taps, at stride 1.
    """

    def __init__(self, inputs, outputs, expansion, stride, dilation):
        super().__init__()
        wide = expansion * inputs
        self.expand = None
        if expansion > 1:
            self.expand = conv(inputs, wide, 1, bias=True)
        if stride > 1:
            self.depthwise = Halving(wide, wide, wide)
        else:
            taps = {"dilation": dilation, "groups": wide, "bias": True}
            self.depthwise = conv(wide, wide, **taps)
        self.project = conv(wide, outputs, 1, bias=True)
        self.shortcut = stride == 1 and inputs == outputs

    def forward(self, x):
        """The output and the expanded activations [B, expansion * inputs, H, W]."""
        wide = x
        if self.expand is not None:
            wide = F.relu6(self.expand(x), inplace=True)
        y = self.project(F.relu6(self.depthwise(wide), inplace=True))
        return x + y if self.shortcut else y, wide


class MobileNetV2(CamNet):
    """The network of PPC for machines without a GPU.

    num_classes: C, the background included, which is first.
    projection: D.
    affinity: channels of both reduced endpoints and of their mixture.
    dropout: rate on the embedding.
    centred: whether features lose their mean before they are correlated.
    """

    def __init__(
        self,
        num_classes: int,
        projection: int = 128,
        affinity=(64, 128, 192),
        dropout: float = 0.5,
        centred: bool = False,
    ):
        widths = (192, 576, 1280)
        super().__init__(num_classes, widths, projection, affinity, dropout, centred)
        self.stem = Halving(3, 32)
        inputs, self.names = 32, []
        for expansion, outputs, repeats, stride, first, dilation in GROUPS:
            for i in range(repeats):
                how = (1, dilation) if i else (stride, first)
                self.names.append(f"block{len(self.names) + 1}")
                block = InvertedResidual(inputs, outputs, expansion, *how)
                self.add_module(self.names[-1], block)
                inputs = outputs
        self.head = conv(inputs, 1280, 1, bias=True)
        # Without normalisation the default would let activations die out.
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)

    def endpoints(self, image):
        """Expanded activations of the first dilated blocks, and the embedding."""
        x, kept = F.relu6(self.stem(image), inplace=True), []
        for name in self.names:
            x, wide = getattr(self, name)(x)
            if name in READ:  # others may go: those of frozen blocks are large
                kept.append(wide)
        return *kept, F.relu6(self.head(x), inplace=True)
