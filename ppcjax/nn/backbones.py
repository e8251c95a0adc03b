"""The backbones by name, each with the normalisation its weights were trained with."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn

from ppcjax.nn.hrnet import HRNet
from ppcjax.nn.mobilenet_v2 import MobileNetV2
from ppcjax.nn.resnet import DEPTHS, ResNet
from ppcjax.nn.small_resnet import SmallResNet
from ppcjax.nn.vgg import VGG16
from ppcjax.nn.wide_resnet38 import WideResNet38
from ppcjax.ops.colour import IMAGENET_MEAN, IMAGENET_STD


class Backbone(NamedTuple):
    """make(dtype=...) -> module; mean and std apply to RGB in [0, 1]."""

    make: Callable[..., nn.Module]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


_HALF = (0.5, 0.5, 0.5)

BACKBONES: dict[str, Backbone] = {
    "wide_resnet38": Backbone(WideResNet38, IMAGENET_MEAN, IMAGENET_STD),
    "mobilenet_v2": Backbone(MobileNetV2, _HALF, _HALF),
    "small_resnet": Backbone(SmallResNet, IMAGENET_MEAN, IMAGENET_STD),
    "vgg16": Backbone(VGG16, IMAGENET_MEAN, IMAGENET_STD),
    **{
        f"hrnet_w{width}": Backbone(
            functools.partial(HRNet, width=width), IMAGENET_MEAN, IMAGENET_STD
        )
        for width in (18, 48)
    },
    **{
        f"resnet{depth}": Backbone(
            functools.partial(ResNet, depth), IMAGENET_MEAN, IMAGENET_STD
        )
        for depth in DEPTHS
    },
}


def make(name: str, **settings: Any) -> tuple[nn.Module, Backbone]:
    """The module of a backbone and its entry; ValueError for an unknown name."""
    if name not in BACKBONES:
        raise ValueError(f"backbone {name!r}: known are {', '.join(BACKBONES)}")
    return BACKBONES[name].make(**settings), BACKBONES[name]
