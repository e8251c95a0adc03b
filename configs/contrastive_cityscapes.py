"""ContrastiveSeg on Cityscapes: the published rows, and the memory in four forms.

Run: python train.py --config configs/contrastive_cityscapes.py[:NETWORK_MODE]

NETWORK  hrnet48      HRNet-W48; also without a network
         hrnet48_ocr  the same with object-contextual representations
         deeplab101   DeepLab v3 on the deep-stem ResNet-101
MODE     ce           cross-entropy alone
         nomem        anchors of a batch against each other, the published rows;
                      also without a mode
         mem_official the released memory, fault for fault, with its settings
         mem_fixed    the same memory, mended
         mem_paper    the paper's memory and mining

Data: leftImg8bit/ and gtFine/ in data.root; see docs/data.md.
"""

from ppcjax.configs import base

# Of the classes in order; published, from the frequencies of the training set.
CLASS_WEIGHTS = (
    *(0.8373, 0.9180, 0.8660, 1.0345, 1.0166, 0.9969, 0.9754, 1.0489, 0.8786, 1.0023),
    *(0.9539, 0.9843, 1.1116, 0.9037, 1.0865, 1.0955, 1.0865, 1.1529, 1.0507),
)

HRNET48 = dict(
    init_from="imagenet",
    method=dict(backbone="hrnet_w48", head="hrnet"),
)
NETWORKS = {
    "hrnet48": HRNET48,
    "hrnet48_ocr": HRNET48 | dict(method=dict(backbone="hrnet_w48", head="ocr")),
    "deeplab101": dict(
        init_from="resnet101_deep_csail",
        method=dict(
            backbone="resnet101",
            backbone_settings=dict(stem="deep", ceil_pool=True, output_stride=8),
            head="v3",
            head_settings=dict(width=512, mix_kernel=3, refine_relu=False, dropout=0.0),
            auxiliary=dict(endpoint="stage3", width=256),
        ),
    ),
}
_SLOTS = dict(region_slots=5000, pixel_slots=5000, pixels_per_push=10)
MODES = {
    "ce": dict(weight=0.0),
    "nomem": dict(mode="nomem"),
    "mem_official": dict(
        mode="mem_official",
        temperature=0.07,
        weight=1.0,
        max_views=1,
        label_stride=8,
        **_SLOTS,
    ),
    "mem_fixed": dict(mode="mem_fixed", **_SLOTS),
    "mem_paper": dict(
        mode="mem_paper",
        mining="semi_hard",
        mining_share=0.1,
        positives=1024,
        negatives=2048,
        max_views=50,  # of a class of the batch
        region_slots=2975,  # one per training image
        pixel_slots=29_750,
        pixels_per_push=10,
    ),
}


def variants(networks, modes):
    """Name -> (network, mode): modes, networks, then both."""
    first = next(iter(networks))
    return {
        "": (first, "nomem"),
        **{mode: (first, mode) for mode in modes},
        **{network: (network, "nomem") for network in networks},
        **{f"{n}_{mode}": (n, mode) for n in networks for mode in modes},
    }


VARIANTS = variants(NETWORKS, MODES)


def get_config(variant=""):
    network, mode = base.choose(variant, VARIANTS)
    c = base.get_config()
    c.name = (
        f"contrastive_cityscapes_{variant}" if variant else "contrastive_cityscapes"
    )
    c.steps = 40_000
    c.checkpoint_every = 1_000
    c.init_from = NETWORKS[network]["init_from"]
    c.method = dict(
        name="contrastive_seg",
        projection="convmlp",
        projection_dim=256,
        channels="rgb",  # "bgr" as in the released program and its checkpoints
        dtype="float32",
        brightness_shift=10,  # 8-bit grey levels
        class_weights=CLASS_WEIGHTS,
        weight=0.1,
        warmup_steps=5_000,
        temperature=0.1,
        base_temperature=0.07,
        max_anchors=4096,  # 1,024 on each of four devices, as released
        max_views=100,
    )
    c.method.update(NETWORKS[network]["method"])
    c.method.update(MODES[mode])
    c.data = dict(
        source="cityscapes",
        root="~/data/cityscapes",
        masks="",  # folder of exported masks; empty: the true ones
        with_masks=True,
        batch_size=8,
        crop=(512, 1024),  # rows and columns, pixels
        scale=(0.5, 2.0),
        aspect=(0.9, 1.1),
        train_split="train",
        val_split="",
        eval_split="val",
        on_bad_image="stop",
        workers=0,
    )
    c.optim = dict(name="sgd", lr=0.01, momentum=0.9, weight_decay=5e-4, power=0.9)
    c.eval = dict(
        scales=(1.0,),  # published too: (0.5, 0.75, ..., 2.0) with flip
        flip=False,
        max_side=2048,  # pixels
        report_classes=(),
    )
    return c
