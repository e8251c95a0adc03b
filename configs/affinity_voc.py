"""AffinityNet for VOC 2012: WideResNet-38 on pseudo masks, as PPC, SEAM and PSA do.

Ahn and Kwak, CVPR 2018; every constant is that of the released programs. Starts from
the ImageNet weights, not from the network that made the masks.
Run: python train.py --config configs/affinity_voc.py --config.data.masks=LABELS
"""

from ppcjax.configs import base, voc


def get_config():
    c = base.get_config()
    c.name = "affinity_voc"
    c.steps = 10_576  # 8 epochs of 10,582 images in batches of 8
    c.checkpoint_every = 1_000
    c.init_from = "imagenet"
    c.method = dict(
        name="affinity",
        backbone="wide_resnet38",
        dtype="float32",
        widths=(64, 128, 256),
        radius=5,  # cells of 8 pixels
    )
    c.data = dict(
        voc.DATA,
        masks="",  # folder of ID.png with 255 where unsure; empty: the true masks
        with_masks=True,
        batch_size=8,
        crop=448,  # pixels
        long_side=(500, 500),  # pixels: the size photos have, so none is resized
        val_split="val",
        eval_split="train",
    )
    c.optim = dict(
        name="sgd",
        lr=0.01,
        momentum=5e-4,  # as released: the decay in the place of the momentum
        weight_decay=5e-4,
        power=0.9,
        lr_mults=((r"^heads/", 10.0),),
        frozen=(r"bn", r"backbone/(conv1a|b2|b2_\d)/"),
    )
    c.eval = dict(background=0.27, power=8, steps=64, report_classes=())
    return c
