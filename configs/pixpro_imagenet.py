"""PixPro on ImageNet's photos, the published row of 100 epochs.

For 400 epochs: --config.steps=500400 --config.method.momentum_steps=500455.

Data: ImageNet in folders, or records of TFDS, see docs/data.md.
Run: python train.py --config configs/pixpro_imagenet.py[:VARIANT]  (configs/pixpro.py)
"""

from ppcjax.configs import base, pixpro


def get_config(variant=""):
    c = base.get_config()
    c.name = "pixpro_imagenet"
    c.steps = 125_100
    c.log_every = 100
    c.checkpoint_every = 1251  # an epoch
    c.method = dict(
        pixpro.METHOD,
        backbone="resnet50",
        backbone_settings=dict(output_stride=32),
        endpoint="stage4",
        projector=(4096, 256),
        momentum_steps=125_113,  # as released: images / batch * epochs, not rounded
        dtype="bfloat16",
    )
    c.data = dict(
        source="imagenet",
        root="~/data/imagenet",
        tfds_dir="",  # records prepared with ppcjax.data_pipelines.imagenet_builder
        batch_size=1024,
        crop=224,  # pixels
        scale=(0.08, 1.0),  # share of the photo's area
        ratio=(3 / 4, 4 / 3),
        train_split="train",
        val_split="",
        eval_split="val",
        on_bad_image="stop",
        workers=0,
    )
    c.optim = dict(
        name="lars",
        lr=1.0,  # per 256 images
        batch_rule="linear",
        base_batch=256,
        batch_size=c.data.get_oneway_ref("batch_size"),
        momentum=0.9,
        weight_decay=1e-5,
        trust=1e-3,
        schedule=dict(name="warmup_cosine", warmup=6255, start=0.01, end=1e-6),
    )
    return pixpro.vary(c, variant)
