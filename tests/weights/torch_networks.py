"""Networks of torchvision, timm and Hugging Face with random weights."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import pytest

from tests.weights.torch_tokens import hf_vit, timm_vit

EVEN, ODD = (64, 96), (75, 61)


class Network(NamedTuple):
    """A network of another library, and what it is here.

    backbone: its name here.
    make: makes it.
    features: (network, images [B, 3, H, W]) -> by output of ours what it gives, with
        the last axis of ours second: maps are [B, D, h, w].
    want: outputs of ours that are given to who asks.
    settings: what the backbone here is given.
    sizes: rows and columns that images have.
    mean: mean of RGB that its weights want.
    row: id of known.toml whose facts its names do not tell, or "".
    """

    backbone: str
    make: Callable[[], Any]
    features: Callable[[Any, Any], dict[str, Any]]
    want: tuple[str, ...] = ()
    settings: Mapping[str, Any] = {}
    sizes: tuple[tuple[int, int], ...] = (EVEN, ODD)
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    row: str = ""


def torchvision(name):
    library = pytest.importorskip("torchvision")
    return getattr(library.models, name)()


def timm(name, **settings):
    return pytest.importorskip("timm").create_model(name, **settings)


def hugging_face(kind, **settings):
    library = pytest.importorskip("transformers")
    config = getattr(library, f"{kind}Config")(**settings)
    return getattr(library, f"{kind}Model")(config)


def _resnet(net, x):
    x = net.maxpool(net.relu(net.bn1(net.conv1(x))))
    found = {}
    for i in range(1, 5):
        x = found[f"stage{i}"] = getattr(net, f"layer{i}")(x)
    return found


def _timm_resnet(net, x):
    return {"stage4": net.forward_features(x)}


def _last(net, x):
    return {"embedding": net.forward_features(x)}


def _timm_hrnet():
    """Branches are resized as for segmentation; the classifier takes the nearest."""
    net = timm("hrnet_w18")
    for module in net.modules():
        if type(module).__name__ == "Upsample":
            module.mode, module.align_corners = "bilinear", True
    return net


def _hrnet(net, x):
    x = net.act1(net.bn1(net.conv1(x)))
    x = net.act2(net.bn2(net.conv2(x)))
    return {f"branch{i}": y for i, y in enumerate(net.stages(x))}


def _hf(net, x):
    return {"embedding": net(x).last_hidden_state}


def _hf_resnet(depths, wide, kind):
    return hugging_face(
        "ResNet",
        depths=depths,
        layer_type=kind,
        hidden_sizes=[wide * width for width in (64, 128, 256, 512)],
    )


_LIGHT = {"settings": {"output_stride": 32}}
# TensorFlow's padding is "after" at even sizes alone.
_EVEN = {**_LIGHT, "sizes": (EVEN,), "mean": (0.5, 0.5, 0.5)}
_SMALL_VIT = {
    "hidden_size": 384,
    "num_attention_heads": 6,
    "attn_implementation": "eager",  # the only one that gives its weights
}
_DINO = {**_SMALL_VIT, "intermediate_size": 1536}
_SECOND = {**_SMALL_VIT, "image_size": 518, "patch_size": 14}
_TIMM_VIT = {"dynamic_img_size": True, "num_classes": 0}


def _vit(patch, positions, **more):
    """Grids of an even and an odd number of patches, the table's, and a longer one."""
    own = 518 if patch == 14 else 224
    return {
        "want": ("tokens", "attention11"),
        "settings": {"positions": positions, **more},
        "sizes": (
            (4 * patch, 6 * patch),
            (7 * patch, 5 * patch),
            (own, own),
            (own + 2 * patch, 3 * patch),
        ),
    }


NETWORKS = {
    **{
        f"torchvision/resnet{depth}": Network(
            f"resnet{depth}", lambda d=depth: torchvision(f"resnet{d}"), _resnet
        )
        for depth in (18, 34, 50, 101)
    },
    "torchvision/mobilenet_v2": Network(
        "mobilenet_v2",
        lambda: torchvision("mobilenet_v2"),
        lambda net, x: {"embedding": net.features(x)},
        **_LIGHT,
    ),
    "timm/resnet50s": Network(
        "resnet50", lambda: timm("resnet50s"), _timm_resnet, settings={"stem": "deep"}
    ),
    "timm/hrnet_w18": Network(
        "hrnet_w18",
        _timm_hrnet,
        _hrnet,
        sizes=(EVEN, (32, 160)),  # at others its branches do not fit
    ),
    "timm/mobilenetv2_100": Network(
        "mobilenet_v2", lambda: timm("mobilenetv2_100"), _last, **_LIGHT
    ),
    "timm/tf_efficientnet_lite0": Network(
        "efficientnet_lite0", lambda: timm("tf_efficientnet_lite0"), _last, **_EVEN
    ),
    "timm/efficientnet_lite0": Network(
        "efficientnet_lite0",
        lambda: timm("efficientnet_lite0"),
        _last,
        row="efficientnet_lite0_timm",
        **_LIGHT,
    ),
    "timm/vit_small_patch16": Network(
        "vit_s16",
        lambda: timm("vit_small_patch16_224.dino", **_TIMM_VIT),
        timm_vit,
        **_vit(16, "antialias"),
    ),
    "timm/vit_small_patch8": Network(
        "vit_s8",
        lambda: timm("vit_small_patch8_224.dino", **_TIMM_VIT),
        timm_vit,
        **_vit(8, "antialias"),
    ),
    "timm/vit_small_patch14_dinov2": Network(
        "vit_s14",
        lambda: timm("vit_small_patch14_dinov2", **_TIMM_VIT),
        timm_vit,
        **_vit(14, "antialias"),
    ),
    "timm/vit_small_patch14_reg4_dinov2": Network(
        "vit_s14",
        lambda: timm("vit_small_patch14_reg4_dinov2", **_TIMM_VIT),
        timm_vit,
        **_vit(14, "antialias", registers=4),
    ),
    "huggingface/resnet18": Network(
        "resnet18",
        lambda: _hf_resnet([2, 2, 2, 2], 1, "basic"),
        lambda net, x: {"stage4": net(x).last_hidden_state},
    ),
    "huggingface/mobilenet_v2": Network(
        "mobilenet_v2", lambda: hugging_face("MobileNetV2"), _hf, **_EVEN
    ),
    "huggingface/vit_s16": Network(
        "vit_s16",
        lambda: hugging_face("ViT", **_DINO, layer_norm_eps=1e-6),
        hf_vit,
        **_vit(16, "bicubic"),
    ),
    "huggingface/vit_s8": Network(
        "vit_s8",
        lambda: hugging_face("ViT", **_DINO, patch_size=8, layer_norm_eps=1e-6),
        hf_vit,
        **_vit(8, "bicubic"),
    ),
    "huggingface/dinov2_s14": Network(
        "vit_s14",
        lambda: hugging_face("Dinov2", **_SECOND),
        hf_vit,
        **_vit(14, "bicubic"),
    ),
    "huggingface/dinov2_s14_registers": Network(
        "vit_s14",
        lambda: hugging_face("Dinov2WithRegisters", **_SECOND, num_register_tokens=4),
        hf_vit,
        **_vit(14, "antialias", registers=4),
    ),
}


def randomise(net, seed=0):
    """Weights and statistics such that every one of them matters."""
    torch = pytest.importorskip("torch")
    random = torch.Generator().manual_seed(seed)

    def normal(like, scale):
        return scale * torch.randn(like.shape, generator=random)

    norms = ("BatchNorm", "LayerNorm")
    with torch.no_grad():
        for module in net.modules():
            is_norm = any(name in type(module).__name__ for name in norms)
            for name, value in module.named_parameters(recurse=False):
                is_scale = (is_norm and name == "weight") or name in (
                    "gamma",
                    "lambda1",
                )
                if is_scale:
                    value.copy_(1 + normal(value, 0.1))
                elif value.ndim > 1 and name == "weight":
                    fan_in = value[0].numel()
                    value.copy_(normal(value, fan_in**-0.5))
                else:
                    value.copy_(normal(value, 0.1))
            for name, value in module.named_buffers(recurse=False):
                if name == "running_mean":
                    value.copy_(normal(value, 0.1))
                elif name == "running_var":
                    value.copy_(1 + normal(value, 0.5).abs())
    return net.eval()
