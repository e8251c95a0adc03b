"""The second stage on VOC 2012: DeepLab trained on exported masks, the published rows.

    v1   large field of view on WideResNet-38 (SEAM, PPC); also without a variant
    v2   pyramid of four rates on ResNet-101 with the deep stem (PPC, EPS)
    v3   DeepLab v3 on torchvision's ResNet-101, not among the published rows

Data: VOC2012 with the list train_aug, and masks/ID.png of its images in data.masks.
Run: python train.py --config configs/deeplab_voc.py:v2 --config.data.masks=MASKS
"""

from ppcjax.configs import base, voc

_RESNET = dict(output_stride=8, momentum=0.1)

VARIANTS = {
    "v1": dict(
        init_from="imagenet",
        backbone="wide_resnet38",
        backbone_settings=dict(batch_statistics=True, momentum=3e-4),
    ),
    "v2": dict(
        init_from="imagenet",
        backbone="resnet101",
        backbone_settings=dict(stem="deep", **_RESNET),
    ),
    "v3": dict(
        init_from="imagenet",
        backbone="resnet101",
        backbone_settings=dict(stem="plain", **_RESNET),
    ),
}


def get_config(variant=""):
    head = variant or "v1"
    network = base.choose(head, VARIANTS)
    c = base.get_config()
    c.name = f"deeplab_voc_{variant}" if variant else "deeplab_voc"
    c.init_from = network["init_from"]
    c.steps = 20_000
    c.checkpoint_every = 1_000
    c.method = dict(
        name="segment",
        backbone=network["backbone"],
        backbone_settings=network["backbone_settings"],
        head=head,
        head_settings=dict(momentum=3e-4),  # PyTorch's; statistics change slowly
        dtype="float32",
        hsv_shift=10,  # 8-bit units
        class_weights=(),
    )
    c.data = dict(
        voc.DATA,
        masks="",  # folder of exported masks; empty: the true ones, an upper bound
        with_masks=True,
        batch_size=10,
        crop=448,  # pixels
        scale=(0.5, 1.5),
        eval_split="val",
    )
    c.optim = dict(
        name="sgd",
        lr=0.001,
        momentum=0.9,
        weight_decay=5e-4,
        power=0.9,
        lr_mults=((r"^head/.*bias", 20.0), (r"^head/", 10.0)),
        no_decay=(r"^head/.*bias",),
        frozen=(r"bn[^/]*/(scale|bias)$",),  # in no group of the released optimizer
    )
    c.eval = dict(scales=(0.5, 0.75, 1.0, 1.25, 1.5, 1.75))
    return c
