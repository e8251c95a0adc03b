"""PANet on PASCAL-5i, 1-way, VGG-16, as published.

Wang et al., ICCV 2019; every constant is that of the released program. Needs VOC 2012
with SBD's masks in data.root; init_from is torchvision's VGG-16.
Run: python train.py --config configs/panet_voc.py[:VARIANT]

    fold1, fold2, fold3     other folds
    shot5                   trained and tested 5-shot, as published rows are
    resnet50, resnet101     the variant on a deep-stem ResNet, by MLC's recipe: batch
                            statistics are frozen, only layer2 and layer3 train;
                            init_from is a deep-stem file (PSPNet's, PFENet's)
"""

from ppcjax.configs import base, pascal5i, voc

VARIANTS = ("", "fold1", "fold2", "fold3", "shot5", "resnet50", "resnet101")


def get_config(variant=""):
    base.choose(variant, VARIANTS)
    c = base.get_config()
    c.name = f"panet_voc_{variant}" if variant else "panet_voc"
    c.seed = 1234
    c.steps = 30_000
    c.checkpoint_every = 2_000
    c.keep_checkpoints = 5
    c.init_from = "imagenet"
    c.method = dict(
        name="panet",
        backbone="vgg16",
        dtype="float32",
        scale=20.0,
        align_corners=False,
        pooling="image",
        alignment=1.0,
        alignment_masks="predicted",
    )
    c.data = dict(
        voc.DATA,
        tags="masks",
        way=1,
        shot=1,
        query=1,
        novel=(),  # and validation_classes: pascal5i.hold_out
        validation_classes=(),
        with_novel="background",  # as released: held-out classes are seen, unnamed
        support_void="background",  # as released
        index="",  # file that keeps the class counts of the training photos
        batch_size=1,  # episodes
        crop=417,  # pixels
        fit="squash",
        eval_split="train_aug",  # as released: tested on photos of the training list
    )
    c.optim = dict(
        name="sgd",
        lr=1e-3,
        momentum=0.9,
        weight_decay=5e-4,
        power=0.0,
        drops=(10_000, 20_000),
    )
    c.eval = dict(
        protocol="panet", shots=(1,), align_corners=False, batch_size=4, episodes=1000
    )
    pascal5i.hold_out(c, variant[-1] if variant.startswith("fold") else 0)
    if variant == "shot5":
        c.data.shot, c.eval.shots = 5, (5,)
    return _on_resnet(c, variant) if variant.startswith("resnet") else c


def _on_resnet(c, backbone):
    """The variant; the recipe that its sources, MLC and SSP, were trained by."""
    c.steps = 6_000  # 24,000 episodes in batches of 4
    c.init_from = "imagenet"
    c.method.update(
        backbone=backbone,
        scale=10.0,
        align_corners=True,
        pooling="grid",
        alignment_masks="true",
    )
    c.method.backbone_settings = dict(
        stem="deep",
        stages=3,
        output_stride=8,
        last_relu=False,
        frozen_statistics=True,
    )
    c.data.update(batch_size=4, crop=473, fit="crop", with_novel="drop")
    c.data.scale = (1.0, 1.0)  # crops of photos at their own size
    c.data.support_void = "ignore"
    c.data.eval_split = "val"
    c.optim.drops = (2_000, 4_000)
    c.optim.frozen = (r"bn", r"backbone/(conv\d|layer1_\d+)/")
    c.eval.update(protocol="mlc", align_corners=True)
    return c
