"""MobileNetV2 1.0, with batch normalisation folded away.

Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", CVPR 2018.
For machines without an accelerator.
"""

from ppcjax.nn.inverted_residuals import Group, InvertedResiduals


class MobileNetV2(InvertedResiduals):
    """The network without its classifier; stage3 has 192 channels, stage4 576.

    output_stride: 8, 16 or 32; strides beyond it become dilation.
    padding: where layers of stride 2 are padded, "after" the image as TensorFlow does
        at even sizes, or on "both" sides as PyTorch does.
    dtype: type of the convolutions.

    Deviations: at odd sizes TensorFlow's SAME padding is that of "both".
    """

    groups = (
        Group(1, 3, 16, 1, 1),
        Group(6, 3, 24, 2, 2),
        Group(6, 3, 32, 3, 2),
        Group(6, 3, 64, 4, 2),
        Group(6, 3, 96, 3, 1),
        Group(6, 3, 160, 3, 2),
        Group(6, 3, 320, 1, 1),
    )
