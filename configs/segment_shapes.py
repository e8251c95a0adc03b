"""A segmenter on masked photos of `shapes`, many or few, in minutes on a laptop.

    (none)    all layers learn: from init_from, or from random weights without it
    linear    a linear probe: a 1x1 classifier learns on the frozen backbone

What pre-training is worth: the same with and without init_from, at several limits.
Run: python train.py --config configs/segment_shapes.py[:linear]
         --config.init_from=runs/pixpro_shapes --config.data.limit=20
"""

from ppcjax.configs import base

VARIANTS = ("", "linear")


def vary(c, variant, *, probe_lr):
    """The config `c` with a variant applied and named; probe_lr: rate of the probe."""
    base.choose(variant, VARIANTS)
    if variant == "linear":
        c.name = f"{c.name}_linear"
        c.method.update(head="linear", frozen_backbone=True)
        c.method.head_settings = {}
        c.optim.update(lr=probe_lr, frozen=(r"^backbone/",))
    return c


def get_config(variant=""):
    c = base.get_config()
    c.name = "segment_shapes"
    c.steps = 600
    c.checkpoint_every = 300
    c.method = dict(
        name="segment",
        backbone="small_resnet",  # that of configs/pixpro_shapes.py
        backbone_settings=dict(width=16),
        head="fcn",
        head_settings=dict(width=32, layers=1, rate=2),
        frozen_backbone=False,
        dtype="float32",
        hsv_shift=10,  # 8-bit units
        class_weights=(),
    )
    c.data = dict(
        source="shapes",
        size=96,
        with_masks=True,
        limit=0,  # masked photos to learn from; 0: all
        limit_seed=0,  # which
        batch_size=8,
        crop=96,  # pixels
        long_side=(96, 128),  # pixels
        train_split="train",
        val_split="",
        eval_split="test",
        on_bad_image="stop",
        workers=0,
    )
    c.optim = dict(name="adamw", lr=2e-3, weight_decay=1e-4, power=0.9, frozen=())
    c.eval = dict(scales=(1.0,))
    return vary(c, variant, probe_lr=1e-2)
