"""ASGNet on photos with masks, ImageNet MobileNetV2, for machines without a GPU.

Point data.root at the photos; name the held-out classes
in data.novel. For a folder of your own there is configs/asgnet_folder.py.
Run: python train.py --config configs/asgnet_mobilenet.py
"""

from ppcjax.configs import base, voc


def get_config():
    c = base.get_config()
    c.name = "asgnet_mobilenet"
    c.steps = 600
    c.log_every = 20
    c.checkpoint_every = 100
    c.keep_checkpoints = 3
    c.init_from = "imagenet"
    c.method = dict(
        name="asgnet",
        backbone="mobilenet_v2",
        endpoints=("stage4", "stage3"),
        backbone_gradient=False,
        head="enrichment",
        head_settings=dict(scales=(1.0, 0.5, 0.25)),
        width=64,
        dropout=0.1,
        dtype="float32",
        superpixels_at_most=5,
        superpixel_cells=40,  # of the 28 x 28 of a photo
        iterations=(10, 5),
        sharpness=1.0,
        prior="mean",
        shots="averaged",
        auxiliary=1.0,
    )
    c.data = dict(
        voc.DATA,
        way=1,
        shot=1,
        least_shot=0,  # above 0: so many to `shot`, drawn for each episode
        query=1,
        novel=("cow", "dog"),
        validation_classes=(),  # held out too, to choose a checkpoint by
        train_classes=(),  # empty: all others
        sampling="image",  # classes of few photos are met seldom
        with_novel="drop",
        support_void="ignore",
        min_pixels=1000,
        index="",
        batch_size=4,  # episodes
        crop=224,  # pixels
        fit="crop",
        long_side=(224, 320),  # pixels
        eval_split="train_aug",  # held-out classes are new, the list need not be
    )
    c.optim = dict(
        name="adamw",
        lr=1e-3,
        weight_decay=1e-4,
        power=0.9,
        lr_mults=(),
        frozen=(r"^backbone/",),
    )
    c.eval = dict(
        protocol="own",
        shots=(1, 5),
        episodes=100,
        seeds=(0, 1, 2),
        size=224,
        min_pixels=1000,
        align_corners=True,
    )
    return c
