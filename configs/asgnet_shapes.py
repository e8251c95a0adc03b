"""ASGNet on the embedded `shapes` with held-out classes, from scratch, in minutes.

Run: python train.py --config configs/asgnet_shapes.py[:VARIANT]

    released    the sum of similarities as prior; trained on one shot, it fails on five
"""

from ppcjax.configs import base

VARIANTS = {"": {}, "released": {"prior": "sum", "seed_count": "released"}}


def get_config(variant=""):
    changes = base.choose(variant, VARIANTS)
    c = base.get_config()
    c.name = f"asgnet_shapes_{variant}" if variant else "asgnet_shapes"
    c.steps = 900
    c.checkpoint_every = 300
    c.keep_checkpoints = 3
    c.method = dict(
        name="asgnet",
        backbone="small_resnet",
        backbone_settings=dict(width=16),
        endpoints=("stage4", "stage3"),
        backbone_gradient=True,  # there are no weights to start from
        head="enrichment",
        head_settings=dict(scales=(1.0, 0.5, 0.25)),
        width=32,
        dropout=0.1,
        superpixels_at_most=5,
        superpixel_cells=25,  # of the 24 x 24 of a photo
        iterations=(10, 5),
        prior="mean",
        seed_count="placed",
        auxiliary=1.0,
    )
    c.method.update(changes)
    c.data = dict(
        source="shapes",
        size=96,
        train_size=4000,
        way=1,
        shot=1,
        query=2,
        novel=("stripes", "dots"),
        validation_classes=(),  # held out too, to choose a checkpoint by
        with_novel="drop",  # photos that show a novel class take no part in training
        batch_size=4,  # episodes
        crop=96,
        fit="crop",
        long_side=(96, 128),  # pixels, of the longer side before cropping
        train_split="train",
        val_split="",
        eval_split="test",
        on_bad_image="stop",
    )
    c.optim = dict(name="adamw", lr=3e-3, weight_decay=1e-4, power=0.9)
    c.eval = dict(
        protocol="own", shots=(1, 5), episodes=200, size=96, align_corners=True
    )
    return c
