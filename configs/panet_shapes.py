"""PANet on the embedded `shapes` with held-out classes, from scratch, in minutes.

Run: python train.py --config configs/panet_shapes.py[:VARIANT]

    no_alignment    without the prototype alignment loss
"""

from ppcjax.configs import base

VARIANTS = {"": {}, "no_alignment": {"alignment": 0.0}}


def get_config(variant=""):
    changes = base.choose(variant, VARIANTS)
    c = base.get_config()
    c.name = f"panet_shapes_{variant}" if variant else "panet_shapes"
    c.steps = 900
    c.checkpoint_every = 300
    c.keep_checkpoints = 3
    c.method = dict(
        name="panet",
        backbone="small_resnet",
        backbone_settings=dict(width=16),
        scale=20.0,
        align_corners=False,
        pooling="image",
        alignment=1.0,
        alignment_masks="predicted",
    )
    c.method.update(changes)
    c.data = dict(
        source="shapes",
        size=96,
        train_size=4000,
        way=2,  # tested 1-way; a second class shows what an object is not
        shot=2,
        least_shot=1,  # 1 or 2 supports, drawn for each episode
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
        protocol="own", shots=(1, 5), episodes=200, size=96, align_corners=False
    )
    return c
