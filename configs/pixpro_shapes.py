"""PixPro on the embedded `shapes`, from scratch, in minutes on a laptop.

Run: python train.py --config configs/pixpro_shapes.py[:VARIANT]    (configs/pixpro.py)
"""

from ppcjax.configs import base, pixpro


def get_config(variant=""):
    c = base.get_config()
    c.name = "pixpro_shapes"
    c.steps = 1200
    c.checkpoint_every = 400
    c.method = dict(
        pixpro.METHOD,
        backbone="small_resnet",
        backbone_settings=dict(width=16),
        endpoint="embedding",
        projector=(256, 64),
        momentum_steps=c.get_oneway_ref("steps"),
        dtype="float32",
    )
    c.data = dict(
        source="shapes",
        size=96,
        batch_size=32,
        crop=64,  # pixels
        scale=(0.2, 1.0),  # share of the photo's area
        ratio=(3 / 4, 4 / 3),
        train_split="train",
        val_split="",
        eval_split="test",
        on_bad_image="stop",
        workers=0,
    )
    c.optim = dict(
        name="adamw",
        lr=2e-3,
        weight_decay=1e-4,
        schedule=dict(name="warmup_cosine", warmup=100, start=0.01, end=1e-6),
    )
    # All stages of this network have stride 4: one of them, and strides 8 and 16.
    pyramid = dict(endpoints=("stage4",), width=64, coarser=2)
    return pixpro.vary(c, variant, pyramid=dict(pyramid=pyramid))
