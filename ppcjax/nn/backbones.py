"""The backbones by name, and what is asked of them."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from ppcjax.nn import frozen, modules, resnet, small_resnet, vit
from ppcjax.nn.efficientnet_lite import EfficientNetLite0
from ppcjax.nn.hrnet import HRNet
from ppcjax.nn.init import (
    Initializer,
    OfFanIn,
    he_normal,
    he_normal_fan_out,
    torch_uniform,
)
from ppcjax.nn.mobilenet_v2 import MobileNetV2
from ppcjax.nn.resnet import DEPTHS, ResNet
from ppcjax.nn.small_resnet import SmallResNet
from ppcjax.nn.vgg import VGG16
from ppcjax.nn.vit import VisionTransformer
from ppcjax.nn.wide_resnet38 import WideResNet38
from ppcjax.ops.colour import IMAGENET_MEAN, IMAGENET_STD
from ppcjax.types import UserError

Colour = tuple[float, float, float]


class Backbone(NamedTuple):
    """A network that methods stand on.

    What depends on its settings is told by the module: `stride`, input pixels per cell
    of its last stage; `endpoints`, names of its outputs; and, where the grid is not
    ceil(size / stride), `grid_extent`, see `ppcjax.nn.layers.features_extent`.

    make: (dtype=..., **settings) -> module.
    mean: mean of RGB in [0, 1] that its weights were trained with; () where it sees no
        colours but features.
    std: deviation that they were trained with.
    kernels: initial kernels where a segmenter is trained on it.
    scratch: rules of `ppcjax.nn.init.initialize` where it is pre-trained from nothing.
    few_shot: settings that ASGNet was published with.
    """

    make: Callable[..., nn.Module]
    mean: Colour = IMAGENET_MEAN
    std: Colour = IMAGENET_STD
    kernels: Initializer | OfFanIn = he_normal
    scratch: Sequence[tuple[str, Initializer]] = ()
    few_shot: Mapping[str, Any] = {}


_HALF = (0.5, 0.5, 0.5)
# (x - 127) / 128 of 8-bit levels.
_LITE_MEAN, _LITE_STD = (127 / 255,) * 3, (128 / 255,) * 3

# Settings of vision transformers by size, and by patch: those of DINO and of DINOv2,
# whose positions are learnt at 224 pixels and at 518.
_SIZES = {
    "s": {"width": 384, "depth": 12, "heads": 6},
    "b": {"width": 768, "depth": 12, "heads": 12},
    "l": {"width": 1024, "depth": 24, "heads": 16},
}
_PATCHES = {
    16: {"grid": (14, 14)},
    8: {"grid": (28, 28)},
    14: {"grid": (37, 37), "layer_scale": True},
}

BACKBONES: dict[str, Backbone] = {
    "wide_resnet38": Backbone(WideResNet38),
    "mobilenet_v2": Backbone(MobileNetV2, _HALF, _HALF),
    "efficientnet_lite0": Backbone(EfficientNetLite0, _LITE_MEAN, _LITE_STD),
    "small_resnet": Backbone(SmallResNet, scratch=small_resnet.INIT_RULES),
    "vgg16": Backbone(VGG16),
    **{
        f"hrnet_w{width}": Backbone(
            functools.partial(HRNet, width=width), kernels=torch_uniform
        )
        for width in (18, 48)
    },
    **{
        f"resnet{depth}": Backbone(
            functools.partial(ResNet, depth),
            kernels=he_normal_fan_out,
            scratch=resnet.init_rules(depth),
            few_shot=resnet.PFENET,
        )
        for depth in DEPTHS
    },
    **{
        f"vit_{size}{patch}": Backbone(
            functools.partial(
                VisionTransformer, patch=patch, **_PATCHES[patch], **_SIZES[size]
            ),
            scratch=vit.INIT_RULES,
        )
        for patch, sizes in ((16, "sb"), (8, "sb"), (14, "sbl"))
        for size in sizes
    },
}

# With what stands in for a backbone, which no file of weights could fill.
KNOWN = {**BACKBONES, frozen.NAME: Backbone(frozen.FrozenFeatures, mean=(), std=())}


def make(
    name: str,
    settings: Mapping[str, Any] | None = None,
    *,
    pixel_mean: Colour | None = None,
    pixel_std: Colour | None = None,
    **given: Any,
) -> tuple[nn.Module, Backbone]:
    """The module of a backbone, and its entry with the colours that its weights want.

    Args:
        name: key of KNOWN.
        settings: fields of the module that a config sets.
        pixel_mean: mean of RGB in [0, 1] that stands for the entry's; None keeps that.
        pixel_std: deviation of RGB, above 0, that stands for the entry's.
        **given: fields that the code sets, such as `dtype`.

    Raises:
        UserError: there is no such backbone, or it has no such setting.
    """
    if name not in KNOWN:
        raise UserError(f"backbone {name!r}: known are {', '.join(KNOWN)}")
    entry = KNOWN[name]
    module = modules.build(entry.make, settings, where="backbone_settings", **given)
    if not entry.mean and (pixel_mean or pixel_std):
        raise UserError(
            "config.method.pixel_mean and pixel_std: a frozen network has its own; set "
            "config.frozen.pixel_mean and config.frozen.pixel_std"
        )
    mean, std = pixel_mean or entry.mean, pixel_std or entry.std
    return module, entry._replace(mean=mean, std=std)


def need_endpoints(
    module: nn.Module, names: Sequence[str], where: str, *, one_grid: bool = False
) -> None:
    """Refuses outputs that a backbone does not have.

    Args:
        module: the backbone.
        names: outputs that are asked for.
        where: setting that asks for them, for the message.
        one_grid: whether they are to be set side by side.

    Raises:
        UserError: the backbone lacks one of them, or their grids differ.
    """
    for name in names:
        if name not in module.endpoints:
            beside = {"queries": "attention", "keys": "attention"}.get(name, name)
            hint = f"; config.frozen.beside may give {beside!r}"
            raise UserError(
                f"config.method.{where}: the backbone has no output {name!r}; it has "
                + ", ".join(module.endpoints)
                + (hint if isinstance(module, frozen.FrozenFeatures) else "")
            )
    # Only strides beyond 8 differ, and tracing takes a second.
    if not one_grid or getattr(module, "output_stride", 8) <= 8:
        return
    image = jax.ShapeDtypeStruct((1, 128, 128, 3), jnp.float32)
    found, _ = jax.eval_shape(module.init_with_output, jax.random.key(0), image)
    if len({found[name].shape[1:3] for name in names}) > 1:
        raise UserError(
            f"config.method.{where}: outputs of different grids, {' and '.join(names)};"
            " set config.method.backbone_settings.output_stride=8"
        )
