"""Records the names and shapes of published networks: recorded/names.json.gz.

Needs torch, torchvision, timm and transformers, which no other test does; recorded
with torch 2.14.1, torchvision 0.29.1, timm 1.0.31 and transformers 5.24.0.

    python -m tests.weights.record_names
"""

import gzip
import json
from pathlib import Path

FILE = Path(__file__).parent / "recorded" / "names.json.gz"


def networks():
    """Library and network -> what makes it, without weights."""
    import timm
    import torchvision
    import transformers as hf

    for depth in (18, 34, 50, 101):
        name = f"resnet{depth}"
        yield f"torchvision/{name}", getattr(torchvision.models, name)
        yield f"timm/{name}", lambda name=name: timm.create_model(name)
        yield f"huggingface/{name}", lambda d=depth: _hf_resnet(hf, d)
    yield "timm/resnet50s", lambda: timm.create_model("resnet50s")
    yield "timm/resnet50d", lambda: timm.create_model("resnet50d")
    yield "torchvision/vgg16", torchvision.models.vgg16
    yield "torchvision/mobilenet_v2", torchvision.models.mobilenet_v2
    for ours, theirs in {
        "vgg16": "vgg16",
        "mobilenet_v2": "mobilenetv2_100",
        "hrnet_w18": "hrnet_w18",
        "hrnet_w48": "hrnet_w48",
        "efficientnet_lite0": "tf_efficientnet_lite0",
        "vit_s16": "vit_small_patch16_224.dino",
        "vit_b16": "vit_base_patch16_224.dino",
        "vit_s14": "vit_small_patch14_dinov2",
        "vit_b14": "vit_base_patch14_dinov2",
        "vit_s14_reg": "vit_small_patch14_reg4_dinov2",
        "vit_b14_reg": "vit_base_patch14_reg4_dinov2",
    }.items():
        yield f"timm/{ours}", lambda name=theirs: timm.create_model(name)
    config = hf.MobileNetV2Config(num_labels=1001)
    mobile = hf.MobileNetV2ForImageClassification
    yield "huggingface/mobilenet_v2", lambda: mobile(config)
    for size, width, heads in (("s", 384, 6), ("b", 768, 12)):
        shape = {"hidden_size": width, "num_attention_heads": heads}
        dino = hf.ViTConfig(**shape, intermediate_size=4 * width)
        second = {**shape, "image_size": 518, "patch_size": 14}
        plain = hf.Dinov2Config(**second)
        registers = hf.Dinov2WithRegistersConfig(**second, num_register_tokens=4)
        of = f"huggingface/vit_{size}"
        yield f"{of}16", lambda c=dino: hf.ViTModel(c)
        yield f"{of}14", lambda c=plain: hf.Dinov2Model(c)
        yield f"{of}14_reg", lambda c=registers: hf.Dinov2WithRegistersModel(c)


def _hf_resnet(hf, depth):
    depths = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}
    wide = 1 if depth < 50 else 4
    config = hf.ResNetConfig(
        depths=list(depths[depth]),
        layer_type="basic" if depth < 50 else "bottleneck",
        hidden_sizes=[wide * width for width in (64, 128, 256, 512)],
        num_labels=1000,
    )
    return hf.ResNetForImageClassification(config)


def main():
    import torch

    found = {}
    with torch.device("meta"):
        for key, make in networks():
            state = make().state_dict()
            found[key] = {name: list(array.shape) for name, array in state.items()}
    text = json.dumps(dict(sorted(found.items())), separators=(",", ":"))
    FILE.write_bytes(gzip.compress(text.encode(), mtime=0))


if __name__ == "__main__":
    main()
