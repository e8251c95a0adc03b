"""ContrastiveSeg on the embedded `shapes` with their masks, in minutes on a laptop.

Run: python train.py --config configs/contrastive_shapes.py[:VARIANT]

    ce          cross-entropy alone: no projection, no contrast, no memory
    nomem       anchors of a batch against each other
    mem_fixed   anchors against the memory; also without a variant
    mem_paper   half hard and half random anchors against semi-hard ones of the memory
"""

from ppcjax.configs import base

_MEMORY = dict(region_slots=200, pixel_slots=1000, pixels_per_push=10)

VARIANTS = {
    "": dict(mode="mem_fixed", **_MEMORY),
    "ce": dict(weight=0.0),
    "nomem": dict(mode="nomem"),
    "mem_fixed": dict(mode="mem_fixed", **_MEMORY),
    "mem_paper": dict(
        mode="mem_paper",
        mining="semi_hard",
        mining_share=0.1,
        positives=128,
        negatives=256,
        max_views=50,  # of a class of the batch
        **_MEMORY,
    ),
}


def get_config(variant=""):
    changes = base.choose(variant, VARIANTS)
    c = base.get_config()
    c.name = f"contrastive_shapes_{variant}" if variant else "contrastive_shapes"
    c.steps = 600
    c.checkpoint_every = 300
    c.method = dict(
        name="contrastive_seg",
        backbone="small_resnet",
        backbone_settings=dict(width=16),
        head="v1",
        head_settings=dict(width=64, rate=4, dropout=0.1),
        projection="convmlp",
        projection_dim=64,
        weight=0.1,
        warmup_steps=100,
        temperature=0.1,
        base_temperature=0.1,
        max_anchors=512,
        max_views=20,  # of an image and class; the grid has 576 cells
        brightness_shift=10,  # 8-bit grey levels
        class_weights=(),
    )
    c.method.update(changes)
    c.data = dict(
        source="shapes",
        size=96,
        with_masks=True,
        batch_size=8,
        crop=96,
        long_side=(96, 128),  # pixels, of the longer side before cropping
        train_split="train",
        val_split="",
        eval_split="test",
        on_bad_image="stop",
    )
    c.optim = dict(name="adamw", lr=3e-3, weight_decay=1e-4, power=0.9)
    c.eval = dict(scales=(1.0,))
    return c
