"""ASGNet on PASCAL-5i with a deep-stem ResNet-50, by the published recipe.

Li et al., CVPR 2021; constants are those of the released program, whose schedule
multiplies the rate it is given (0.0025) by 10. Needs VOC 2012 with SBD's masks in
data.root; init_from is the deep-stem ResNet of PSPNet and PFENet.
Run: python train.py --config configs/asgnet_voc.py[:VARIANT]

    fold1, fold2, fold3     other folds
    shot5                   trained and tested 5-shot, as published 5-shot rows are
    resnet101               the larger backbone
    released                the sum of similarities as prior, and seeds counted, as
                            released: good for the number of shots trained on only
    aspp                    the other context module
    frozen                  statistics of the backbone stay those of ImageNet
    vit                     beside the ResNet a frozen ViT-B/16, class token dropped
    vit_kept                the same with its known mistake, the class token kept
    residual                links around the stem and each stage, which train
"""

from ppcjax.configs import base, pascal5i, voc

VARIANTS = (
    "",
    *("fold1", "fold2", "fold3", "shot5", "resnet101"),
    *("released", "aspp", "frozen", "vit", "vit_kept", "residual"),
)
METHOD = dict(
    name="asgnet",
    backbone="resnet50",
    backbone_settings=dict(stem="deep", stages=3, output_stride=8, dilate_first=True),
    endpoints=("stage3", "stage2"),
    backbone_gradient=False,
    separate_passes=True,  # each with batch statistics of its own
    head="enrichment",
    head_settings=dict(scales=(60, 30, 15, 8)),
    width=256,
    dropout=0.5,
    dtype="float32",
    superpixels_at_most=5,
    superpixel_cells=100,
    iterations=(10, 5),
    prior="mean",
    seed_count="placed",
    auxiliary=1.0,
    blur=0.5,
)


def get_config(variant=""):
    base.choose(variant, VARIANTS)
    c = base.get_config()
    c.name = f"asgnet_voc_{variant}" if variant else "asgnet_voc"
    c.seed = 321
    c.steps = 200_000  # 200 epochs; a fold has some 4,000 queries, batches have 4
    c.checkpoint_every = 2_000  # epochs 2, 4, ...
    c.keep_checkpoints = 10
    c.init_from = "imagenet"
    c.method = METHOD
    c.data = dict(
        voc.DATA,
        tags="masks",
        way=1,
        shot=1,
        query=1,
        novel=(),  # and validation_classes: pascal5i.hold_out
        validation_classes=(),
        with_novel="background",  # as released: held-out classes are seen, unnamed
        support_void="ignore",
        sampling="image",
        min_pixels=2048,  # 2 * 32 * 32
        index="",  # file that keeps the class counts of the training photos
        batch_size=4,  # episodes
        crop=473,  # pixels
        fit="crop",
        scale=(0.9, 1.1),
        eval_split="val",
    )
    c.optim = dict(
        name="sgd",
        lr=0.025,
        momentum=0.9,
        weight_decay=1e-4,
        power=0.9,
        frozen=(r"^backbone/",),
    )
    c.eval = dict(protocol="pfenet", shots=(1, 5), align_corners=True)
    pascal5i.hold_out(c, variant[-1] if variant.startswith("fold") else 0)
    if variant == "shot5":
        c.data.shot = 5
    elif variant and not variant.startswith("fold"):
        _change(c, variant)
    return c


def _change(c, variant):
    """The variants that are another method."""
    if variant == "resnet101":
        c.method.backbone = "resnet101"
        c.init_from = "imagenet"
    if variant == "released":
        c.method.update(prior="sum", seed_count="released")
        c.eval.shots = (1,)
    if variant == "aspp":
        c.method.head = "aspp"
        c.method.head_settings = dict(rates=(6, 12, 18))
    if variant in ("frozen", "residual"):
        c.method.backbone_settings.frozen_statistics = True
        c.method.separate_passes = False
    if variant.startswith("vit"):
        c.method.vit = dict(patch=16, width=768, depth=12, heads=12)
        c.method.class_token = "kept" if variant == "vit_kept" else "dropped"
        c.init_from += ",vit_base_patch16_224"
        c.optim.frozen = (r"^backbone/", r"^vit/")
    if variant == "residual":
        c.method.backbone_settings.stage_links = True
        c.method.backbone_gradient = True
        c.optim.frozen = (r"^backbone/(?!link)",)
