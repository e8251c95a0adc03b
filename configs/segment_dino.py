"""A segmenter on a frozen DINOv2 ViT-S/14: masks in, or pseudo masks of ppc_dino.

    (none)    a light decoder: a dilated 3x3 layer and a classifier
    linear    a linear probe: batch normalisation and a 1x1 classifier
    memory    the light decoder with ContrastiveSeg's contrast and memory on top

Point data.root at the photos, and data.masks at exported masks where none are true.
Run: python train.py --config configs/segment_dino.py[:VARIANT]
"""

from ppcjax.configs import base, ppc_dino, voc


def get_config(variant=""):
    base.choose(variant, ("", "linear", "memory"))
    c = base.get_config()
    c.name = f"segment_dino_{variant}" if variant else "segment_dino"
    c.steps = 1000
    c.log_every = 50
    c.checkpoint_every = 500
    c.frozen = dict(ppc_dino.FROZEN)
    c.method = dict(name="segment", backbone="frozen", hsv_shift=0, class_weights=())
    if variant == "linear":
        c.method.update(head="linear")
    else:
        c.method.update(head="v1", head_settings=dict(width=256, rate=2, dropout=0.1))
    if variant == "memory":
        c.method.update(
            name="contrastive_seg",
            mode="mem_fixed",
            projection="convmlp",
            projection_dim=128,
            brightness_shift=0,
            weight=0.1,
            warmup_steps=200,
            max_anchors=512,
            max_views=20,
            region_slots=500,
            pixel_slots=2000,
        )
    c.data = dict(
        voc.DATA,
        **ppc_dino.DATA,
        masks="",  # folder of exported masks; empty: the true ones, an upper bound
        with_masks=True,
        eval_split="val",
    )
    # With 0.001 the linear probe is far from its end after 1,000 steps.
    lr = 0.01 if variant == "linear" else 0.001
    c.optim = dict(name="adamw", lr=lr, power=0.9, weight_decay=1e-4)
    c.eval = dict(ppc_dino.EVAL, report_classes=())
    return c
