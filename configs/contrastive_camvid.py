"""ContrastiveSeg on the 701 frames of CamVid at 480 x 360 pixels.

Run: python train.py --config configs/contrastive_camvid.py[:NETWORK_MODE]
         --config.data.root=CAMVID

NETWORK  hrnet48    HRNet-W48; also without a network
         hrnet18    HRNet-W18
         mobilenet  MobileNetV2 on halved frames, for machines without an accelerator
MODE     as in configs/contrastive_cityscapes.py

Data: {train,val,test}/{images,masks}, or train, trainannot and so on, in data.root; ids
0 to 10 are the classes, 11 is unlabelled.
"""

from ppcjax.configs import base, contrastive_cityscapes

CLASSES = (
    *("sky", "building", "pole", "road", "pavement", "tree", "sign symbol", "fence"),
    *("car", "pedestrian", "bicyclist"),
)
NETWORKS = {
    "hrnet48": contrastive_cityscapes.HRNET48,
    "hrnet18": dict(
        init_from="imagenet",
        method=dict(backbone="hrnet_w18", head="hrnet"),
    ),
    "mobilenet": dict(
        init_from="imagenet",
        method=dict(
            backbone="mobilenet_v2",
            head="v1",
            head_settings=dict(width=128, rate=6, dropout=0.1),
            projection_dim=128,
            max_anchors=512,
            region_slots=367,  # one per training image
            pixel_slots=1000,
        ),
    ),
}
_PUBLISHED = contrastive_cityscapes.MODES
MODES = _PUBLISHED | {
    # Unlike that of Cityscapes, the released config has the weight and the number of
    # anchors of the contrast without memory.
    "mem_official": {
        k: v
        for k, v in _PUBLISHED["mem_official"].items()
        if k not in ("weight", "max_views")
    },
    "mem_paper": _PUBLISHED["mem_paper"]
    | dict(region_slots=367, pixel_slots=3670),  # 1 and 10 per training image
}
VARIANTS = contrastive_cityscapes.variants(NETWORKS, MODES)


def get_config(variant=""):
    network, mode = base.choose(variant, VARIANTS)
    c = base.get_config()
    c.name = f"contrastive_camvid_{variant}" if variant else "contrastive_camvid"
    c.steps = 30_000
    c.checkpoint_every = 1_000
    c.init_from = NETWORKS[network]["init_from"]
    c.method = dict(
        name="contrastive_seg",
        projection="convmlp",
        projection_dim=256,
        channels="rgb",
        dtype="float32",
        brightness_shift=10,  # 8-bit grey levels
        class_weights=(),
        weight=0.1,
        warmup_steps=5_000,
        temperature=0.07,
        base_temperature=0.07,
        max_anchors=4096,  # 1,024 on each of four devices, as released
        # Released with 100: more cells of the grid than small classes have.
        max_views=20,
    )
    c.method.update(MODES[mode])
    c.method.update(NETWORKS[network]["method"])
    if mode == "mem_official":  # it has as many of both
        c.method.region_slots = c.method.pixel_slots
    if mode == "mem_paper":  # of fewer, its hardest tenth would be drawn whole
        c.method.pixel_slots = MODES[mode]["pixel_slots"]
    c.data = dict(
        source="folder",
        root="~/data/camvid",
        masks="",  # folder of exported masks; empty: the true ones
        classes=CLASSES,
        background=False,  # class 0 is sky
        void=(11,),
        with_masks=True,
        batch_size=16,
        crop=(360, 480),  # rows and columns, pixels
        scale=(0.5, 2.0),
        aspect=(0.9, 1.1),
        train_split="train",
        val_split="",
        eval_split="val",
        on_bad_image="stop",
        workers=0,
    )
    c.optim = dict(name="sgd", lr=0.001, momentum=0.9, weight_decay=1e-4, power=0.9)
    c.eval = dict(scales=(1.0,), flip=False, report_classes=())
    return halve(c) if network == "mobilenet" else c


def halve(c):
    """The same in some minutes: few steps on frames of half the size."""
    c.steps = 300
    c.log_every = 20
    c.checkpoint_every = 100
    c.method.warmup_steps = 50
    if c.method.get("mode") != "mem_paper":
        c.method.max_views = 10  # of an image and class; the grid has 300 cells
    c.data.update(batch_size=8, crop=(120, 160), scale=(0.35, 0.75))
    # SGD at the published rates needs thousands of steps; this, hundreds.
    del c.optim.momentum
    c.optim.update(
        name="adamw",
        lr=3e-4,
        lr_mults=((r"^head/", 10.0),),
        frozen=(r"backbone/(stem|block[1-3])/",),
    )
    c.eval.scales = (0.5,)
    return c
