"""Names of published weights for the parameters of ppcjax.

Each function maps a path of a backbone's parameter, such as "b2/conv_branch1/conv/
kernel", to the name under which a published file keeps it.
"""

import re
from collections.abc import Mapping
from typing import Any

_MXNET_LEAVES = {
    "scale": ("arg", "gamma"),
    "bias": ("arg", "beta"),
    "mean": ("aux", "moving_mean"),
    "var": ("aux", "moving_var"),
}


def wide_resnet38_mxnet(path: str) -> str:
    """Name in `ilsvrc-cls_rna-a1_cls1000_ep-0001.params` (Wu et al.).

    b5_1/bn_branch2b1/var -> aux:bn5b1_branch2b1_moving_var
    b5/conv_branch2a/conv/kernel -> arg:res5a_branch2a_weight
    """
    block, *middle, leaf = path.split("/")
    if block == "conv1a":
        return "arg:conv1a_weight"
    if leaf == "kernel":
        return f"arg:res{_mxnet_block(block)}_{middle[0].removeprefix('conv_')}_weight"
    kind, suffix = _MXNET_LEAVES[leaf]
    if block == "bn7":
        return f"{kind}:bn7_{suffix}"
    branch = middle[0].removeprefix("bn_")
    return f"{kind}:bn{_mxnet_block(block)}_{branch}_{suffix}"


def _mxnet_block(block: str) -> str:
    """b5 -> 5a, b5_1 -> 5b1."""
    stage, repeat = re.fullmatch(r"b(\d)(?:_(\d))?", block).groups()
    return f"{stage}b{repeat}" if repeat else f"{stage}a"


def mobilenet_v2_folded(path: str) -> str:
    """Name in an npz of folded layers numbered in call order.

    stem/conv/kernel -> 00/conv_2d/kernel
    block2/depthwise/kernel -> 04/depthwise_conv_2d/kernel
    """
    block, *middle, leaf = path.split("/")
    if block == "stem":
        number, kind = 0, "conv_2d"
    elif block == "head":
        number, kind = 51, "conv_2d"
    else:
        layer = ("expand", "depthwise", "project").index(middle[0])
        # The first block has no expansion, hence one layer less.
        number = 3 * int(block.removeprefix("block")) - 3 + layer
        kind = "depthwise_conv_2d" if middle[0] == "depthwise" else "conv_2d"
    return f"{number:02d}/{kind}/{leaf}"


_TORCH_LEAVES = {
    "kernel": "weight",
    "scale": "weight",
    "bias": "bias",
    "mean": "running_mean",
    "var": "running_var",
}
_TORCH_LAYERS = {"downsample_conv": "downsample.0", "downsample_bn": "downsample.1"}


def resnet_torch(path: str) -> str:
    """Name in the state_dict of torchvision's ResNets, and of those with a deep stem.

    conv1/conv/kernel -> conv1.weight
    layer1_0/bn3/mean -> layer1.0.bn3.running_mean
    layer2_0/downsample_conv/conv/kernel -> layer2.0.downsample.0.weight
    """
    *middle, leaf = (part for part in path.split("/") if part != "conv")
    parts = [_TORCH_LAYERS.get(part, part) for part in middle]
    parts[0] = re.sub(r"^(layer\d)_(\d+)$", r"\1.\2", parts[0])
    return ".".join((*parts, _TORCH_LEAVES[leaf]))


def detectron2(name: str) -> str:
    """Detectron2's name of an array that torchvision's plain-stem ResNets have.

    bn1.running_mean -> stem.conv1.norm.running_mean
    layer1.0.conv2.weight -> res2.0.conv2.weight
    layer2.0.downsample.1.bias -> res3.0.shortcut.norm.bias
    """
    *block, leaf = name.split(".")
    place = re.fullmatch(
        r"(layer(?P<stage>\d)\.(?P<i>\d+)\.)?"
        r"((?P<kind>conv|bn)(?P<n>\d)|downsample\.(?P<down>[01]))",
        ".".join(block),
    )
    if place is None or (place["stage"] is None and place["n"] != "1"):
        raise ValueError(f"{name} is not of a ResNet with the plain stem")
    where = f"res{int(place['stage']) + 1}.{place['i']}" if place["stage"] else "stem"
    layer = f"conv{place['n']}" if place["kind"] else "shortcut"
    norm = ".norm" if place["kind"] == "bn" or place["down"] == "1" else ""
    return f"{where}.{layer}{norm}.{leaf}"


def _from_detectron2(name: str) -> str:
    """Torchvision's name of an array that Detectron2's plain-stem ResNets have."""
    found = re.fullmatch(
        r"(stem|res(?P<stage>\d)\.(?P<i>\d+))\.(conv(?P<n>\d)|shortcut)"
        r"(?P<norm>\.norm)?\.(?P<leaf>\w+)",
        name,
    )
    if found is None:
        return name
    where = f"layer{int(found['stage']) - 1}.{found['i']}." if found["stage"] else ""
    layer = f"downsample.{int(bool(found['norm']))}"
    if found["n"]:
        layer = f"{'bn' if found['norm'] else 'conv'}{found['n']}"
    return f"{where}{layer}.{found['leaf']}"


def hrnet_openseg(path: str) -> str:
    """Name in `hrnetv2_w48_imagenet_pretrained` and openseg's checkpoints of HRNets.

    layer1_0/conv3/conv/kernel -> layer1.0.conv3.weight
    transition1_0/bn/scale -> transition1.0.1.weight
    transition3_3/conv/conv/kernel -> transition3.3.0.0.weight
    stage2_0/b1_3/bn2/var -> stage2.0.branches.1.3.bn2.running_var
    stage4_2/fuse0_3/conv/conv/kernel -> stage4.2.fuse_layers.0.3.0.weight
    stage4_2/fuse3_0_1/bn/mean -> stage4.2.fuse_layers.3.0.1.1.running_mean
    """
    module, *middle, leaf = (part for part in path.split("/") if part != "conv")
    if not module.startswith(("stage", "transition")):
        return resnet_torch(path)
    # Within a unit of convolution and normalisation these are 0 and 1.
    layer = 1 if middle[-1:] == ["bn"] else 0
    if module.startswith("transition"):
        # A branch that is new lies one list deeper than one that only changes.
        inner = "0." if module != "transition1_0" else ""
        name = f"{module.replace('_', '.')}.{inner}{layer}"
    elif middle[0].startswith("fuse"):
        place = middle[0].removeprefix("fuse").replace("_", ".")
        name = f"{module.replace('_', '.')}.fuse_layers.{place}.{layer}"
    else:
        place = middle[0].removeprefix("b").replace("_", ".")
        name = f"{module.replace('_', '.')}.branches.{place}.{middle[1]}"
    return f"{name}.{_TORCH_LEAVES[leaf]}"


# Where torchvision keeps the convolutions of each group of VGG-16.
_VGG16_FIRST = {1: 0, 2: 5, 3: 10, 4: 17, 5: 24}


def vgg16_torch(path: str) -> str:
    """Name in the state_dict of torchvision's VGG-16.

    conv3_2/conv/kernel -> features.12.weight
    """
    group, i, leaf = re.fullmatch(r"conv(\d)_(\d)/conv/(\w+)", path).groups()
    place = _VGG16_FIRST[int(group)] + 2 * (int(i) - 1)
    return f"features.{place}.{_TORCH_LEAVES[leaf]}"


def vit_timm(path: str) -> str:
    """Name in the state_dict of timm's, DeiT's and DINO's vision transformers.

    patch_embed/kernel -> patch_embed.proj.weight
    block3/attn/qkv/bias -> blocks.3.attn.qkv.bias
    block3/fc1/kernel -> blocks.3.mlp.fc1.weight
    """
    if path in ("cls_token", "pos_embed"):
        return path
    *middle, leaf = path.split("/")
    name = ".".join(middle)
    name = re.sub(r"^block(\d+)\.", r"blocks.\1.", name)
    name = re.sub(r"\.(fc\d)$", r".mlp.\1", name)
    name = re.sub(r"^patch_embed$", "patch_embed.proj", name)
    return f"{name}.{_TORCH_LEAVES[leaf]}"


# Parameters of a backbone that no published file has; they keep their initial values.
UNPUBLISHED = re.compile(r"link\d/")


def torchvision(path: str) -> str:
    """Name in torchvision's file of the network that has such a path; HRNets' too."""
    is_vgg = re.match(r"conv\d_\d/", path)
    return vgg16_torch(path) if is_vgg else hrnet_openseg(path)


# The deep stem as a sequence of layers, and the normalisation after it.
_STEM_SEQUENCE = {
    "conv1.0": "conv1",
    "conv1.1": "bn1",
    "conv1.3": "conv2",
    "conv1.4": "bn2",
    "conv1.6": "conv3",
    "bn1": "bn3",
}


def plain_resnet(arrays: Mapping[str, Any]) -> dict[str, Any]:
    """A ResNet's arrays under the names of `resnet_torch`.

    A prefix such as "module.encoder." goes, the shortest where there are several; and a
    deep stem stored as conv1.0 .. conv1.6, bn1 becomes conv1, bn1 .. conv3, bn3.
    Detectron2's names become torchvision's.
    """
    stems = [
        name[: -len(stem)]
        for name in arrays
        for stem in ("stem.conv1.weight", "conv1.weight", "conv1.0.weight")
        if name.endswith(stem) and not re.search(r"(layer|res)\d\.", name)
    ]
    prefix = min(stems, key=len, default="")
    found = {
        name.removeprefix(prefix): array
        for name, array in arrays.items()
        if name.startswith(prefix)
    }
    if "stem.conv1.weight" in found:
        return {_from_detectron2(name): array for name, array in found.items()}
    if "conv1.0.weight" not in found:
        return found

    def plain(name: str) -> str:
        layer, _, leaf = name.rpartition(".")
        return f"{_STEM_SEQUENCE.get(layer, layer)}.{leaf}"

    return {plain(name): array for name, array in found.items()}
