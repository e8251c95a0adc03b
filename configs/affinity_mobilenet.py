"""AffinityNet with the ImageNet MobileNetV2, for machines without a GPU.

Point data.root at the photos and data.masks at the labels.
Run: python train.py --config configs/affinity_mobilenet.py
"""

from ppcjax.configs import base, voc


def get_config():
    c = base.get_config()
    c.name = "affinity_mobilenet"
    c.steps = 391  # one pass over 3,131 images in batches of 8
    c.log_every = 20
    c.checkpoint_every = 50
    c.init_from = "imagenet"
    c.method = dict(
        name="affinity",
        backbone="mobilenet_v2",
        dtype="float32",
        widths=(64, 128, 256),
        init_gain=1.0,
        radius=5,  # cells of 8 pixels
    )
    c.data = dict(
        voc.DATA,
        masks="",  # folder of ID.png with 255 where unsure; empty: the true masks
        with_masks=True,
        batch_size=8,
        crop=224,  # pixels
        long_side=(384, 384),  # pixels, of the scale at which affinities are used
        eval_split="train",
    )
    # In a few hundred steps Adam gets far lower than the published SGD.
    c.optim = dict(
        name="adamw",
        lr=1e-4,
        weight_decay=1e-4,
        power=0.9,
        lr_mults=((r"^heads/", 10.0),),
        frozen=(r"backbone/(stem|block[1-3])/",),  # low layers, as in the release
    )
    # Scores behind a CRF have another threshold than maps: None is that of the export.
    c.eval = dict(background=None, power=8, steps=64, report_classes=())
    return c
