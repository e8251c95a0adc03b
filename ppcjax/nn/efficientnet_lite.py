"""EfficientNet-Lite0, with batch normalisation folded away.

Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks",
ICML 2019, in the form that TensorFlow's authors released for small devices in 2020: no
squeeze-and-excitation, ReLU6 for swish, and stem and head of fixed width.
"""

from ppcjax.nn.inverted_residuals import Group, InvertedResiduals


class EfficientNetLite0(InvertedResiduals):
    """The network without its classifier; stage3 has 240 channels, stage4 672.

    output_stride: 8, 16 or 32; strides beyond it become dilation.
    padding: where layers of stride 2 are padded, "after" the image as TensorFlow does
        at even sizes, or on "both" sides as PyTorch does.
    dtype: type of the convolutions.

    Deviations: at odd sizes TensorFlow's SAME padding is that of "both".
    """

    groups = (
        Group(1, 3, 16, 1, 1),
        Group(6, 3, 24, 2, 2),
        Group(6, 5, 40, 2, 2),
        Group(6, 3, 80, 3, 2),
        Group(6, 5, 112, 3, 1),
        Group(6, 5, 192, 4, 2),
        Group(6, 3, 320, 1, 1),
    )
